"""How far the head of a motion is turned away from the camera, from its pose alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec

NOTABLE_DEGREES = 1.0
"""A frame is more frontal than another if its head is turned less by at least this angle (chosen here)."""


def head_yaw_degrees(motion: Motion, body: Body) -> Float[np.ndarray, "rows"]:
    """Yaw of the head in the camera's frame: 0 faces along the optical axis, positive looks to the picture's right."""
    joint = JOINT_NAMES.index("head")
    rotation = np.broadcast_to(np.eye(3), (len(motion), 3, 3))
    while joint >= 0:
        rotation = matrix_from_rotvec(motion.poses[:, 3 * joint : 3 * joint + 3].astype(np.float64)) @ rotation
        joint = int(body.parents[joint])
    looks = rotation[:, :, 2]  # in rest the head faces +z
    return np.degrees(np.arctan2(looks[:, 0], -looks[:, 2]))


def frontal_rows(motion: Motion, body: Body) -> list[int]:
    """The rows with a body in which the head is turned less than in all such rows before, by NOTABLE_DEGREES.

    The last of them below n is the most frontal of the first n rows, within NOTABLE_DEGREES. At most 181 rows.
    """
    turned, least, found = np.abs(head_yaw_degrees(motion, body)), np.inf, []
    for row in np.flatnonzero(motion.valid_part("body")).tolist():
        if turned[row] <= least - NOTABLE_DEGREES:
            least = turned[row]
            found.append(row)
    return found
