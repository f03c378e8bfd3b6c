"""Which frame of the result is compared with which frame of the truth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from stages.counted import counted
from stages.errors import InputError
from stages.video.source import Frame, read_frames


def pairs(
    result: Path, truth: Path, pairing: str, stride: int = 1, lead_seconds: float = 0.0
) -> Iterator[tuple[Frame, Frame]]:
    """(result, truth) pairs of frames, by number or by time (`conditions.PAIRINGS`, `EvaluateConfig`).

    Raises InputError when videos paired by number have different lengths.
    """
    ours, theirs = read_frames(result), read_frames(truth)
    if pairing == "time":
        yield from _by_time(ours, theirs, lead_seconds)
        return
    if stride > 1:
        theirs = (frame for frame in theirs if frame.index % stride == 0)
    for index, (left, right) in enumerate(zip_longest(ours, theirs)):
        if left is None or right is None:
            shorter, longer = (result, truth) if left is None else (truth, result)
            raise InputError(
                f"{shorter} ends after {counted(index, 'frame')} but {longer} is longer; give two videos of "
                "the same clip "
                "(for different frame rates: --set evaluate.pairing=time)"
            )
        yield left, right


def _by_time(ours: Iterator[Frame], theirs: Iterator[Frame], lead: float) -> Iterator[tuple[Frame, Frame]]:
    """For each truth frame from `lead` seconds on, the result's frame on screen then; 1 ms covers rounded times."""
    shown, coming = next(ours), next(ours, None)
    for right in theirs:
        if right.pts_seconds < lead - 0.001:
            continue
        while coming is not None and coming.pts_seconds + lead <= right.pts_seconds + 0.001:
            shown, coming = coming, next(ours, None)
        yield shown, right
