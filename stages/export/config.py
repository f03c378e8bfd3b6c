"""Settings of `emosh export`."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError


@dataclass(frozen=True)
class ExportConfig:
    """How a motion is written for other programs."""

    fps: int | None = None
    """Whole frame rate. none: amass and bvh the motion's own, rounded; glb the motion's own times; wan-animate 30."""
    bvh_units_per_metre: float = 100.0
    """BVH states no unit; most tools read centimetres. 1 writes metres."""
    area_width: int = 1280
    area_height: int = 720
    """wan-animate: the pictures' area in pixels, as its preprocess's --resolution_area."""

    def __post_init__(self) -> None:
        if self.fps is not None and not 1 <= self.fps <= 1000:
            raise InputError(f"fps = {self.fps}: choose a whole number from 1 to 1000, or none")
        if not self.bvh_units_per_metre > 0:
            raise InputError(f"bvh_units_per_metre = {self.bvh_units_per_metre}: it must be above 0")
        if min(self.area_width, self.area_height) < 64:
            raise InputError(f"area {self.area_width} x {self.area_height}: each side must be at least 64 pixels")
