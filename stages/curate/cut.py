"""One window of a video as a file of its own: the same frames at the same times, upright, without sound.

H.264 at crf 12 (4:2:0, BT.709), or lossless RGB; an odd side grows by one repeated row or column in the first. The
bytes do not depend on the machine's cores.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stages.video.segment import Moment, read_stretch
from stages.video.sink import VideoSink


def cut_clip(
    source: Path, first: Moment, frames: int, out: Path, fps: Fraction, lossless: bool, metadata: dict[str, str],
    see: Callable[[UInt8[np.ndarray, "height width 3"]], Any],
) -> None:  # fmt: skip
    """Write `frames` frames from `first` on, each shown to `see`. Raises InputError as `read_stretch` and `VideoSink`
    do."""
    coming = read_stretch(source, first, frames)
    start = next(coming)
    height, width = start.rgb.shape[:2]
    with VideoSink(out, width, height, fps, lossless=lossless, metadata=metadata, threads=1) as sink:
        for frame in chain([start], coming):
            see(frame.rgb)
            sink.write(frame.rgb, frame.pts_seconds)
