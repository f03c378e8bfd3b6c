"""Settings of synthetic people."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

FRAMINGS = ("full", "three_quarters", "half", "bust")
BACKGROUNDS = ("plain", "gradient", "room", "moving")


@dataclass(frozen=True)
class PeopleConfig:
    """Clips of synthetic people. Person and motion n of a seed are the same on every machine."""

    width: int = 512
    """Width of the clips in pixels."""
    height: int = 512
    """Height of the clips in pixels."""
    frames: int = 97
    """Number of frames in each clip."""
    fps: int = 25
    """Frames per second of the clips."""
    framing: tuple[str, ...] = FRAMINGS
    """How much of the person the picture shows: full, three_quarters, half or bust. Each clip gets a random one of this
    list."""
    background: tuple[str, ...] = BACKGROUNDS
    """What is behind the person: plain, gradient, room or moving. Each clip gets a random one of this list."""
    seconds_per_pose: float = 0.8
    """About how many seconds the movement from one random pose to the next takes."""
    tracked_share: float = 0.5
    """Share of the clips that use one of the tracked motions, if some are given; the other clips use random motions."""
    supersample: int = 2
    """Anti-aliasing: samples per pixel along each side of the picture."""
    lossless: bool = False
    """true: keep every pixel exactly, in larger files. Use it for small pictures, because H.264 stores colours at half
    their resolution."""
    seed: int = 0
    """Seed of the random people and motions: the same seed gives the same clips, another seed other people."""

    def __post_init__(self) -> None:
        """Refuse values that give no picture. Raises InputError."""
        for name, least in (("width", 16), ("height", 16), ("frames", 1), ("fps", 1), ("supersample", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least {least}")
        for name, known in (("framing", FRAMINGS), ("background", BACKGROUNDS)):
            unknown = [each for each in getattr(self, name) if each not in known]
            if unknown or not getattr(self, name):
                raise InputError(f"{name} is {unknown or 'empty'}, expected some of {', '.join(known)}")
        if not 0 <= self.tracked_share <= 1 or self.seconds_per_pose <= 0:
            raise InputError(
                f"tracked_share is {self.tracked_share}, expected 0 to 1; "
                f"seconds_per_pose is {self.seconds_per_pose}, expected above 0"
            )
