"""What a user may change about the puppet."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

FRAMINGS = ("ref", "drive")


@dataclass(frozen=True)
class PuppetConfig:
    """Sizes in pixels, angles in degrees, times in frames."""

    framing: str = "ref"
    """`ref` keeps the photo's framing and background; `drive` takes the driver's camera."""
    size: int = 512
    """Longer side of the result; both sides are made even. Never more than 2048."""
    supersample: float = 1.5
    """The puppet is drawn this much larger and averaged down; the background is not resampled twice."""
    grid_step: int = 4
    """Distance of a layer's grid points, in pixels of the enlarged picture."""
    smoothing_frames: float = 1.0
    """Gaussian sigma over time of joint rotations and position; 0 keeps the motion as it is."""
    expression_smoothing_frames: float = 0.7
    """The same for the expression and the jaw, which are faster."""
    pitch_bias_degrees: float = 15.0
    """At most this much constant forward or backward lean between driver and photo is taken out."""
    fit_girth: bool = True
    """Widen or narrow the mesh to the person's outline in the photo."""
    lossless: bool = False
    """Write lossless RGB H.264 instead of yuv420p."""
    watermark: bool = True
    """Put an invisible mark into every frame that says the video is synthetic; `emosh inspect` reads it back."""

    def __post_init__(self) -> None:
        """Raises InputError for values that cannot be drawn."""
        if self.framing not in FRAMINGS:
            raise InputError(f"framing is {self.framing!r}, expected one of: {', '.join(FRAMINGS)}")
        if not 64 <= self.size <= 2048:
            raise InputError(f"size is {self.size}, expected 64 to 2048 pixels for the longer side")
        if not 1.0 <= self.supersample <= 4.0:
            raise InputError(f"supersample is {self.supersample}, expected 1 to 4")
        if not 2 <= self.grid_step <= 16:
            raise InputError(f"grid_step is {self.grid_step}, expected 2 to 16 pixels")
