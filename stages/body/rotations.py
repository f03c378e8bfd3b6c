"""Rotations as axis-angle vectors and matrices, in numpy. Radians; matrices act on column vectors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def matrix_from_rotvec(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Rodrigues' formula, exact at zero."""
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    cross = skew(rotvec)
    small = angle < 1e-6
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0 - angle**2 / 6.0, np.sin(safe) / safe)
    second = np.where(small, 0.5 - angle**2 / 24.0, (1.0 - np.cos(safe)) / safe**2)
    return np.eye(3, dtype=rotvec.dtype) + first * cross + second * (cross @ cross)


def rotvec_from_matrix(matrix: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """The shortest axis-angle of each rotation, angle in [0, pi]. A quaternion step keeps it exact near pi."""
    from scipy.spatial.transform import Rotation

    flat = matrix.reshape(-1, 3, 3).astype(np.float64)
    return Rotation.from_matrix(flat).as_rotvec().reshape(*matrix.shape[:-2], 3).astype(matrix.dtype)


def skew(vector: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """The cross-product matrix [v]x, with [v]x w = v x w."""
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    rows = [np.stack(row, -1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, -2)


def rotation_aligning(
    source: Float[np.ndarray, "points 3"], target: Float[np.ndarray, "points 3"], weights: Float[np.ndarray, "points"]
) -> Float[np.ndarray, "3 3"]:
    """The rotation R that minimises sum w |R (s - mean s) - (t - mean t)|^2 (Kabsch 1976)."""
    weights = weights / weights.sum()
    centred_source = source - weights @ source
    centred_target = target - weights @ target
    u, _, vt = np.linalg.svd((centred_target * weights[:, None]).T @ centred_source)
    sign = np.sign(np.linalg.det(u @ vt))
    return u @ np.diag([1.0, 1.0, sign]) @ vt
