"""Settings of the puppet."""

from __future__ import annotations

from dataclasses import dataclass

from stages.drawing.names import FRAMINGS
from stages.errors import InputError


@dataclass(frozen=True)
class PuppetConfig:
    """How the puppet is drawn. Sizes in pixels, angles in degrees, times in frames."""

    framing: str = "ref"
    """Camera of the result: `ref` keeps the photo's framing and background, `drive` uses the driving video's camera."""
    size: int = 1920
    """Longer side of the video in pixels at most, 64 to 2048; never more than the photo's. Both sides are even."""
    supersample: float = 1.5
    """Draw the puppet this many times larger and average it down, 1 to 4; less where the video is larger than 853."""
    grid_step: int = 4
    """Distance between the grid points that move the photo, 2 to 16, in pixels of a picture of 768; it grows with a
    larger picture, whose detail is in the photo and not in the points."""
    smoothing_frames: float = 1.0
    """Smoothing of joint rotations and position over time: Gaussian sigma in frames. 0 turns it off."""
    expression_smoothing_frames: float = 0.7
    """Smoothing of expression, jaw and eyes over time, which move faster: Gaussian sigma in frames. 0 turns it off."""
    turn: str = "relative"
    """How trunk and head turn: `relative` to the photo's own view, by the driver's change from its mean view, the head
    at most 40 degrees; `absolute`, as in the driver's camera. A full-body driver's turns are absolute in any case."""
    lean_degrees: float = 15.0
    """With `absolute`: largest constant lean between driver and photo that is removed, in degrees."""
    fit_girth: bool = True
    """Widen or narrow the body mesh to match the person's outline in the photo."""
    lossless: bool = False
    """Write lossless RGB H.264 instead of yuv420p H.264."""
    watermark: bool = True
    """Put an invisible mark into every frame that says the video is synthetic; `emosh inspect` reads it."""

    def __post_init__(self) -> None:
        """Raises InputError for a value outside its range."""
        if self.framing not in FRAMINGS:
            raise InputError(f"framing is {self.framing!r}, expected one of: {', '.join(FRAMINGS)}")
        if self.turn not in ("relative", "absolute"):
            raise InputError(f"turn is {self.turn!r}, expected one of: relative, absolute")
        if not 64 <= self.size <= 2048:
            raise InputError(f"size is {self.size}, expected 64 to 2048 pixels for the longer side")
        if not 1.0 <= self.supersample <= 4.0:
            raise InputError(f"supersample is {self.supersample}, expected 1 to 4")
        if not 2 <= self.grid_step <= 16:
            raise InputError(f"grid_step is {self.grid_step}, expected 2 to 16 pixels")
