"""Triangles to pixels: what a rasteriser is, and which ones there are.

Points are in the picture's pixels (x right, y down, pixel centres at half-integers) with depth z in metres along the
camera's axis. A rasteriser knows nothing of bodies, colours or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Int32

from stages.errors import InputError

NEAR_M = 0.05
"""Triangles with a corner nearer than this, or behind the camera, are not drawn."""

RASTERIZERS = {
    "numba": "stages.raster.numba_raster:rasterize",
    "numpy": "stages.raster.numpy_raster:rasterize",
    "pytorch3d": "stages.raster.pytorch3d_raster:rasterize",
}


@dataclass(frozen=True)
class Fragments:
    """The nearest triangle at each pixel centre."""

    face: Int32[np.ndarray, "height width"]
    """Row in `faces`, -1 where there is none."""
    barycentric: Float[np.ndarray, "height width 3"]
    """Weights of the triangle's corners on the surface (perspective-correct); zeros where there is none."""
    depth: Float[np.ndarray, "height width"]
    """Metres; inf where there is none."""


@runtime_checkable
class Rasterizer(Protocol):
    """Draws both sides of every triangle, the nearest surface winning."""

    def __call__(
        self, points: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], width: int, height: int
    ) -> Fragments:
        """`points` are x, y in pixels and z in metres."""
        ...


def rasterizer(name: str = "numba") -> Rasterizer:
    """The rasteriser of that name. Raises InputError naming the choices, or what to install."""
    if name not in RASTERIZERS:
        raise InputError(f"no rasterizer '{name}'; choose one of {', '.join(RASTERIZERS)}")
    module, attribute = RASTERIZERS[name].split(":")
    return getattr(import_module(module), attribute)
