"""Cut one window of a video into its own file: the same frames at the same times, rotated upright, without sound.

The file is H.264 at crf 12 (4:2:0, BT.709) or lossless RGB. In H.264 an odd side gets one repeated row or column. The
bytes do not depend on the number of cores.
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
    on_frame: Callable[[UInt8[np.ndarray, "height width 3"]], Any],
) -> None:  # fmt: skip
    """Write `frames` frames from `first` on, and call `on_frame` with each.

    Raises the InputErrors of `read_stretch` and `VideoSink`.
    """
    coming = read_stretch(source, first, frames)
    start = next(coming)
    height, width = start.rgb.shape[:2]
    with VideoSink(out, width, height, fps, lossless=lossless, metadata=metadata, threads=1) as sink:
        for frame in chain([start], coming):
            on_frame(frame.rgb)
            sink.write(frame.rgb, frame.pts_seconds)
