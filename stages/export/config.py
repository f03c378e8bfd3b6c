"""Settings of `emosh export`."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError


@dataclass(frozen=True)
class ExportConfig:
    """How a motion is written for other programs."""

    fps: int | None = None
    """Frames per second of the exported motion, a whole number. none: amass and bvh round the motion's own rate, glb
    keeps the motion's own times, wan-animate uses 30."""
    bvh_units_per_metre: float = 100.0
    """BVH units in one metre. A BVH file names no unit and most tools read centimetres (100); 1 writes metres."""
    area_width: int = 1280
    """For wan-animate: width times area_height is the largest picture area in pixels, as --resolution_area there."""
    area_height: int = 720
    """For wan-animate: height times area_width is the largest picture area in pixels, as --resolution_area there."""

    def __post_init__(self) -> None:
        """Refuse rates, units and areas that no file can have. Raises InputError."""
        if self.fps is not None and not 1 <= self.fps <= 1000:
            raise InputError(f"fps = {self.fps}: choose a whole number from 1 to 1000, or none")
        if not self.bvh_units_per_metre > 0:
            raise InputError(f"bvh_units_per_metre = {self.bvh_units_per_metre}: choose a number above 0")
        if min(self.area_width, self.area_height) < 64:
            raise InputError(
                f"area_width = {self.area_width}, area_height = {self.area_height}: choose at least 64 pixels for each"
            )
