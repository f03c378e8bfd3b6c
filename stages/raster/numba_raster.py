"""The default rasteriser: one z-buffer loop, compiled by numba and cached on disk; single-threaded."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from stages.compiled import njit
from stages.raster.rasterizer import NEAR_M, Fragments


def rasterize(
    points: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], width: int, height: int
) -> Fragments:
    """See `Rasterizer`. Agrees with numpy_raster; of two triangles at equal depth the lower row is drawn."""
    face = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    depth = np.full((height, width), np.inf, np.float32)
    _fill(np.ascontiguousarray(points, np.float32), np.ascontiguousarray(faces), face, barycentric, depth)
    return Fragments(face, barycentric, depth)


@njit(fastmath=False, error_model="numpy")
def _fill(points, faces, face, barycentric, depth):
    height, width = depth.shape
    for row in range(faces.shape[0]):
        a, b, c = faces[row, 0], faces[row, 1], faces[row, 2]
        az, bz, cz = points[a, 2], points[b, 2], points[c, 2]
        if not (az > NEAR_M and bz > NEAR_M and cz > NEAR_M):
            continue
        ax, ay = points[a, 0], points[a, 1]
        bx, by = points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not (abs(area) > 1e-9):
            continue
        left = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        right = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        top = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        inverse = 1.0 / area
        for y in range(top, bottom + 1):
            py = y + 0.5
            for x in range(left, right + 1):
                px = x + 0.5
                u = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * inverse
                v = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * inverse
                w = 1.0 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                u, v, w = u / az, v / bz, w / cz
                z = 1.0 / (u + v + w)
                if z < depth[y, x]:
                    depth[y, x] = z
                    face[y, x] = row
                    barycentric[y, x, 0] = u * z
                    barycentric[y, x, 1] = v * z
                    barycentric[y, x, 2] = w * z
