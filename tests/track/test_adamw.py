"""The paper's solver: its body equals that of gn, its schedule is the paper's, and it recovers a known motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.errors import InputError
from stages.track.adamw import moving_average, weights
from stages.track.adamw_body import TorchBody, collapse_vertices, farthest_point_sample, rotation_matrices
from stages.track.collapse import collapse, shape_columns, skeleton_of
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.jacobian import pose_keypoints
from stages.track.state import kinematics
from stages.track.terms import IN_FRONT, TERMS
from tests.motions import joint, standing
from tests.track.synthetic import observe
from tests.track.test_fit import aligned_error_mm
from tests.track.test_solver import NAMES, random_state

SHORT = TrackConfig(solver="adamw", adamw_steps=60, adamw_decay_step=48)


@pytest.fixture(scope="module")
def truth(body: Body) -> Motion:
    """Eight frames of a person whose head turns, whose mouth opens and whose left eye closes."""
    motion = standing(body, 8, seed=3, size=(640, 640))
    motion.poses[:, joint("head")][:, 1] = np.linspace(-0.3, 0.3, 8)
    motion.poses[:, joint("jaw")][:, 0] = np.linspace(0, 0.3, 8)
    motion.expression[:, body.expression_names.index("eyeBlinkLeft")] = np.linspace(0, 1, 8)
    return replace(motion, betas=0.3 * motion.betas, head_betas=0.3 * motion.head_betas)


def test_torch_points_are_the_collapsed_points(body: Body) -> None:
    """Keypoints and single vertices in torch equal those of the numpy solver within a millionth of a metre."""
    columns = shape_columns(body, 10, 25)
    skeleton, state = skeleton_of(body, columns), random_state(body)
    sets = (collapse(body, NAMES, columns), collapse_vertices(body, farthest_point_sample(body, 8), columns))
    pose = kinematics(skeleton, state, derivatives=False)
    expected = np.concatenate([pose_keypoints(each, pose, state).points for each in sets], 1)
    model = TorchBody.of(skeleton, sets, torch.float64)
    values = (torch.as_tensor(each) for each in (state.transl, state.root, state.theta, state.psi, state.shape))
    np.testing.assert_allclose(model.points(*values).transpose(0, 1).numpy(), expected, atol=1e-6)


def test_the_gradient_of_the_body_equals_finite_differences(body: Body) -> None:
    """The gradient through the skeleton and the pairs equals finite differences in every input."""
    columns, state = shape_columns(body, 2, 2), random_state(body, frames=2)
    model = TorchBody.of(skeleton_of(body, columns), (collapse(body, NAMES[:4], columns),), torch.float64)
    root = torch.as_tensor(state.root)
    theta, shape = torch.as_tensor(state.theta), torch.tensor([0.3, -0.2, 0.1, 0.2, 0.05, -0.05], dtype=torch.float64)
    random = torch.randn(2, 57 + len(body.expression_names), generator=torch.Generator().manual_seed(0)).double()

    def along(steps: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        turn = rotation_matrices(steps[:, None] * random[:, :3]) @ root
        bent = theta + steps[:, None, None] * random[:, 3:57, None]
        psi = torch.as_tensor(state.psi) + steps[:, None] * random[:, 57:]
        return model.points(torch.as_tensor(state.transl), turn, bent, psi, shape + change)

    zero = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(along, (zero, torch.zeros(6, dtype=torch.float64, requires_grad=True)))


def test_the_gradient_of_the_zero_rotation_is_finite() -> None:
    """Rodrigues' formula is differentiable at 0, where every hand starts."""
    zero = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    rotation_matrices(zero)[0, 2, 1].backward()
    assert zero.grad is not None
    assert zero.grad.tolist() == [[1.0, 0.0, 0.0]]


def test_the_schedule_is_the_papers() -> None:
    """1,250 steps; from step 1,000 smoothness weighs more, 3-D alignment weighs less and no other weight changes."""
    config = TrackConfig(solver="adamw")
    early, late = weights(config, 999), weights(config, 1000)
    assert (config.adamw_steps, config.adamw_lr_pose, config.adamw_lr_camera) == (1250, 1e-3, 5e-3)
    assert (config.adamw_lr_identity, config.adamw_lambda_z, config.adamw_expression_bound) == (1e-4, 10.0, 4.0)
    assert early.keys() == TERMS.keys() - {IN_FRONT}
    for name in early:
        kind = name.partition("_")[0]
        change = {"smooth": 1, "align": -1}.get(kind, 0)
        assert np.sign(late[name] - early[name]) == change, name


def test_initial_poses_are_averaged_over_time(body: Body) -> None:
    """A single outlier frame moves towards its neighbours; constant poses do not change."""
    state = random_state(body, frames=1).rows(np.zeros(9, int))
    seconds = np.arange(9) / 30
    same = moving_average(state, seconds, 0.17)
    np.testing.assert_allclose(same.theta, state.theta, atol=1e-9)
    np.testing.assert_allclose(same.root, state.root, atol=1e-9)
    state.transl[4] += 1.0
    np.testing.assert_allclose(moving_average(state, seconds, 0.17).transl[4], same.transl[4] + 0.2, atol=1e-9)


def test_a_known_motion_is_recovered(body: Body, truth: Motion) -> None:
    """The full schedule on exact keypoints: head and hands within 8 mm, upper body within 25 mm, after alignment."""
    found = fit(observe(body, truth), body, TrackConfig(solver="adamw", focal_px=float(truth.K[0, 0, 0])))
    ours, theirs = (pose_motion(body, motion).vertices for motion in (found, truth))
    limits = {("head",): 6.0, ("left_hand",): 8.0, ("right_hand",): 8.0, ("torso", "left_arm", "right_arm"): 25.0}
    for parts, limit in limits.items():
        chosen = body.part_vertices(*parts)
        errors = [aligned_error_mm(a[chosen], b[chosen]) for a, b in zip(ours, theirs, strict=True)]
        assert np.mean(errors) < limit, parts
    jaw = joint("jaw")
    assert np.corrcoef(found.poses[:, jaw][:, 0], truth.poses[:, jaw][:, 0])[0, 1] > 0.95
    assert set(found.provenance.notes["losses"]) == set(TERMS) - {IN_FRONT}


def test_steps_lower_the_objective_and_repeat(body: Body, truth: Motion) -> None:
    """60 steps reach a lower reprojection error than 1 step; the same run twice gives exactly the same motion."""
    observations = observe(body, truth, noise=1.0)
    one, sixty = (fit(observations, body, replace(SHORT, adamw_steps=steps)) for steps in (1, 60))
    for name in ("keypoints_body", "keypoints_hands", "keypoints_face"):
        assert sixty.provenance.notes["losses"][name] < one.provenance.notes["losses"][name]
    np.testing.assert_array_equal(fit(observations, body, SHORT).poses, sixty.poses)


def test_a_window_continues_from_the_frame_before_it(body: Body, truth: Motion) -> None:
    """Windows of four frames: the movement across the border is at most twice the movement inside a window."""
    config = replace(SHORT, adamw_steps=200, window_frames=4, overlap_frames=2, identity_frames=4)
    joints = pose_motion(body, fit(observe(body, truth), body, config)).joints
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)[:, :22].mean(1)
    assert steps[3] < 2 * np.median(steps) + 0.002


@pytest.mark.parametrize("solver", ["gn", "adamw"])
@pytest.mark.parametrize("term", ["keypoints_face", "align_hands", "prior_pose", "smooth_pose", "prior_shape"])
def test_a_term_can_be_left_out(body: Body, truth: Motion, solver: str, term: str) -> None:
    """A fit without a term gives finite numbers and another motion than the fit with it."""
    short = replace(SHORT, solver=solver, rigid_iterations=2, joint_iterations=2)
    observations = observe(body, truth, noise=1.0).select(slice(0, 3))
    whole, without = fit(observations, body, short), fit(observations, body, replace(short, terms_off=(term,)))
    assert np.isfinite(without.poses).all()
    changed = (without.poses != whole.poses).any() or (without.betas != whole.betas).any()
    assert changed
    if term != "keypoints_face":
        return
    assert without.provenance.notes["losses"][term] == 0


def test_an_unknown_term_is_an_input_error(body: Body, truth: Motion) -> None:
    """A misspelt term is a one-line error that lists the right names."""
    with pytest.raises(InputError, match=r"terms_off names 'smoth_pose'.*smooth_pose"):
        fit(observe(body, truth), body, TrackConfig(terms_off=("smoth_pose",)))
    with pytest.raises(InputError, match=r"choose: gn, adamw"):
        TrackConfig(solver="adam")
