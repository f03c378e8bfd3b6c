"""Triangles to pixels: the interface of a rasteriser, and the table of rasterisers.

Points are in pixels of the picture (x right, y down, pixel centres at half-integers) with depth z in metres along the
optical axis of the camera. A rasteriser does not know bodies, colours or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Int32

from stages.errors import InputError

NEAR_M = 0.05
"""A triangle with a corner nearer than this, or behind the camera, is not drawn."""

RASTERIZERS = {
    "numba": "stages.raster.numba_raster:rasterize",
    "numpy": "stages.raster.numpy_raster:rasterize",
    "pytorch3d": "stages.raster.pytorch3d_raster:rasterize",
}


@dataclass(frozen=True)
class Fragments:
    """The nearest triangle at each pixel centre."""

    face: Int32[np.ndarray, "height width"]
    """Row in `faces`; -1 where there is no triangle."""
    barycentric: Float[np.ndarray, "height width 3"]
    """Perspective-correct weights of the three corners; zeros where there is no triangle."""
    depth: Float[np.ndarray, "height width"]
    """Depth in metres; inf where there is no triangle."""


@runtime_checkable
class Rasterizer(Protocol):
    """Draws both sides of every triangle and keeps the nearest surface at each pixel."""

    def __call__(
        self, points: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], width: int, height: int
    ) -> Fragments:
        """`points`: x, y in pixels and z in metres."""
        ...


def rasterizer(name: str = "numba") -> Rasterizer:
    """The rasteriser with this name. Raises InputError that lists the names."""
    if name not in RASTERIZERS:
        raise InputError(f"no rasterizer is called '{name}'; choose one of: {', '.join(RASTERIZERS)}")
    module, attribute = RASTERIZERS[name].split(":")
    return getattr(import_module(module), attribute)
