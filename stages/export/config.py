"""Settings of `emosh export`."""

from __future__ import annotations

from dataclasses import dataclass

from stages.drawing.names import DRIVE, FRAMINGS, REF
from stages.errors import InputError

SIDE_STEP = 32
"""Both sides of SCAIL-2's pictures are multiples of it."""


@dataclass(frozen=True)
class ExportConfig:
    """How a motion is written for other programs."""

    fps: int | None = None
    """Frames per second of the exported motion, a whole number. none: amass and bvh round the motion's own rate, glb
    keeps the motion's own times, wan-animate uses 30, scail-2 the motion's own rate."""
    lock_feet: bool = True
    """For amass, glb and bvh: planted feet stay at one place of the floor, where the motion has one."""
    bvh_units_per_metre: float = 100.0
    """BVH units in one metre. A BVH file names no unit and most tools read centimetres (100); 1 writes metres."""
    framing: str = DRIVE
    """For wan-animate and scail-2: `drive` uses the driving video's camera, `ref` keeps the framing of the photo."""
    area_width: int = 1280
    """For wan-animate: width times area_height is the largest picture area in pixels, as --resolution_area there."""
    area_height: int = 720
    """For wan-animate: height times area_width is the largest picture area in pixels, as --resolution_area there."""
    short_side: int = 512
    """For scail-2: shorter side of all pictures in pixels, a multiple of 32. The model was trained on 512 and 704."""

    def __post_init__(self) -> None:
        """Refuse rates, units, framings and sizes that no file can have. Raises InputError."""
        if self.fps is not None and not 1 <= self.fps <= 1000:
            raise InputError(f"fps = {self.fps}: choose a whole number from 1 to 1000, or none")
        if not self.bvh_units_per_metre > 0:
            raise InputError(f"bvh_units_per_metre = {self.bvh_units_per_metre}: choose a number above 0")
        if min(self.area_width, self.area_height) < 64:
            raise InputError(
                f"area_width = {self.area_width}, area_height = {self.area_height}: choose at least 64 pixels for each"
            )
        if self.framing not in FRAMINGS:
            raise InputError(f"framing is {self.framing!r}, expected one of: {', '.join(FRAMINGS)}")
        if self.short_side < 64 or self.short_side % SIDE_STEP:
            raise InputError(f"short_side = {self.short_side}: choose a multiple of {SIDE_STEP}, such as 512 or 704")


def require_reference(framing: str, given: bool) -> None:
    """Raises InputError for framing `ref` if the motion of the photo is not given."""
    if framing == REF and not given:
        raise InputError(
            "framing ref places the person as in the photo; give the motion tracked in the photo: --ref-motion NPZ"
        )
