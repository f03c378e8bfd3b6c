"""Settings of detection: everything besides the input file that decides the observations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectConfig:
    """Settings of one detection run."""

    person: int = 0
    """Person to follow when several are in the picture: 0 is the largest, 1 the next largest."""
    everyone: bool = False
    """Follow every person of the clip instead of one."""
    cut_score: float = 5.0
    """A new shot begins at a frame with at least this score from FFmpeg's scdet, 0 to 100. 101 finds no cut."""
