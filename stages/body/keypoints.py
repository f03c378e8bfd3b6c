"""Positions of the detector's points on the body: MediaPipe's 33 pose points and 2 x 21 hand points.

A keypoint is a weighted mean of rest vertices. It is either bound to one joint or skinned with its vertices. Sigmas are
in metres at the person: how far the detector's point may lie from the keypoint. They come from a prototype of the
tracker; the shoulders' sigma is small because the position of the whole body depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stages.body.model import JOINT_NAMES
from stages.body.smplx_layout import joint

_HAND_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
TIP_DEPTH_M = 0.012
"""MediaPipe marks a fingertip at the nail, not at the end of the finger: the tip is the mean of this length."""
HAND_SIGMA_M = 0.010
SURROUNDING = 60


@dataclass(frozen=True)
class Keypoint:
    """One named point: weights over vertices, the joint it is bound to (-1: skinned), sigma."""

    name: str
    weights: Float[np.ndarray, "vertices"]
    joint: int
    sigma_m: float


_POSE: dict[int, tuple[str, str, float, tuple[int, int, int]]] = {
    7: ("ear", "head", 0.015, (-20, 15, 20)),
    11: ("shoulder", "{side}_shoulder", 0.012, (-5, -25, 11)),
    13: ("elbow", "{side}_elbow", 0.02, (4, 3, 8)),
    15: ("wrist", "{side}_wrist", 0.02, (5, -1, 2)),
    23: ("hip", "pelvis", 0.05, (-2, 19, 20)),
    25: ("knee", "{side}_knee", 0.025, (-8, 5, 8)),
    27: ("ankle", "{side}_ankle", 0.025, (-1, 14, 5)),
    29: ("heel", "{side}_ankle", 0.025, (-8, 18, -3)),
    31: ("big_toe", "{side}_foot", 0.025, (9, -1, -17)),
}
"""Left pose points that start from anny's COCO regressors: COCO name, joint, sigma in metres, offset in mm.

The right point has the next number. Offsets are in the T-pose, mirrored for the right side, and move the point to where
MediaPipe finds it: least squares over 80 renders of random people in random poses, left and right averaged. They
reduced the error of the shoulders from 27 to 11 mm, of the ears from 28 to 9, of the hips from 20 to 12.
"""

_POSE_KNUCKLES = {17: ("pinky1", (-7, -3, 25)), 19: ("index1", (-17, -11, -19)), 21: ("thumb2", (22, 3, -23))}
_POSE_FACE = {0: 4, 1: 362, 2: 473, 3: 263, 4: 133, 5: 468, 6: 33, 9: 291, 10: 61}
"""Pose points of the face -> face-mesh landmarks at the same positions."""

_HAND_OFFSETS = (
    (17, -4, -5), (-1, -10, 7), (5, -4, 4), (2, 0, -5), (0, 0, 0), (-7, -6, -3), (4, -6, 1), (4, -5, 2), (0, 0, 0),
    (-4, -9, 0), (2, -5, -1), (1, -7, -1), (0, 0, 0), (-3, -9, 0), (3, -4, -3), (2, -5, -3), (0, 0, 0),
    (0, -5, 1), (4, -4, -3), (4, -3, -2), (0, 0, 0),
)  # fmt: skip
"""Offsets from the body's joints to MediaPipe's left-hand points, mm in the T-pose.

They are needed because MakeHuman's finger joints lie near the back of the hand. Measured on 60 renders of both sides of
random hands: the error of the median point fell from 5 to 2 mm, of the wrist from 17 to 2.
"""


@dataclass(frozen=True)
class Anatomy:
    """Rest vertices, their skinning weights and the joints, on which keypoints are placed."""

    vertices: Float[np.ndarray, "vertices 3"]
    weights: Float[np.ndarray, "vertices 55"]
    joints: Float[np.ndarray, "55 3"]


def pose_keypoints(
    anatomy: Anatomy, coco: dict[str, np.ndarray], face: dict[int, np.ndarray], measured: bool = True
) -> list[Keypoint]:
    """The keypoints pose_00 to pose_32. `face` holds the weights of face landmarks, which some pose points share.

    measured: shift points by the offsets measured on the open body; False takes the joints as they are.
    """
    points = {
        number: Keypoint(f"pose_{number:02d}", face[landmark], joint("head"), 0.012)
        for number, landmark in _POSE_FACE.items()
    }
    for right, side in enumerate(("left", "right")):
        for number, (name, bound, sigma, offset) in _POSE.items():
            start = coco[f"{side}_{name}"] @ anatomy.vertices
            bone = joint(bound.format(side=side))
            shift = offset if measured else (0, 0, 0)
            points[number + right] = _bound_keypoint(anatomy, f"pose_{number + right:02d}", start, shift, bone, sigma)
        for number, (knuckle, offset) in _POSE_KNUCKLES.items():
            start = anatomy.joints[joint(f"{side}_{knuckle}")]
            bone = joint(f"{side}_{'thumb2' if knuckle == 'thumb2' else 'wrist'}")
            shift = offset if measured else (0, 0, 0)
            points[number + right] = _bound_keypoint(anatomy, f"pose_{number + right:02d}", start, shift, bone, 0.025)
    return [points[number] for number in range(33)]


def hand_keypoints(side: str, anatomy: Anatomy, measured: bool = True) -> list[Keypoint]:
    """The keypoints left_hand_00.. or right_hand_00..: wrist, then four points per finger, thumb to little finger."""
    points: list[Keypoint] = []
    for name in ("wrist", *(f"{finger}{part}" for finger in _HAND_FINGERS for part in "123T")):
        number = len(points)
        label = f"{side}_hand_{number:02d}"
        if name.endswith("T"):
            points.append(Keypoint(label, fingertip_weights(f"{side}_{name[:-1]}3", anatomy), -1, HAND_SIGMA_M))
            continue
        bone = joint(f"{side}_{name}")
        shift = _HAND_OFFSETS[number] if measured else (0, 0, 0)
        points.append(_bound_keypoint(anatomy, label, anatomy.joints[bone], shift, bone, HAND_SIGMA_M))
    return points


def _bound_keypoint(
    anatomy: Anatomy, name: str, start: np.ndarray, offset_mm: tuple[int, int, int], bone: int, sigma: float
) -> Keypoint:
    """A keypoint bound to the joint `bone`, `offset_mm` away from `start`; offsets are for the left side."""
    mirror = np.array([-1.0 if start[0] < 0 else 1.0, 1.0, 1.0])
    point = start + 1e-3 * np.array(offset_mm) * mirror
    return Keypoint(name, surrounding_weights(point, anatomy.vertices, anatomy.weights[:, bone] > 0.2), bone, sigma)


def surrounding_weights(
    point: Float[np.ndarray, "3"], vertices: Float[np.ndarray, "vertices 3"], allowed: Bool[np.ndarray, "vertices"]
) -> Float[np.ndarray, "vertices"]:
    """The smallest weights over the SURROUNDING nearest allowed vertices that sum to 1 and average to the point."""
    distance = np.where(allowed, np.linalg.norm(vertices - point, axis=1), np.inf)
    near = np.argsort(distance, kind="stable")[: min(SURROUNDING, int(allowed.sum()))]
    ease = 1.0 / (distance[near] + 0.01)
    system = np.concatenate([(vertices[near] - point).T, np.ones((1, len(near)))]) * ease
    weights = np.zeros(len(vertices))
    weights[near] = ease * (np.linalg.pinv(system) @ [0, 0, 0, 1])
    return weights


def fingertip_weights(last_joint: str, anatomy: Anatomy) -> Float[np.ndarray, "vertices"]:
    """Weights of the mean of the last TIP_DEPTH_M of a finger."""
    distance = _distance_along_finger(last_joint, anatomy)
    cap = (distance > distance.max() - TIP_DEPTH_M).astype(float)
    return cap / cap.sum()


def fingertip_vertex(last_joint: str, anatomy: Anatomy) -> int:
    """Number of the outermost vertex of a finger."""
    return int(_distance_along_finger(last_joint, anatomy).argmax())


def _distance_along_finger(last_joint: str, anatomy: Anatomy) -> np.ndarray:
    """Distance of each vertex of a finger's last bone along that bone, metres; -inf for all other vertices."""
    row = JOINT_NAMES.index(last_joint)
    origin, before = anatomy.joints[row], anatomy.joints[row - 1]
    along = (origin - before) / np.linalg.norm(origin - before)
    return np.where(anatomy.weights[:, row] > 0.6, (anatomy.vertices - origin) @ along, -np.inf)
