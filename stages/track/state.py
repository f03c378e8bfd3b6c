"""The unknowns of a fit: one pose per frame, one shape for all frames, and how a step changes them.

The columns of a frame are transl 3 | root 3 | 54 joints x 3 | expression. The root is a matrix and steps on the
manifold, R <- exp(d) R, because a person who faces the camera is near a half turn, where axis-angles wrap.
Frames: OpenCV camera, metres, radians.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES
from stages.body.rotations import matrix_from_rotvec
from stages.compiled import njit
from stages.track.collapse import Skeleton

ROOT_COLUMNS = slice(3, 6)
JOINTS_START = 6
EXPRESSION_START = 6 + 3 * 54
FRAMES_AT_ONCE = 256


@dataclass(frozen=True)
class State:
    """All unknowns, float64."""

    transl: Float[np.ndarray, "frames 3"]
    root: Float[np.ndarray, "frames 3 3"]
    theta: Float[np.ndarray, "frames 54 3"]
    """Axis-angle of every joint except the root, smplx order, radians."""
    psi: Float[np.ndarray, "frames expression"]
    shape: Float[np.ndarray, "shape"]
    """Fitted columns: betas | head betas | head_scale - 1 | hand_scale - 1."""

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.transl)

    @property
    def width(self) -> int:
        """Columns per frame."""
        return EXPRESSION_START + self.psi.shape[1]

    def rows(self, rows: slice | Int[np.ndarray, "chosen"]) -> State:
        """The same person in a subset of the frames."""
        return replace(self, transl=self.transl[rows], root=self.root[rows], theta=self.theta[rows], psi=self.psi[rows])

    def vector(self) -> Float[np.ndarray, "frames columns"]:
        """All columns as one array. The root columns are 0, because the root is not a vector."""
        root = np.zeros((len(self), 3))
        return np.concatenate([self.transl, root, self.theta.reshape(len(self), -1), self.psi], 1)

    def after_step(self, step: Float[np.ndarray, "frames columns"], shape_step: Float[np.ndarray, "shape"]) -> State:
        """The state after a step."""
        return State(
            transl=self.transl + step[:, :3],
            root=matrix_from_rotvec(step[:, ROOT_COLUMNS]) @ self.root,
            theta=self.theta + step[:, JOINTS_START:EXPRESSION_START].reshape(-1, 54, 3),
            psi=self.psi + step[:, EXPRESSION_START:],
            shape=self.shape + shape_step,
        )


def joint_columns(*joints: str | int) -> Int[np.ndarray, "columns"]:
    """Columns of joints given by name or number, not of the root."""
    numbers = [JOINT_NAMES.index(joint) if isinstance(joint, str) else joint for joint in joints]
    return np.concatenate([JOINTS_START + 3 * (number - 1) + np.arange(3) for number in numbers]).astype(np.int64)


def concatenate(states: list[State]) -> State:
    """The frames of several states one after the other, with the shape of the last state."""
    per_frame = {
        name: np.concatenate([getattr(s, name) for s in states]) for name in ("transl", "root", "theta", "psi")
    }
    return State(**per_frame, shape=states[-1].shape)


@dataclass(frozen=True)
class Kinematics:
    """The skeleton of a state in the camera frame, with the derivatives that a Jacobian needs."""

    world: Float[np.ndarray, "frames 55 3 3"]
    origin: Float[np.ndarray, "frames 55 3"]
    local: Float[np.ndarray, "frames 55 3 3"]
    joints: Float[np.ndarray, "55 3"]
    joint_dirs: Float[np.ndarray, "55 3 shape"]
    turn: Float[np.ndarray, "frames 55 3 3"] | None
    """Per joint, the map from a change of its axis-angle to the rotation vector it causes in the camera frame."""
    origin_dirs: Float[np.ndarray, "frames 55 3 shape"] | None


def kinematics(skeleton: Skeleton, state: State, derivatives: bool) -> Kinematics:
    """Pose the skeleton (smplx `batch_rigid_transform`). Camera frame, metres."""
    frames, shape = len(state), len(state.shape)
    joints = skeleton.joints + skeleton.joint_dirs @ state.shape
    local = np.empty((frames, 55, 3, 3))
    world, origin = np.empty_like(local), np.empty(local.shape[:3])
    parents = skeleton.parents.astype(np.int64)
    theta = np.ascontiguousarray(state.theta)
    _pose(parents, joints, np.ascontiguousarray(state.root), theta, np.ascontiguousarray(state.transl), local, world,
          origin)  # fmt: skip
    if not derivatives:
        return Kinematics(world, origin, local, joints, skeleton.joint_dirs, None, None)
    turn, origin_dirs = np.empty_like(local), np.empty((frames, 55, 3, shape))
    _differentiate(parents, skeleton.joint_dirs, theta, world, turn, origin_dirs)
    return Kinematics(world, origin, local, joints, skeleton.joint_dirs, turn, origin_dirs)


def joint_places(skeleton: Skeleton, state: State) -> Float[np.ndarray, "frames 55 3"]:
    """Joint positions in the camera frame, metres, computed in pieces so that a clip may have any length."""
    parts = [state.rows(slice(at, at + FRAMES_AT_ONCE)) for at in range(0, len(state), FRAMES_AT_ONCE)]
    return np.concatenate([kinematics(skeleton, part, derivatives=False).origin for part in parts])


@njit(nogil=True)
def _pose(parents, joints, root, theta, transl, local, world, origin):
    for t in range(len(local)):
        local[t, 0] = root[t]
        world[t, 0] = root[t]
        origin[t, 0] = joints[0] + transl[t]
        for joint in range(1, len(parents)):
            parent = parents[joint]
            bone = joints[joint] - joints[parent]
            x, y, z = theta[t, joint - 1]
            angle = np.sqrt(x * x + y * y + z * z)
            if angle < 1e-6:
                first, second = 1.0 - angle**2 / 6.0, 0.5 - angle**2 / 24.0
            else:
                first, second = np.sin(angle) / angle, (1.0 - np.cos(angle)) / angle**2
            _series(first, second, x, y, z, local[t, joint])
            for i in range(3):
                w = world[t, parent, i]
                for c in range(3):
                    world[t, joint, i, c] = (
                        w[0] * local[t, joint, 0, c] + w[1] * local[t, joint, 1, c] + w[2] * local[t, joint, 2, c]
                    )
                origin[t, joint, i] = w[0] * bone[0] + w[1] * bone[1] + w[2] * bone[2] + origin[t, parent, i]


@njit(nogil=True)
def _differentiate(parents, joint_dirs, theta, world, turn, origin_dirs):
    shape = joint_dirs.shape[2]
    left = np.empty((3, 3))
    for t in range(len(world)):
        turn[t, 0] = np.eye(3)
        origin_dirs[t, 0] = joint_dirs[0]
        for joint in range(1, len(parents)):
            parent = parents[joint]
            _left_jacobian(theta[t, joint - 1], left)
            for i in range(3):
                x, y, z = world[t, parent, i, 0], world[t, parent, i, 1], world[t, parent, i, 2]
                for c in range(3):
                    turn[t, joint, i, c] = x * left[0, c] + y * left[1, c] + z * left[2, c]
                for s in range(shape):
                    origin_dirs[t, joint, i, s] = (
                        x * (joint_dirs[joint, 0, s] - joint_dirs[parent, 0, s])
                        + y * (joint_dirs[joint, 1, s] - joint_dirs[parent, 1, s])
                        + z * (joint_dirs[joint, 2, s] - joint_dirs[parent, 2, s])
                        + origin_dirs[t, parent, i, s]
                    )


@njit(nogil=True)
def _left_jacobian(rotvec, out):
    """J_l with exp(v + d) = exp(J_l d) exp(v) to first order (Chirikjian 2011, eq. 10.86)."""
    x, y, z = rotvec
    angle = np.sqrt(x * x + y * y + z * z)
    if angle < 1e-4:
        first, second = 0.5 - angle**2 / 24, 1 / 6 - angle**2 / 120
    else:
        first, second = (1 - np.cos(angle)) / angle**2, (angle - np.sin(angle)) / angle**3
    _series(first, second, x, y, z, out)


@njit(nogil=True)
def _series(first, second, x, y, z, out):
    """I + first [v]x + second [v]x [v]x, of v = (x, y, z)."""
    out[0, 0] = 1.0 - second * (y * y + z * z)
    out[1, 1] = 1.0 - second * (x * x + z * z)
    out[2, 2] = 1.0 - second * (x * x + y * y)
    out[0, 1], out[1, 0] = second * x * y - first * z, second * x * y + first * z
    out[0, 2], out[2, 0] = second * x * z + first * y, second * x * z - first * y
    out[1, 2], out[2, 1] = second * y * z - first * x, second * y * z + first * x
