"""Direction of a face from its 478 points alone. No body model is used, so a bad fit cannot keep the gate closed.

Kabsch alignment with a rigid face: the symmetric mean of six frontal photos of the dev set (p1, p4, p5, p7, p8, p9).
It fits each of them to 5.5 % of the points' RMS radius. Points that expressions move (jaw, lips, lids) are left out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

RIGID_FACE = {
    33: (-0.745, -0.108, -0.015), 263: (0.745, -0.108, -0.015),
    133: (-0.286, -0.078, -0.107), 362: (0.286, -0.078, -0.107),
    127: (-1.171, -0.014, 0.825), 356: (1.171, -0.014, 0.825),
    234: (-1.159, 0.236, 0.901), 454: (1.159, 0.236, 0.901),
    50: (-0.826, 0.426, -0.117), 280: (0.826, 0.426, -0.117),
    129: (-0.365, 0.488, -0.280), 358: (0.365, 0.488, -0.280),
    70: (-0.954, -0.342, -0.002), 300: (0.954, -0.342, -0.002),
    103: (-0.846, -0.866, 0.016), 332: (0.846, -0.866, 0.016),
    93: (-1.140, 0.488, 0.907), 323: (1.140, 0.488, 0.907),
    116: (-1.062, 0.179, 0.196), 345: (1.062, 0.179, 0.196),
    46: (-0.895, -0.296, -0.091), 276: (0.895, -0.296, -0.091),
    98: (-0.303, 0.601, -0.344), 327: (0.303, 0.601, -0.344),
    10: (0.000, -1.044, -0.308), 151: (0.000, -0.767, -0.374), 9: (0.000, -0.460, -0.421), 168: (0.000, -0.194, -0.392),
    6: (0.000, -0.071, -0.466), 197: (0.000, 0.046, -0.551), 4: (0.000, 0.418, -0.781), 2: (0.000, 0.641, -0.482),
}  # fmt: skip
"""Index among the 478 points -> position: x to the picture's right, y down, z away from the camera, in RMS radii."""


def face_rotations(face: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames 3 3"]:
    """R_camera_head per frame (OpenCV axes; the identity looks into the camera). NaN where there is no face."""
    seen = face[:, list(RIGID_FACE)].astype(float)
    rigid = np.array(list(RIGID_FACE.values()))
    rotations = np.full((len(face), 3, 3), np.nan)
    rows = np.isfinite(seen).all((1, 2))
    centred = seen[rows] - seen[rows].mean(1, keepdims=True)
    u, _, vt = np.linalg.svd(np.swapaxes(centred, 1, 2) @ (rigid - rigid.mean(0)))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    rotations[rows] = u @ vt
    return rotations


def face_angles_degrees(face: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames 3"]:
    """Yaw (positive: looks to the picture's right), pitch (positive: looks down), roll (positive: clockwise)."""
    rotations = face_rotations(face)
    x, y, z = np.moveaxis(-rotations[:, :, 2], -1, 0)
    yaw, pitch = np.arctan2(x, -z), np.arctan2(y, np.hypot(x, z))
    roll = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    return np.degrees(np.stack([yaw, pitch, roll], axis=1))
