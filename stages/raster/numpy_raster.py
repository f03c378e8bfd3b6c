"""The slow, simple twin of numba_raster, for tests: one triangle at a time, every pixel of its bounding box."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from stages.raster.rasterizer import NEAR_M, Fragments


def rasterize(
    points: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], width: int, height: int
) -> Fragments:
    """See `Rasterizer`."""
    face = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    for row, corners in enumerate(points[faces].astype(np.float64)):
        if (corners[:, 2] > NEAR_M).all():
            _draw_triangle(row, corners, face, barycentric, depth)
    return Fragments(face, barycentric, depth)


def _draw_triangle(
    row: int,
    corners: Float[np.ndarray, "3 3"],
    face: Int[np.ndarray, "height width"],
    barycentric: Float[np.ndarray, "height width 3"],
    depth: Float[np.ndarray, "height width"],
) -> None:
    """Draw one triangle into the arrays. Edge functions give screen weights; divided by z they are surface weights."""
    height, width = depth.shape
    left, top = np.maximum(np.ceil(corners[:, :2].min(0) - 0.5), 0).astype(int)
    right, bottom = np.minimum(np.floor(corners[:, :2].max(0) - 0.5), (width - 1, height - 1)).astype(int)
    area = _cross(corners[1] - corners[0], corners[2] - corners[0])
    if left > right or top > bottom or abs(area) <= 1e-9:
        return
    y, x = np.mgrid[top : bottom + 1, left : right + 1] + 0.5
    pixel = np.stack([x, y], -1)
    a, b, c = corners[:, :2]
    screen = (
        np.stack([_cross(b - pixel, c - pixel), _cross(c - pixel, a - pixel), _cross(a - pixel, b - pixel)], -1) / area
    )
    over_z = screen / corners[:, 2]
    inside = (screen >= 0).all(-1)
    z = np.where(inside, 1 / np.where(inside, over_z.sum(-1), 1), np.inf)
    box = np.s_[top : bottom + 1, left : right + 1]
    nearer = z < depth[box]
    depth[box][nearer] = z[nearer]
    face[box][nearer] = row
    barycentric[box][nearer] = (over_z * z[..., None])[nearer] if nearer.any() else 0


def _cross(
    a: Float[np.ndarray, "*batch axes"], b: Float[np.ndarray, "*batch axes"]
) -> Float[np.ndarray, "*batch"] | np.floating:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
