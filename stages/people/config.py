"""What a user may change about made-up people."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

FRAMINGS = ("full", "three_quarters", "half", "bust")
BACKGROUNDS = ("plain", "gradient", "room", "moving")


@dataclass(frozen=True)
class PeopleConfig:
    """Clips of made-up people. Person and motion n of a seed are the same wherever they are drawn."""

    width: int = 512
    """Pixels."""
    height: int = 512
    """Pixels."""
    frames: int = 97
    """Of each clip."""
    fps: int = 25
    """Frames a second."""
    framing: tuple[str, ...] = FRAMINGS
    """How much of the person the picture holds, one drawn for each clip: full, three_quarters, half, bust."""
    background: tuple[str, ...] = BACKGROUNDS
    """What is behind them, one drawn for each clip: plain, gradient, room, moving."""
    seconds_per_pose: float = 0.8
    """How long a movement from one pose to the next lasts, about."""
    tracked_share: float = 0.5
    """Share of clips moved by the motions that were given, if any were; the others are made up."""
    supersample: int = 2
    """Anti-aliasing: samples per pixel along each side."""
    lossless: bool = False
    """Keep every pixel as it was drawn, in a larger file; small pictures need it, since H.264 halves their colours."""
    seed: int = 0
    """Clip n of another seed is another person."""

    def __post_init__(self) -> None:
        """Raises InputError for values that make no picture."""
        for name, least in (("width", 16), ("height", 16), ("frames", 1), ("fps", 1), ("supersample", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least {least}")
        for name, known in (("framing", FRAMINGS), ("background", BACKGROUNDS)):
            strange = [each for each in getattr(self, name) if each not in known]
            if strange or not getattr(self, name):
                raise InputError(f"{name} is {strange or 'empty'}, expected some of {', '.join(known)}")
        if not 0 <= self.tracked_share <= 1 or self.seconds_per_pose <= 0:
            raise InputError("tracked_share is a share from 0 to 1, seconds_per_pose above 0")
