"""How to look for a person; what decides the observations and is no file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectConfig:
    """How to look."""

    person: int = 0
    """Whom to follow when several are in the picture: 0 is the largest, 1 the next."""
    survey_seconds: float = 0.2
    """How often the survey looks for people."""
    crop_pixels: int = 768
    """Longer side of the crop that Holistic reads."""
    find_missed_hands: bool = True
    """Run the hand network on the wrists where Holistic missed a hand."""
    lanes: int = 2
    """Stretches of the clip that are read at the same time, each on a core of its own."""
