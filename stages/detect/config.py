"""Settings of detection: everything besides the input file that decides the observations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectConfig:
    """Settings of one detection run."""

    person: int = 0
    """Person to follow when several are in the picture: 0 is the largest, 1 the next largest."""
    lanes: int = 2
    """Number of parts of the clip that are read at the same time, each in its own thread."""
