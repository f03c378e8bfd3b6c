"""A person in the world, or seen by a camera that does not move, instead of from the camera of each row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import Body, motion_template
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix

NEAREST_M = 0.1
"""A person nearer to the still camera's plane than this is not drawn, metres."""


def moved(
    motion: Motion, body: Body, R: Float[np.ndarray, "frames 3 3"], t: Float[np.ndarray, "frames 3"]
) -> tuple[Float[np.ndarray, "frames 165"], Float[np.ndarray, "frames 3"]]:
    """`poses` and `trans` with every point x of the person at R x + t; smplx turns the root about the pelvis joint."""
    poses = motion.poses.astype(np.float64)
    poses[:, :3] = rotvec_from_matrix(R @ matrix_from_rotvec(poses[:, :3]))
    pelvis = body.J_regressor[0] @ motion_template(body, motion)
    return poses, np.einsum("tij,tj->ti", R, motion.trans + pelvis) + t - pelvis


def with_still_camera(motion: Motion, body: Body) -> Motion:
    """The motion as if the camera of each shot had stood still where it was at first, with its first K.

    Rows in which the person is then not in front of the camera become invalid.
    """
    world, K = motion.world, motion.K.copy()
    R, t = world.R.copy(), world.t.copy()
    for rows in motion.shots:
        first = world.R[rows.start].T
        R[rows], t[rows] = first @ world.R[rows], (world.t[rows] - world.t[rows.start]) @ first.T
        K[rows] = motion.K[rows.start]
    poses, trans = moved(motion, body, R, t)
    behind = trans[:, 2] < NEAREST_M
    return replace(
        motion, poses=poses.astype(np.float32), trans=trans.astype(np.float32), K=K,
        valid=motion.valid & ~behind[:, None], world_R=None, world_t=None, camera=None,
    )  # fmt: skip
