"""`--solver gn`: Gauss-Newton in two stages: first the body and the rigid points of the head, then everything. A third
one brings hands in front of head and trunk where they came out behind their surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.body.model import JOINT_NAMES
from stages.track.gauss_newton import minimise
from stages.track.in_front import targets_in_front
from stages.track.jacobian import pose_keypoints
from stages.track.objective import (
    Problem,
    group_losses,
    link_residuals,
    prior_losses,
    shape_loss,
    with_drift,
    with_groups,
)
from stages.track.solvers import Losses, Task
from stages.track.state import EXPRESSION_START, ROOT_COLUMNS, State, joint_columns, kinematics
from stages.track.targets import TargetGroup
from stages.track.terms import IN_FRONT, TERMS, part_of_group

FIRST_STAGE = ("body", "rigid_face")
SECOND_STAGE = ("body", "face", "left_hand", "right_hand")
TRUST = 4.0
"""Factor on the robust width in the first stage. At the first guess a raised knee (photo p2) is 6 sigmas off, yet it is
no outlier."""


def solve(task: Task, report_progress: Callable[[float], None]) -> State:
    """Run both stages. Each stops when an iteration gains less than `tolerance`."""
    config = task.config
    total = config.rigid_iterations + config.joint_iterations
    trusting = tuple(replace(task.groups[name], robust=TRUST * task.groups[name].robust) for name in FIRST_STAGE)
    body_only = task.columns.copy()
    body_only[joint_columns(*range(JOINT_NAMES.index("jaw"), len(JOINT_NAMES)))] = False
    body_only[EXPRESSION_START:] = False
    steady = with_drift(task.problem, task.start)
    state = minimise(
        with_groups(steady, trusting, robust_depth=False), task.start, body_only, task.shape,
        config.rigid_iterations, config.tolerance, lambda done: report_progress(done / total),
    )  # fmt: skip
    every = tuple(task.groups[name] for name in SECOND_STAGE)
    steady = with_drift(task.problem, state)
    state = minimise(
        with_groups(steady, every, robust_depth=True), state, task.columns, task.shape,
        config.joint_iterations, config.tolerance,
        lambda done: report_progress((done + config.rigid_iterations) / total),
    )  # fmt: skip
    bounds = _bounds(task, state)
    if not bounds:
        return state
    still = np.zeros_like(task.shape)  # the surface is drawn once, for this shape
    return minimise(
        with_groups(with_drift(task.problem, state), (*every, *bounds), robust_depth=True), state, task.columns, still,
        config.joint_iterations, config.tolerance,
    )  # fmt: skip


def losses(task: Task, state: State) -> Losses:
    """The objective of the last stage, term by term."""
    every = {name: task.groups[name] for name in SECOND_STAGE}
    return gn_losses(with_drift(task.problem, state), every, state, _bounds(task, state))


def gn_losses(
    problem: Problem, groups: dict[str, TargetGroup], state: State, bounds: tuple[TargetGroup, ...] = ()
) -> dict[str, Float[np.ndarray, "frames"]]:
    """The Gauss-Newton objective by term and frame. The values sum to `objective.cost` with these groups. `bounds`: the
    targets of `in_front`."""
    problem = with_groups(problem, tuple(groups.values()), robust_depth=True)
    pose = kinematics(problem.skeleton, state, derivatives=False)
    absent = "limit_scale", "limit_depth", "smooth_vertices"
    losses = {name: np.zeros(len(state)) for name in TERMS if name not in absent}
    for name, group in groups.items():
        points = pose_keypoints(group.keypoints, pose, state).points
        pixels, depth = group_losses(problem, group, points, state.shape)
        losses[f"keypoints_{part_of_group(name)}"] += pixels
        if depth is not None:
            losses[f"align_{part_of_group(name)}"] += depth
    for group in bounds:
        depth = group_losses(problem, group, pose_keypoints(group.keypoints, pose, state).points, state.shape)[1]
        losses[IN_FRONT] += np.zeros(len(state)) if depth is None else depth
    prior, limit = prior_losses(problem, state)
    faces = slice(EXPRESSION_START, None)
    losses["prior_pose"] = prior[:, :EXPRESSION_START].sum(1)
    losses["prior_expression"] = prior[:, faces].sum(1)
    losses["limit_joints"] = limit[:, :EXPRESSION_START].sum(1)
    losses["limit_expression"] = limit[:, faces].sum(1)
    losses["prior_shape"][:] = shape_loss(problem, state)
    links = np.zeros((len(state), state.width))
    steps = link_residuals(problem, state)
    links[len(state) - len(steps) :] = steps**2
    losses["smooth_camera"] = links[:, : ROOT_COLUMNS.start].sum(1)
    losses["smooth_pose"] = links[:, ROOT_COLUMNS.start : EXPRESSION_START].sum(1)
    losses["smooth_expression"] = links[:, faces].sum(1)
    return losses


def _bounds(task: Task, state: State) -> tuple[TargetGroup, ...]:
    return () if IN_FRONT in task.config.terms_off else targets_in_front(task, state)
