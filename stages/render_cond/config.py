"""Settings of the condition map."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RenderCondConfig:
    """How the condition map is drawn."""

    width: int = 512
    """Width of the condition map, in pixels."""
    height: int = 512
    """Height of the condition map, in pixels. The whole source picture is fitted into the map and centred."""
    hybrid: bool = True
    """Draw lines for limbs, fingers and face over the coloured mesh. False leaves them out (the paper's ablation)."""
    zoom: str = "1"
    """Camera zoom. 2 shows the person twice as large; FROM:TO, such as 1:1.5, zooms over the clip (paper 0.D.4)."""
    supersample: int = 2
    """Samples per pixel along each side, averaged against jagged edges."""
    rasterizer: str = "numba"
    """Code that turns triangles into pixels: numba, numpy (slow, for comparison) or pytorch3d (if installed)."""
