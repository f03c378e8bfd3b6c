"""Where a detector's points lie on the body: MediaPipe's 33 pose points and 2 x 21 hand points.

A keypoint is a weighted mean of rest vertices that is either bound to one joint or skinned with its vertices.
Sigmas are metres at the subject: how far the detector's idea of the point may lie from ours (notes of the tracker's
prototype; shoulders are trusted because the whole figure hangs from them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stages.body.model import JOINT_NAMES
from stages.body.smplx_layout import joint

_HAND_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
TIP_DEPTH_M = 0.008
"""MediaPipe marks a fingertip at the nail, not at the flesh's end."""
HAND_SIGMA_M = 0.010


@dataclass(frozen=True)
class Keypoint:
    """One named point: its place as weights over vertices, the joint it is bound to (-1: skinned), its sigma."""

    name: str
    weights: Float[np.ndarray, "vertices"]
    joint: int
    sigma_m: float


_POSE = {
    7: ("left_ear", "head", 0.02), 8: ("right_ear", "head", 0.02),
    11: ("left_shoulder", "left_shoulder", 0.012), 12: ("right_shoulder", "right_shoulder", 0.012),
    13: ("left_elbow", "left_elbow", 0.02), 14: ("right_elbow", "right_elbow", 0.02),
    15: ("left_wrist", "left_wrist", 0.02), 16: ("right_wrist", "right_wrist", 0.02),
    23: ("left_hip", "pelvis", 0.05), 24: ("right_hip", "pelvis", 0.05),
    25: ("left_knee", "left_knee", 0.025), 26: ("right_knee", "right_knee", 0.025),
    27: ("left_ankle", "left_ankle", 0.025), 28: ("right_ankle", "right_ankle", 0.025),
    29: ("left_heel", "left_ankle", 0.025), 30: ("right_heel", "right_ankle", 0.025),
    31: ("left_big_toe", "left_foot", 0.025), 32: ("right_big_toe", "right_foot", 0.025),
}  # fmt: skip
"""Pose points that anny's COCO regressors give: MediaPipe number, COCO name, joint, sigma."""

_POSE_KNUCKLES = {
    17: "left_pinky1",
    18: "right_pinky1",
    19: "left_index1",
    20: "right_index1",
    21: "left_thumb2",
    22: "right_thumb2",
}
_POSE_FACE = {0: 1, 1: 362, 2: 473, 3: 263, 4: 133, 5: 468, 6: 33, 9: 291, 10: 61}
"""Pose points of the face and the face-mesh landmarks at the same places."""


def pose_keypoints(
    coco: dict[str, np.ndarray], J_regressor: Float[np.ndarray, "55 vertices"], face: dict[int, np.ndarray]
) -> list[Keypoint]:
    """pose_00..pose_32. `face` gives the weights of the face landmarks that pose points coincide with."""
    points = {
        number: Keypoint(f"pose_{number:02d}", _pruned(coco[name]), joint(bound), sigma)
        for number, (name, bound, sigma) in _POSE.items()
    }
    for number, knuckle in _POSE_KNUCKLES.items():
        row = joint(knuckle)
        bound = joint(knuckle.split("_")[0] + "_wrist") if knuckle.endswith("1") else row
        points[number] = Keypoint(f"pose_{number:02d}", J_regressor[row], bound, 0.025)
    for number, landmark in _POSE_FACE.items():
        points[number] = Keypoint(f"pose_{number:02d}", face[landmark], joint("head"), 0.012)
    return [points[number] for number in range(33)]


def hand_keypoints(
    side: str, J_regressor: Float[np.ndarray, "55 vertices"], vertices: np.ndarray, weights: np.ndarray
) -> list[Keypoint]:
    """left_hand_00.. or right_hand_00..: wrist, then four points a finger from the thumb to the little finger."""
    wrist = joint(f"{side}_wrist")
    points = [Keypoint(f"{side}_hand_00", J_regressor[wrist], wrist, HAND_SIGMA_M)]
    for finger in _HAND_FINGERS:
        for part in "123":
            row = joint(f"{side}_{finger}{part}")
            points.append(Keypoint(f"{side}_hand_{len(points):02d}", J_regressor[row], row, HAND_SIGMA_M))
        tip = fingertip_weights(f"{side}_{finger}3", J_regressor, vertices, weights)
        points.append(Keypoint(f"{side}_hand_{len(points):02d}", tip, -1, HAND_SIGMA_M))
    return points


def fingertip_weights(
    last_joint: str, J_regressor: Float[np.ndarray, "55 vertices"], vertices: np.ndarray, weights: np.ndarray
) -> Float[np.ndarray, "vertices"]:
    """The mean of the last TIP_DEPTH_M of a finger."""
    reach = _reach(last_joint, J_regressor, vertices, weights)
    cap = (reach > reach.max() - TIP_DEPTH_M).astype(float)
    return cap / cap.sum()


def fingertip_vertex(
    last_joint: str, J_regressor: Float[np.ndarray, "55 vertices"], vertices: np.ndarray, weights: np.ndarray
) -> int:
    """The vertex furthest out on a finger."""
    return int(_reach(last_joint, J_regressor, vertices, weights).argmax())


def _reach(last_joint: str, J_regressor: np.ndarray, vertices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How far each vertex of a finger's last bone lies along it; -inf elsewhere."""
    row = JOINT_NAMES.index(last_joint)
    origin, before = J_regressor[row] @ vertices, J_regressor[row - 1] @ vertices
    along = (origin - before) / np.linalg.norm(origin - before)
    return np.where(weights[:, row] > 0.6, (vertices - origin) @ along, -np.inf)


def _pruned(weights: Float[np.ndarray, "vertices"]) -> Float[np.ndarray, "vertices"]:
    """Without the tail that carries the last 2 % of the sum: a regressor of hundreds of vertices, not thousands."""
    order = np.argsort(-weights, kind="stable")
    kept = np.zeros(len(weights), bool)
    kept[order[: int(np.searchsorted(np.cumsum(weights[order]), 0.98)) + 1]] = True
    pruned = np.where(kept, weights, 0.0)
    return pruned / pruned.sum()
