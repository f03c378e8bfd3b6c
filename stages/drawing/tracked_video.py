"""The pictures of the video that a motion was tracked from, one per row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.motion import Motion
from stages.counted import counted
from stages.errors import InputError
from stages.video.source import probe, read_frames

ADVICE = "give the video that it was tracked from"


def check_tracked_video(video: Path, motion: Motion) -> None:
    """Raises InputError for a video of another size, or with fewer frames than the motion has rows.

    More frames are found out only as they are read: a header counts hidden frames too.
    """
    info = probe(video)
    _check_size(video, (info.width, info.height), motion)
    if info.frame_count is not None and info.frame_count < len(motion):
        _refuse_fewer(video, info.frame_count, motion)


def tracked_frames(video: Path, motion: Motion) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The picture of each row, one in memory at a time.

    Raises InputError for a picture of another size, and for another number of frames than the motion has rows.
    """
    frames = read_frames(video)
    for row in range(len(motion)):
        picture = next(frames, None)
        if picture is None:
            _refuse_fewer(video, row, motion)
        _check_size(video, (picture.rgb.shape[1], picture.rgb.shape[0]), motion)
        yield picture.rgb
    if next(frames, None) is not None:
        raise InputError(f"{video} has more frames than the motion has rows; {ADVICE}")


def _check_size(video: Path, size: tuple[int, int], motion: Motion) -> None:
    if size != tuple(motion.image_size):
        wide, tall = motion.image_size
        raise InputError(f"{video} is {size[0]}x{size[1]}, the motion was tracked in {wide}x{tall}; {ADVICE}")


def _refuse_fewer(video: Path, frames: int, motion: Motion) -> NoReturn:
    raise InputError(
        f"{video} has {counted(frames, 'frame')}, but the motion has {counted(len(motion), 'row')}; {ADVICE}"
    )
