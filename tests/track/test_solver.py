"""Parts of the solver against slow twins: collapsed skinning, its derivative, the linear solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.model import Body, keypoints_from, pose_body, shape_vector, shaped_template
from stages.track.block_arrow import solve
from stages.track.collapse import CollapsedKeypoints, collapse, shape_columns, skeleton_of
from stages.track.jacobian import keypoint_jacobian, moving_columns, pose_keypoints
from stages.track.state import State, kinematics
from tests.motions import standing

NAMES = ("pose_11", "pose_15", "pose_28", "face_013", "face_033", "face_152", "left_hand_08", "right_hand_05")


def random_state(body: Body, frames: int = 3, seed: int = 0) -> State:
    """Random poses of a random person in front of the camera."""
    random = np.random.default_rng(seed)
    theta = 0.3 * random.normal(size=(frames, 54, 3))
    root = np.tile(np.diag([1.0, -1.0, -1.0]), (frames, 1, 1))
    shape = np.concatenate([0.5 * random.normal(size=35), [0.05, -0.05]])
    return State(
        np.tile([0.1, 0.2, 2.5], (frames, 1)), root, theta, random.random((frames, len(body.expression_names))), shape
    )


@pytest.fixture(scope="module")
def collapsed(body: Body) -> CollapsedKeypoints:
    """A few keypoints of body, face and hands."""
    return collapse(body, NAMES, shape_columns(body, 10, 25))


def test_collapsed_keypoints_equal_the_full_mesh(body: Body, collapsed: CollapsedKeypoints) -> None:
    """Collapsed keypoints equal those of the skinned mesh of 13,718 vertices within 0.2 mm."""
    state = random_state(body)
    pose = kinematics(skeleton_of(body, shape_columns(body, 10, 25)), state, derivatives=False)
    ours = pose_keypoints(collapsed, pose, state).points
    template = shaped_template(
        body, shape_vector(body, state.shape[:10], state.shape[10:35], 1 + state.shape[-2], 1 + state.shape[-1])
    )
    from stages.body.rotations import rotvec_from_matrix

    poses = np.concatenate([rotvec_from_matrix(state.root)[:, None], state.theta], 1).reshape(-1, 165)
    posed = pose_body(
        body,
        template,
        poses.astype(np.float32),
        state.transl.astype(np.float32),
        state.psi.astype(np.float32),
        1 + state.shape[-2],
    )
    wanted = [body.keypoint_names.index(name) for name in NAMES]
    theirs = keypoints_from(body, template, posed)[:, wanted]
    assert np.abs(ours - theirs).max() < 2e-4


def test_jacobian_equals_finite_differences(body: Body, collapsed: CollapsedKeypoints) -> None:
    """Every column of the analytic derivative, also of the shape, equals central differences."""
    state = random_state(body, frames=1, seed=1)
    skeleton = skeleton_of(body, shape_columns(body, 10, 25))
    direction = np.random.default_rng(2).normal(size=(1, len(NAMES), 2, 3))
    pose = kinematics(skeleton, state, derivatives=True)
    analytic = keypoint_jacobian(collapsed, pose, pose_keypoints(collapsed, pose, state), state, direction)

    def measured(changed: State) -> np.ndarray:
        posed = kinematics(skeleton, changed, derivatives=False)
        return np.einsum("tkrc,tkc->tkr", direction, pose_keypoints(collapsed, posed, changed).points)

    columns = moving_columns(collapsed, state.psi.shape[1])
    steps = [(column, None) for column in columns] + [(None, entry) for entry in range(len(state.shape))]
    assert analytic.shape[-1] == len(steps)
    for place_of, (column, entry) in enumerate(steps):
        step, shape_step = np.zeros((1, state.width)), np.zeros(len(state.shape))
        (step[0] if entry is None else shape_step)[column if entry is None else entry] = 1e-6
        numeric = (measured(state.after_step(step, shape_step)) - measured(state.after_step(-step, -shape_step))) / 2e-6
        np.testing.assert_allclose(analytic[..., place_of], numeric, atol=2e-6, err_msg=f"column {place_of}")


def fitted(body: Body, noise: float = 1.0):
    """A fit of three noisy frames before it has begun, and its targets."""
    from stages.track.config import TrackConfig
    from stages.track.fit import _Clip, _Fit
    from tests.track.synthetic import observe

    seen = observe(body, standing(body, 3, seed=1), noise=noise)
    work = _Fit(_Clip.of(seen, body, TrackConfig()), TrackConfig(), lambda *words: None)
    return work, work._task(random_state(body), np.arange(3), work._active_shape(), None)


@pytest.mark.parametrize("part", ["body", "left_hand"])
def test_the_gradient_of_every_residual_is_exact(body: Body, part: str) -> None:
    """The gradient of the normal equations equals central differences of the cost: also for depths of bodies, which are
    scaled by the fitted size, of hands, which are scaled by their distance, and for a known height."""
    from stages.track.fit import stature_of
    from stages.track.objective import NormalEquations, cost, normal_equations, with_groups

    task = fitted(body)[1]
    group = replace(task.groups[part], robust=np.inf)
    known = stature_of(body, shape_columns(body, 10, 25), 170.0)
    problem = replace(with_groups(task.problem, (group,), robust_depth=False), stature=known)
    state, columns, shape = task.start, np.ones(task.start.width, bool), np.ones(len(task.start.shape), bool)
    normal = NormalEquations.zeros(3, state.width, len(shape))
    normal_equations(problem, state, columns, shape, normal)
    random = np.random.default_rng(0)
    for _ in range(4):
        step, shape_step = random.normal(size=(3, state.width)), random.normal(size=len(shape))
        slope = -2 * float((normal.gradient * step).sum() + normal.shape_gradient @ shape_step)
        ahead, back = (cost(problem, state.after_step(h * step, h * shape_step)) for h in (1e-6, -1e-6))
        assert slope == pytest.approx((ahead - back) / 2e-6, rel=2e-3)


def test_a_camera_that_turns_moves_nobody(body: Body) -> None:
    """Seen by a shaking camera, a person who stands still costs no smoothness; without the camera's turn, much."""
    from stages.body.rotations import matrix_from_rotvec
    from stages.track.objective import link_residuals, with_drift

    work, task = fitted(body)
    still = random_state(body)
    still = replace(still, theta=0 * still.theta, psi=0 * still.psi)
    R = matrix_from_rotvec(np.array([[0, 0, 0], [0.02, -0.05, 0.01], [-0.03, 0.04, 0.0]]))  # camera to world
    pelvis = work.skeleton.joints[0] + work.skeleton.joint_dirs[0] @ still.shape
    transl = np.einsum("tji,tj->ti", R, still.transl + pelvis) - pelvis
    seen = replace(still, transl=transl, root=R.swapaxes(-1, -2) @ still.root)
    turn = np.concatenate([np.eye(3)[None], R[1:].swapaxes(-1, -2) @ R[:-1]])
    known = with_drift(replace(task.problem, turn=turn), seen)
    np.testing.assert_allclose(link_residuals(known, seen), 0, atol=1e-6)
    assert np.abs(link_residuals(task.problem, seen)).max() > 3


def test_depth_residuals_do_not_know_the_scale(body: Body) -> None:
    """A hand twice as large at twice the distance has the same residuals; a body of another size, whose depths are as
    much larger, too."""
    from stages.track.objective import residuals

    work, task = fitted(body)
    random = np.random.default_rng(0)
    hand, whole = task.groups["left_hand"], task.groups["body"]
    points = np.array([0, 0, 2.0]) + 0.1 * random.normal(size=(3, 21, 3))
    shape = np.zeros(len(task.start.shape))
    near, far = (residuals(task.problem, hand, factor * points, shape)[1] for factor in (1, 2))
    np.testing.assert_allclose(near, far, atol=1e-9)
    larger = shape.copy()
    larger[0] = 1.0
    size = work.skeleton.size(larger)[0]
    assert abs(size - 1) > 0.03
    points = np.array([0, 0, 2.0]) + 0.3 * random.normal(size=(3, len(whole.keypoints), 3))
    mean, scaled = (residuals(task.problem, whole, f * points, s)[1] for f, s in ((1, shape), (size, larger)))
    np.testing.assert_allclose(mean, scaled, atol=1e-9)


def test_block_arrow_solver_equals_a_dense_solve() -> None:
    """Block elimination with a shared shape gives the solution of the dense system."""
    random = np.random.default_rng(0)
    frames, columns, shape = 5, 4, 3
    size = frames * columns + shape
    dense = np.zeros((size, size))
    blocks, between = np.empty((frames, columns, columns)), -random.random((frames - 1, columns))
    arrow = random.normal(size=(frames, columns, shape))
    for frame in range(frames):
        half = random.normal(size=(columns, columns))
        blocks[frame] = half @ half.T + 20 * np.eye(columns)
        at = slice(frame * columns, (frame + 1) * columns)
        dense[at, at] = blocks[frame]
        dense[at, -shape:], dense[-shape:, at] = arrow[frame], arrow[frame].T
        if frame:
            link = np.diag(between[frame - 1])
            before = slice((frame - 1) * columns, frame * columns)
            dense[at, before] = dense[before, at] = link
    shape_block = 50 * np.eye(shape)
    dense[-shape:, -shape:] = shape_block
    gradient, shape_gradient = random.normal(size=(frames, columns)), random.normal(size=shape)
    expected = np.linalg.solve(dense, np.concatenate([gradient.ravel(), shape_gradient]))
    x, s = solve(blocks, between, arrow, shape_block, gradient, shape_gradient)
    np.testing.assert_allclose(np.concatenate([x.ravel(), s]), expected, atol=1e-10)


def test_shape_columns_are_betas_head_betas_and_scales(body: Body) -> None:
    """The fitted columns are the first betas, the first head betas, and both scales at the end."""
    columns = shape_columns(body, 10, 25)
    assert len(columns) == 37
    assert list(columns[-2:]) == [body.shapedirs.shape[2] - 2, body.shapedirs.shape[2] - 1]
    assert columns[10] == body.num_betas
    assert standing(body).betas.shape == (10,)


def test_the_terms_sum_to_the_objective(body: Body) -> None:
    """The Gauss-Newton losses by name sum to the cost that the solver minimises, so no term is missing."""
    from stages.detect.gates import gate
    from stages.track.config import TrackConfig
    from stages.track.fit import _Clip, _Fit
    from stages.track.gn import SECOND_STAGE, gn_losses
    from stages.track.objective import cost, with_groups
    from tests.track.synthetic import observe

    observations = observe(body, standing(body, 3, seed=1), noise=1.0)
    assert gate(observations).valid.all()
    work = _Fit(_Clip.of(observations, body, TrackConfig()), TrackConfig(), lambda *words: None)
    state = random_state(body)
    task = work._task(state, np.arange(3), work._active_shape(), None)
    groups = {name: task.groups[name] for name in SECOND_STAGE}
    whole = cost(with_groups(task.problem, tuple(groups.values()), robust_depth=True), state)
    assert sum(value.sum() for value in gn_losses(task.problem, groups, state).values()) == pytest.approx(whole)
