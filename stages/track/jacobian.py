"""Collapsed keypoints in the camera frame, and the analytic derivative of any linear measurement of them.

A rotation w of joint m moves a keypoint by w x (sum_p y_p - b_p o_m) over the pairs p that hang on m, so a row
q . dx is w . (m x q): one cross product per keypoint, joint and row, and no 3x3 matrix per keypoint.
The pose correctives of a licensed body enter the positions; their derivative is left out (notes/tracker 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stages.track.collapse import Collapsed
from stages.track.state import EXPRESSION_START, Kinematics, State, joint_columns


@dataclass(frozen=True)
class Placed:
    """Collapsed keypoints posed by a state."""

    points: Float[np.ndarray, "frames keypoints 3"]
    local: Float[np.ndarray, "frames pairs 3"]
    """W_j (a_kj - b_kj J_j) + b_kj o_j: what each pair contributes."""
    expression_offset: Float[np.ndarray, "frames pairs 3"] | None
    """The expression's rest offset at head scale 1: the derivative by head scale."""


def place(keypoints: Collapsed, pose: Kinematics, state: State) -> Placed:
    """Camera-space positions of the keypoints, metres."""
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
    return Placed(np.add.reduceat(local, keypoints.pair_start, axis=1), local, offset)


def columns_of(keypoints: Collapsed, expression: int) -> Int[np.ndarray, "columns"]:
    """Frame columns that move these keypoints, in the order of `measure`."""
    parts = [np.arange(6), joint_columns(*keypoints.ancestors)]
    if keypoints.expression_dirs.any():
        parts.append(EXPRESSION_START + np.arange(expression))
    return np.concatenate(parts)


def measure(
    keypoints: Collapsed,
    pose: Kinematics,
    placed: Placed,
    state: State,
    direction: Float[np.ndarray, "frames keypoints rows 3"],
) -> Float[np.ndarray, "frames keypoints rows columns"]:
    """Derivative of direction . point by the columns of `columns_of`, then by the shape."""
    assert pose.turn is not None
    frames, count, rows, _ = direction.shape
    has_expression = placed.expression_offset is not None
    shape = len(state.shape)
    expression = state.psi.shape[1] if has_expression else 0
    turns = 6 + 3 * len(keypoints.ancestors)
    out = np.zeros((frames, count, rows, turns + expression + shape))
    out[..., :3] = direction
    out[..., 3:6] = _cross(placed.points - pose.origin[:, :1], direction)
    for place_of, joint in enumerate(keypoints.ancestors):
        mask = keypoints.moved[place_of]
        touched = np.flatnonzero(np.add.reduceat(mask, keypoints.pair_start))
        lever = np.add.reduceat(placed.local * mask[:, None], keypoints.pair_start, axis=1)[:, touched]
        share = np.add.reduceat(keypoints.weight * mask, keypoints.pair_start)[touched]
        lever = lever - share[:, None] * pose.origin[:, joint : joint + 1]
        rows_of = _cross(lever, direction[:, touched]).reshape(frames, -1, 3) @ pose.turn[:, joint]
        at = 6 + 3 * place_of
        out[:, touched, :, at : at + 3] = rows_of.reshape(frames, len(touched), rows, 3)
    _measure_shape(keypoints, pose, placed, state, direction, out[..., turns:])
    return out


def _measure_shape(keypoints, pose, placed, state, direction, out) -> None:
    """Add the derivative by expression (if any) and shape to `out`, joint by joint."""
    frames, _, rows, _ = direction.shape
    shape = len(state.shape)
    head_scale = 1.0 + state.shape[-2]
    expression = out.shape[-1] - shape
    for joint in np.unique(keypoints.pair_joint):
        pairs = np.flatnonzero(keypoints.pair_joint == joint)
        touched = keypoints.pair_keypoint[pairs]
        chosen = direction[:, touched].reshape(frames, -1, 3)
        inside = (chosen @ pose.world[:, joint]).reshape(frames, len(pairs), rows, 3)
        by_pair = inside.transpose(1, 0, 2, 3).reshape(len(pairs), frames * rows, 3)
        weight = keypoints.weight[pairs]
        dirs = keypoints.shape_dirs[pairs] - weight[:, None, None] * pose.joint_dirs[joint]
        if expression:
            dirs = np.concatenate([head_scale * keypoints.expression_dirs[pairs], dirs], -1)
        part = (by_pair @ dirs).reshape(len(pairs), frames, rows, -1).transpose(1, 0, 2, 3)
        moved = (chosen @ pose.origin_dirs[:, joint]).reshape(frames, len(pairs), rows, shape)
        out[:, touched] += part
        out[:, touched, :, expression:] += weight[:, None, None] * moved
        if expression:
            out[..., -2][:, touched] += np.einsum("tprc,tpc->tpr", inside, placed.expression_offset[:, pairs])


def _cross(lever: Float[np.ndarray, "frames keypoints 3"], direction: Float[np.ndarray, "frames keypoints rows 3"]):
    """lever x direction, row by row."""
    lx, ly, lz = (lever[..., None, axis] for axis in range(3))
    dx, dy, dz = (direction[..., axis] for axis in range(3))
    return np.stack([ly * dz - lz * dy, lz * dx - lx * dz, lx * dy - ly * dx], -1)
