"""Cut the shots of a video into windows of frames, the clips of a training set."""

from __future__ import annotations

from dataclasses import dataclass

from stages.curate.config import CurateConfig


@dataclass(frozen=True)
class Span:
    """`frames` frames, beginning with frame `first`."""

    first: int
    frames: int


def windows_of_shots(starts: tuple[int, ...], frame_count: int, config: CurateConfig) -> tuple[list[Span], list[Span]]:
    """The windows of all shots, in order, and the pieces that are too short for a window.

    A shot is cut into windows of `max_frames` from its beginning; the rest is one more window if it has `min_frames`.
    """
    windows: list[Span] = []
    short: list[Span] = []
    for start, end in zip(starts, [*starts[1:], frame_count], strict=True):
        at = start + (config.trim_frames if start else 0)
        last = end - (config.trim_frames if end < frame_count else 0)
        if at >= last:
            short.append(Span(start, end - start))
        for first in range(at, last, config.max_frames):
            span = Span(first, min(config.max_frames, last - first))
            (windows if span.frames >= config.min_frames else short).append(span)
    return windows, short
