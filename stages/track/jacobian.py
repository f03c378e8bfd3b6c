"""Collapsed keypoints in the camera frame, and the analytic derivative of any linear measurement of them.

A rotation w of joint m moves a keypoint by w x l with the lever l = sum_p (y_p - b_p o_m) over the pairs p below m in
the skeleton. A row q . dx is therefore w . (l x q): one cross product per keypoint, joint and row, and no 3x3 matrix
per keypoint. The pose correctives of a licensed body change the positions; their derivative is left out (notes/tracker
4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stages.compiled import njit
from stages.track.collapse import CollapsedKeypoints
from stages.track.state import EXPRESSION_START, Kinematics, State, joint_columns


@dataclass(frozen=True)
class PosedKeypoints:
    """Collapsed keypoints posed by a state."""

    points: Float[np.ndarray, "frames keypoints 3"]
    local: Float[np.ndarray, "frames pairs 3"]
    """W_j (a_kj - b_kj J_j) + b_kj o_j: the contribution of each pair."""
    expression_offset: Float[np.ndarray, "frames pairs 3"] | None
    """Offset by the expression in the rest pose at head scale 1: the derivative by head scale."""


def pose_keypoints(keypoints: CollapsedKeypoints, pose: Kinematics, state: State) -> PosedKeypoints:
    """Positions of the keypoints in the camera frame, metres."""
    anchors = keypoints.weight[:, None] * pose.joints[keypoints.pair_joint]
    rest = keypoints.rest + keypoints.shape_dirs @ state.shape - anchors
    offset = None
    if keypoints.expression_dirs.any():
        flat = keypoints.expression_dirs.reshape(-1, keypoints.expression_dirs.shape[2])
        offset = (state.psi @ flat.T).reshape(len(state), -1, 3)
        rest = rest + (1.0 + state.shape[-2]) * offset
    else:
        rest = np.broadcast_to(rest, (len(state), *rest.shape))
    if keypoints.pose_dirs is not None:
        feature = (pose.local[:, 1:] - np.eye(3)).reshape(len(state), -1)
        rest = rest + (feature @ keypoints.pose_dirs.reshape(-1, 486).T).reshape(rest.shape)
    turned = np.einsum("tpab,tpb->tpa", pose.world[:, keypoints.pair_joint], rest)
    local = turned + keypoints.weight[:, None] * pose.origin[:, keypoints.pair_joint]
    return PosedKeypoints(np.add.reduceat(local, keypoints.pair_start, axis=1), local, offset)


def moving_columns(keypoints: CollapsedKeypoints, expression: int) -> Int[np.ndarray, "columns"]:
    """Frame columns that move these keypoints, in the order of `keypoint_jacobian`."""
    parts = [np.arange(6), joint_columns(*keypoints.ancestors)]
    if keypoints.expression_dirs.any():
        parts.append(EXPRESSION_START + np.arange(expression))
    return np.concatenate(parts)


def keypoint_jacobian(
    keypoints: CollapsedKeypoints,
    pose: Kinematics,
    placed: PosedKeypoints,
    state: State,
    direction: Float[np.ndarray, "frames keypoints rows 3"],
) -> Float[np.ndarray, "frames keypoints rows columns"]:
    """Derivative of direction . point by the columns of `moving_columns`, followed by the shape."""
    assert pose.turn is not None
    assert pose.origin_dirs is not None
    shape, turns = len(state.shape), 6 + 3 * len(keypoints.ancestors)
    rest_dirs = keypoints.shape_dirs - keypoints.weight[:, None, None] * pose.joint_dirs[keypoints.pair_joint]
    offset = placed.expression_offset
    if offset is None:
        offset = np.zeros((0, 0, 3))
    else:
        rest_dirs = np.concatenate([(1.0 + state.shape[-2]) * keypoints.expression_dirs, rest_dirs], -1)
    out = np.zeros((*direction.shape[:3], turns + rest_dirs.shape[2]))
    _jacobian_by_rotations(
        np.array(keypoints.ancestors, np.int64), keypoints.moved > 0, keypoints.pair_keypoint, keypoints.weight,
        placed.points, placed.local, pose.origin, pose.turn, direction, out,
    )  # fmt: skip
    _jacobian_by_expression_and_shape(
        keypoints.pair_keypoint, keypoints.pair_joint, keypoints.weight, rest_dirs, offset, pose.world,
        pose.origin_dirs, direction, turns, turns + rest_dirs.shape[2] - shape, out,
    )  # fmt: skip
    return out


@njit(nogil=True)
def _jacobian_by_rotations(ancestors, moved, pair_keypoint, weight, points, local, origin, turn, direction, out):
    """Derivatives by translation, root and every ancestor, frame by frame, so that a row stays in the cache."""
    frames, count, rows, _ = direction.shape
    lever = np.empty((count, 4))
    for t in range(frames):
        for k in range(count):
            away = points[t, k] - origin[t, 0]
            for r in range(rows):
                row, q = out[t, k, r], direction[t, k, r]
                row[:3] = q
                row[3], row[4], row[5] = _cross(away[0], away[1], away[2], q)
        for a in range(len(ancestors)):
            joint = ancestors[a]
            lever[:] = 0.0
            for p in range(len(pair_keypoint)):
                if moved[a, p]:
                    k = pair_keypoint[p]
                    lever[k, :3] += local[t, p]
                    lever[k, 3] += weight[p]
            for k in range(count):
                if lever[k, 3] == 0.0:
                    continue
                x, y, z = lever[k, :3] - lever[k, 3] * origin[t, joint]
                for r in range(rows):
                    wx, wy, wz = _cross(x, y, z, direction[t, k, r])
                    for c in range(3):
                        out[t, k, r, 6 + 3 * a + c] = (
                            wx * turn[t, joint, 0, c] + wy * turn[t, joint, 1, c] + wz * turn[t, joint, 2, c]
                        )


@njit(nogil=True)
def _jacobian_by_expression_and_shape(
    pair_keypoint, pair_joint, weight, dirs, offset, world, origin_dirs, direction, begin, shape, out
):
    """Derivatives by expression (from column `begin`, if any) and by shape (from column `shape`)."""
    frames, _, rows, _ = direction.shape
    columns = dirs.shape[2]
    inner = shape - begin
    for t in range(frames):
        for p in range(len(pair_keypoint)):
            k, joint = pair_keypoint[p], pair_joint[p]
            for r in range(rows):
                q, row = direction[t, k, r], out[t, k, r]
                x = q[0] * world[t, joint, 0, 0] + q[1] * world[t, joint, 1, 0] + q[2] * world[t, joint, 2, 0]
                y = q[0] * world[t, joint, 0, 1] + q[1] * world[t, joint, 1, 1] + q[2] * world[t, joint, 2, 1]
                z = q[0] * world[t, joint, 0, 2] + q[1] * world[t, joint, 1, 2] + q[2] * world[t, joint, 2, 2]
                for c in range(columns):
                    row[begin + c] += x * dirs[p, 0, c] + y * dirs[p, 1, c] + z * dirs[p, 2, c]
                ox, oy, oz = weight[p] * q[0], weight[p] * q[1], weight[p] * q[2]
                for c in range(columns - inner):
                    row[shape + c] += (
                        ox * origin_dirs[t, joint, 0, c] + oy * origin_dirs[t, joint, 1, c]
                        + oz * origin_dirs[t, joint, 2, c]
                    )  # fmt: skip
                if inner:
                    row[len(row) - 2] += x * offset[t, p, 0] + y * offset[t, p, 1] + z * offset[t, p, 2]


@njit(nogil=True, inline="always")
def _cross(x, y, z, q):
    """(x, y, z) x q."""
    return y * q[2] - z * q[1], z * q[0] - x * q[2], x * q[1] - y * q[0]
