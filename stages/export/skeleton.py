"""The body as a skeleton: rest positions of joints, rotations relative to the parent, ends of the last bones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.body.model import JOINT_NAMES, Body, keypoints_from, pose_body
from stages.body.rotations import matrix_from_rotvec
from stages.export.upright import UprightMotion

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
TIPS: dict[str, str] = {
    **{
        f"{side}_{finger}3": f"{side}_hand_{4 * (number + 1):02d}"
        for side in ("left", "right")
        for number, finger in enumerate(FINGERS)
    },
    "left_foot": "pose_31",
    "right_foot": "pose_32",
    "jaw": "face_152",
}
"""Joint without children -> the keypoint at the end of its bone: fingertip, toe or chin."""
GAZE_M = 0.03
"""Length of an eye's bone, metres; it points forward."""


def rest_joints(body: Body, samples: UprightMotion) -> Float[np.ndarray, "55 3"]:
    """Joints of the person in T-pose, metres, y up, in the body file's frame."""
    return body.J_regressor @ samples.template


def local_rotations(samples: UprightMotion) -> Float[np.ndarray, "samples 55 3 3"]:
    """Each joint's rotation relative to its parent; at rest its axes are the world's."""
    return matrix_from_rotvec(samples.poses.reshape(-1, 55, 3).astype(np.float64))


def root_positions(body: Body, samples: UprightMotion) -> Float[np.ndarray, "samples 3"]:
    """Position of the pelvis joint, metres."""
    return rest_joints(body, samples)[0] + samples.trans


def bone_ends(body: Body, samples: UprightMotion) -> dict[int, Float[np.ndarray, "3"]]:
    """Joint without children -> the end of its bone at rest, metres from the joint."""
    zeros = np.zeros((1, 165), np.float32)
    still = pose_body(
        body, samples.template, zeros, zeros[:, :3], np.zeros((1, samples.expression.shape[1]), np.float32)
    )
    points = dict(zip(body.keypoint_names, keypoints_from(body, samples.template, still)[0], strict=True))
    leaves = set(range(55)) - set(body.parents.tolist())
    ends = {}
    for joint in sorted(leaves):
        point = points.get(TIPS.get(JOINT_NAMES[joint], ""))
        ends[joint] = np.array([0, 0, GAZE_M]) if point is None else point - still.joints[0, joint]
    return ends
