"""`--solver none`: the detector's estimates as they are, without the joint fit (the paper's ablation "w/o Tracker").

Only the translation is found, frame by frame: the one with which the posed body lies on the detector's points, by
linear least squares, then a moving average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.track import gn
from stages.track.initial_guess import interpolated, moving_average
from stages.track.jacobian import pose_keypoints
from stages.track.solvers import Losses, Task
from stages.track.state import State, kinematics

PLACED_BY = ("body", "rigid_face")
LEAST_POINTS = 3


def solve(task: Task, report_progress: Callable[[float], None]) -> State:
    """The start with the translation that its points ask for; where there are too few, that of the neighbours."""
    rows, values, weights = _equations(task)
    known = (weights > 0).sum(1) >= 2 * LEAST_POINTS
    moved = task.start.transl.copy()
    for frame in np.flatnonzero(known):
        weight = weights[frame][:, None]
        moved[frame] += np.linalg.lstsq(rows[frame] * weight, values[frame] * weight[:, 0], rcond=None)[0]
    known &= moved[:, 2] > 0
    filled = interpolated(moved, known) if known.any() else task.start.transl
    report_progress(1.0)
    return replace(task.start, transl=moving_average(filled, task.problem.seconds))


def _equations(
    task: Task,
) -> tuple[Float[np.ndarray, "frames rows 3"], Float[np.ndarray, "frames rows"], Float[np.ndarray, "frames rows"]]:
    """f (x + t_x) = u (z + t_z) and the same for y, linear in the shift t, with u from the picture's centre."""
    problem, start = task.problem, task.start
    pose = kinematics(problem.skeleton, start, derivatives=False)
    rows, values, weights = [], [], []
    for group in (task.groups[name] for name in PLACED_BY):
        points = pose_keypoints(group.keypoints, pose, start).points
        away = group.pixels - np.array(problem.centre_px)
        for axis in (0, 1):
            row = np.zeros(points.shape)
            row[..., axis], row[..., 2] = problem.focal_px, -away[..., axis]
            rows.append(row)
            values.append(away[..., axis] * points[..., 2] - problem.focal_px * points[..., axis])
            weights.append(group.per_pixel)
    return np.concatenate(rows, 1), np.concatenate(values, 1), np.concatenate(weights, 1)


def losses(task: Task, state: State) -> Losses:
    """The terms of gn's objective, for comparison."""
    return gn.losses(task, state)
