"""Arms that reach towards the camera: as much larger in the picture as in the driver's, not more.

A photo is often taken from nearer than the driver's video, or its distance is guessed too small. A hand that is 35 cm
before the trunk is drawn larger by 64 % from 0.9 m and by 32 % from 1.4 m. Therefore the depth of arms before the trunk
is shortened for the division by depth, about the ray through the neck, by the ratio of both distances.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES
from stages.generate.puppet.view import Rig

NECK = JOINT_NAMES.index("neck")


def depth_share(rig: Rig, reference: Motion, target: Motion) -> float:
    """The photo's distance as a share of the driver's, by the neck's median; 1 where the photo is farther away.

    target: the driver's motion on the photo's body, in the driver's camera.
    """
    rows = np.flatnonzero(target.valid_part("body") | target.valid_part("face"))
    rows = rows[:: max(1, len(rows) // 32)] if len(rows) else np.arange(1)
    theirs = float(np.median([neck_point(rig, target, int(row))[2] for row in rows]))
    return float(np.clip(neck_point(rig, reference, 0)[2] / max(theirs, 0.05), 0.0, 1.0))


def neck_point(rig: Rig, motion: Motion, row: int) -> Float[np.ndarray, "3"]:
    """The neck joint of one row, metres, camera frame."""
    return posed_neck(rig, rig.transforms(motion.poses[row], motion.trans[row]))


def posed_neck(rig: Rig, transforms: Float[np.ndarray, "55 3 4"]) -> Float[np.ndarray, "3"]:
    """The neck joint of a pose, metres, camera frame."""
    return transforms[NECK, :, :3] @ rig.rest_joints[NECK] + transforms[NECK, :, 3]


def flatten_arms(
    points: Float[np.ndarray, "points 3"],
    arm: Float[np.ndarray, "points"],
    neck: Float[np.ndarray, "3"],
    share: float,
) -> Float[np.ndarray, "points 3"]:
    """The points, camera frame, with arms before the neck as large as from `1 / share` times the neck's distance.

    Depths stay, so that what is nearer is still drawn before what is farther.
    """
    if share >= 1.0:
        return points
    z = np.maximum(points[:, 2], 0.05)
    flat = z + (1.0 - share) * arm * np.maximum(neck[2] - z, 0.0)
    ray = neck[:2] / max(float(neck[2]), 0.05) * z[:, None]
    out = points.copy()
    out[:, :2] = ray + (points[:, :2] - ray) * (z / flat)[:, None]
    return out
