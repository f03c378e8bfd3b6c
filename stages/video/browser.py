"""Copies that every web browser plays: H.264 4:2:0 or JPEG, without sound and without tags that name their source.

The results of all methods go through the same encoder at the same height, so that no method has an advantage from its
own encoder.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames, read_photo

JPEG_QUALITY = 92


def browser_video(source: Path, out: Path, height: int) -> None:
    """Write `source` as mp4, at most `height` pixels high. Raises InputError for a file that is not a video."""
    found = probe(source)
    size = fit_size(found.width, found.height, height)
    with VideoSink(out, *size, found.fps, duration_seconds=found.duration_seconds or None) as sink:
        for frame in read_frames(source):
            sink.write(_resized(frame.rgb, size), frame.pts_seconds)


def browser_photo(source: Path, out: Path, height: int) -> None:
    """Write `source` as JPEG, at most `height` pixels high. Raises InputError for a file that is not a photo."""
    with atomic_path(out) as part:
        part.write_bytes(encode_jpeg(read_photo(source), height))


def encode_jpeg(rgb: UInt8[np.ndarray, "h w 3"], height: int) -> bytes:
    """A JPEG of the picture, at most `height` pixels high."""
    from PIL import Image

    buffer = BytesIO()
    resized = _resized(rgb, fit_size(rgb.shape[1], rgb.shape[0], height))
    Image.fromarray(resized).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def fit_size(width: int, height: int, max_height: int) -> tuple[int, int]:
    """Width and height of a copy at most `max_height` pixels high, both even, with the same aspect ratio."""
    scale = min(1.0, max_height / height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _resized(rgb: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    from PIL import Image

    if rgb.shape[:2] == size[::-1]:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
