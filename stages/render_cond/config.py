"""Settings of the condition map."""

from __future__ import annotations

from dataclasses import dataclass

from stages.drawing.names import AUTO, CAMERAS, DRIVE, DRIVER, FRAMINGS, MESH
from stages.errors import InputError


@dataclass(frozen=True)
class RenderCondConfig:
    """How the condition map is drawn."""

    drawing: str = AUTO
    """What is drawn: mesh (the paper's map), skeleton (Wan-Animate's), openpose, depth, normal or shaded. auto: what
    the model reads; the mesh where no model is named."""
    framing: str = DRIVE
    """Camera of the map: `drive` uses the driving video's camera (the paper), `ref` keeps the framing of the photo."""
    camera: str = DRIVER
    """`driver`: the map follows the driver's camera (the paper). `still`: as if it had stood still where it was first,
    so that a turning or travelling camera does not move the person."""
    width: int = 512
    """Width of the condition map, in pixels."""
    height: int = 512
    """Height of the condition map, in pixels. The whole source picture is fitted into the map and centred."""
    hybrid: bool = True
    """Draw lines for limbs, fingers and face over the coloured mesh. False leaves them out (the paper's ablation)."""
    zoom: str = "1"
    """Camera zoom. 2 shows the person twice as large. A path of factors, such as 1:1.5 or 1:2:1, moves the camera
    nearer and farther over the clip (paper 0.D.4)."""
    supersample: int = 2
    """Samples per pixel along each side, averaged against jagged edges."""
    rasterizer: str = "numba"
    """Code that turns triangles into pixels: numba, numpy (slow, for comparison) or pytorch3d (if installed)."""

    def __post_init__(self) -> None:
        """Raises InputError for an unknown framing or camera."""
        if self.framing not in FRAMINGS:
            raise InputError(f"framing is {self.framing!r}, expected one of: {', '.join(FRAMINGS)}")
        if self.camera not in CAMERAS:
            raise InputError(f"camera is {self.camera!r}, expected one of: {', '.join(CAMERAS)}")

    @property
    def drawn(self) -> str:
        """Name of the drawing, where `auto` is the mesh."""
        return MESH if self.drawing == AUTO else self.drawing
