"""The pinhole camera: OpenCV frame (x right, y down, z forward, metres) to pixels.

x = 0 is the left edge of the picture; pixel centres lie at half-integers.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

NEAR_M = 0.05
UPRIGHT = np.diag([1.0, -1.0, -1.0])
"""Half a turn about x: turns the camera's axes to y up, z towards the camera, and back again."""


def project(
    points: Float[np.ndarray, "*batch points 3"], K: Float[np.ndarray, "*batch 3 3"]
) -> Float[np.ndarray, "*batch points 3"]:
    """Pixels x, y and depth z (metres) of camera-space points. Depths below NEAR_M are clamped for the division."""
    z = np.maximum(points[..., 2:], NEAR_M)
    homogeneous = np.concatenate([points[..., :2], z], -1) @ np.swapaxes(K, -1, -2)
    return np.concatenate([homogeneous[..., :2] / z, points[..., 2:]], -1)


def default_intrinsics(width: int, height: int) -> Float[np.ndarray, "3 3"]:
    """Focal length = the picture's diagonal (53 degrees across it, as in GVHMR), principal point at the centre."""
    focal = float(np.hypot(width, height))
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)


def resize_intrinsics(
    K: Float[np.ndarray, "*batch 3 3"], scale_x: float, scale_y: float
) -> Float[np.ndarray, "*batch 3 3"]:
    """Intrinsics of the same camera after the picture is scaled by `scale_x` and `scale_y`."""
    return np.diag([scale_x, scale_y, 1.0]).astype(K.dtype) @ K
