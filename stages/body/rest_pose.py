"""From MakeHuman's A-pose to SMPL-X's T-pose by inverse linear blend skinning.

Each joint gets one constant rotation, found at the mean shape. The map from A to T is then affine in vertices and
joints together, so it is exact for blendshapes. A body posed back to A equals MakeHuman's to rounding; the error of
merging 163 bones appears only in other poses. T-pose: arms along x, palms down, fingers straight, legs downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.smplx_layout import PARENTS, joint

DOWN_LEGS = np.array([0.05, -1.0, 0.0])


@dataclass(frozen=True)
class TPose:
    """The affine map from the A-pose to the T-pose."""

    rotations: Float[np.ndarray, "55 3 3"]
    """Per joint, the rotation from A to T in the world frame."""
    weights: Float[np.ndarray, "vertices 55"]
    inverse: Float[np.ndarray, "vertices 3 3"]

    def joints(self, joints: Float[np.ndarray, "rows 55 3"]) -> Float[np.ndarray, "rows 55 3"]:
        """Joints (or joint offsets) in T, from those in A; the pelvis keeps its place."""
        placed = np.array(joints, dtype=np.float64)
        for row, parent in enumerate(PARENTS):
            if parent >= 0:
                bone = joints[:, row] - joints[:, parent]
                placed[:, row] = placed[:, parent] + bone @ self.rotations[parent].T
        return placed

    def vertices(
        self, vertices: Float[np.ndarray, "rows vertices 3"], joints: Float[np.ndarray, "rows 55 3"]
    ) -> Float[np.ndarray, "rows vertices 3"]:
        """v_T = (sum w G^T)^-1 (v_A - sum w (j_A - G^T j_T)), for vertices and joints, or for offsets of both."""
        shift = joints - np.einsum("jba,rjb->rja", self.rotations, self.joints(joints))
        moved = vertices - np.einsum("vj,rja->rva", self.weights, shift, optimize=True)
        return np.einsum("vab,rvb->rva", self.inverse, moved, optimize=True)

    def a_pose(self) -> Float[np.ndarray, "165"]:
        """SMPL-X pose parameters (axis-angles) of the A-pose, relative to the T-pose."""
        parents = np.maximum(PARENTS, 0)
        local = self.rotations[parents] @ np.swapaxes(self.rotations, -1, -2)
        local[0] = self.rotations[0].T
        return rotvec_from_matrix(local).ravel()


def fit_t_pose(joints: Float[np.ndarray, "55 3"], weights: Float[np.ndarray, "vertices 55"]) -> TPose:
    """The map that brings the mean shape's A-pose `joints` to the T-pose."""
    rotations = np.tile(np.eye(3), (55, 1, 1))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _straighten_arm(rotations, joints, side, sign)
        _straighten_hand(rotations, joints, side, sign)
        _straighten_leg(rotations, joints, side, sign)
    blended = np.einsum("vj,jab->vba", weights, rotations, optimize=True)
    return TPose(rotations, weights, np.linalg.inv(blended))


def _straighten_arm(rotations: np.ndarray, joints: np.ndarray, side: str, sign: float) -> None:
    """Turn upper and lower arm onto the x axis, so that the elbow bends about y, towards +z."""
    shoulder, elbow, wrist = (joint(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
    upper, lower = joints[elbow] - joints[shoulder], joints[wrist] - joints[elbow]
    hinge = np.cross(upper, lower)
    along, axis = np.array([sign, 0, 0]), np.array([0, -sign, 0])
    rotations[shoulder] = _orthonormal_frame(along, axis) @ _orthonormal_frame(upper, hinge).T
    rotations[elbow] = _orthonormal_frame(along, axis) @ _orthonormal_frame(lower, hinge).T


def _straighten_hand(rotations: np.ndarray, joints: np.ndarray, side: str, sign: float) -> None:
    """Palm down, the middle knuckle in line with the forearm; fingers straight, the thumb along its first bone."""

    def at(name: str) -> np.ndarray:
        return joints[joint(f"{side}_{name}")]

    along, flexion = np.array([sign, 0, 0]), np.array([0, 0, -sign])
    across = at("index1") - at("pinky1")
    wrist = rotations[joint(f"{side}_wrist")] = (
        _orthonormal_frame(along, np.array([0, 0, 1.0])) @ _orthonormal_frame(at("middle1") - at("wrist"), across).T
    )
    for finger in ("index", "middle", "ring", "pinky"):
        first, second, third = (at(f"{finger}{part}") for part in (1, 2, 3))
        hinge = np.cross(second - first, third - second)
        for part, bone in ((1, second - first), (2, third - second)):
            rotations[joint(f"{side}_{finger}{part}")] = (
                _orthonormal_frame(along, flexion) @ _orthonormal_frame(bone, hinge).T
            )
        last = rotations[joint(f"{side}_{finger}2")]
        rotations[joint(f"{side}_{finger}3")] = last
    first, second, third = (at(f"thumb{part}") for part in (1, 2, 3))
    rotations[joint(f"{side}_thumb1")] = wrist
    straight = _shortest_rotation(third - second, second - first)
    rotations[joint(f"{side}_thumb2")] = rotations[joint(f"{side}_thumb3")] = wrist @ straight


def _straighten_leg(rotations: np.ndarray, joints: np.ndarray, side: str, sign: float) -> None:
    """Turn thigh and shin downwards and slightly outwards; the foot is not turned."""
    hip, knee, ankle = (joint(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
    down = DOWN_LEGS * np.array([sign, 1, 1])
    rotations[hip] = _shortest_rotation(joints[knee] - joints[hip], down)
    rotations[knee] = _shortest_rotation(joints[ankle] - joints[knee], down)


def _orthonormal_frame(first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Orthonormal columns: along `first`, along `second` made perpendicular to it, and their cross product."""
    x = first / np.linalg.norm(first)
    y = second - (second @ x) * x
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], -1)


def _shortest_rotation(source: np.ndarray, target: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that turns `source` into the direction of `target`."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(source, target)
    sine = np.linalg.norm(axis)
    return matrix_from_rotvec(axis / max(sine, 1e-12) * np.arctan2(sine, source @ target))
