"""One window of a video as a file of its own: the same frames at the same times, upright, without sound.

H.264 at crf 12 (4:2:0, BT.709), or lossless RGB; an odd side grows by one repeated row or column in the first. The
bytes do not depend on the machine's cores.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from stages.video.sink import VideoSink
from stages.video.stretch import Moment, read_stretch


def cut_clip(
    source: Path, first: Moment, frames: int, out: Path, fps: Fraction, lossless: bool, metadata: dict[str, str]
) -> None:
    """Write `frames` frames from `first` on. Raises InputError as `read_stretch` and `VideoSink` do."""
    coming = read_stretch(source, first, frames)
    frame = next(coming)
    height, width = frame.rgb.shape[:2]
    with VideoSink(out, width, height, fps, lossless=lossless, metadata=metadata, threads=1) as sink:
        sink.write(frame.rgb, frame.pts_seconds)
        for frame in coming:
            sink.write(frame.rgb, frame.pts_seconds)
