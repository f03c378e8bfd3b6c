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
    """The shortest axis-angle of each rotation, angle in [0, pi]. A quaternion step keeps it exact near pi.

    The quaternion comes from its largest component (Shepperd 1978), as in scipy's Rotation, which takes 50 ms to load.
    """
    m = matrix.reshape(-1, 3, 3).astype(np.float64)
    diagonal = np.diagonal(m, axis1=1, axis2=2)
    trace = diagonal.sum(1)
    rows = np.arange(len(m))
    largest = np.concatenate([diagonal, trace[:, None]], 1).argmax(1)
    i = np.minimum(largest, 2)
    j, k = (i + 1) % 3, (i + 2) % 3
    vector = np.empty((len(m), 3))
    vector[rows, i] = 1 - trace + 2 * m[rows, i, i]
    vector[rows, j] = m[rows, j, i] + m[rows, i, j]
    vector[rows, k] = m[rows, k, i] + m[rows, i, k]
    twist = np.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], 1)
    by_trace = largest == 3
    vector = np.where(by_trace[:, None], twist, vector)
    real = np.where(by_trace, 1 + trace, twist[rows, i])
    vector = np.where(real < 0, -1.0, 1.0)[:, None] * vector
    sine = np.linalg.norm(vector, axis=1)
    angle = 2 * np.arctan2(sine, np.abs(real))
    scale = np.where(angle < 1e-6, 2 / np.maximum(np.abs(real), 1e-300), angle / np.maximum(sine, 1e-300))
    return (scale[:, None] * vector).reshape(*matrix.shape[:-2], 3).astype(matrix.dtype)


def skew(vector: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """The cross-product matrix [v]x, with [v]x w = v x w."""
    out = np.zeros((*vector.shape, 3), vector.dtype)
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -z, y, -x
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = z, -y, x
    return out


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
