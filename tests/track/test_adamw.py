"""The paper's solver: its body is the same body, its schedule is the paper's, and it finds a known motion again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.errors import InputError
from stages.track.adamw import averaged, weights
from stages.track.adamw_body import TorchBody, collapse_vertices, rotation_matrices, spread_vertices
from stages.track.collapse import collapse, shape_columns, skeleton_of
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.jacobian import place
from stages.track.state import kinematics
from stages.track.terms import TERMS
from tests.motions import joint, standing
from tests.track.synthetic import observe
from tests.track.test_fit import aligned_error_mm
from tests.track.test_solver import NAMES, random_state

SHORT = TrackConfig(solver="adamw", adamw_steps=60, adamw_decay_step=48)


@pytest.fixture(scope="module")
def truth(body: Body) -> Motion:
    """Eight frames of a person whose head turns, mouth opens and left eye closes."""
    motion = standing(body, 8, seed=3, size=(640, 640))
    motion.poses[:, joint("head")][:, 1] = np.linspace(-0.3, 0.3, 8)
    motion.poses[:, joint("jaw")][:, 0] = np.linspace(0, 0.3, 8)
    motion.expression[:, body.expression_names.index("eyeBlinkLeft")] = np.linspace(0, 1, 8)
    return replace(motion, betas=0.3 * motion.betas, head_betas=0.3 * motion.head_betas)


def test_torch_points_are_the_collapsed_points(body: Body) -> None:
    """Keypoints and single vertices in torch equal the numpy solver's to a millionth of a metre."""
    columns = shape_columns(body, 10, 25)
    skeleton, state = skeleton_of(body, columns), random_state(body)
    sets = (collapse(body, NAMES, columns), collapse_vertices(body, spread_vertices(body, 8), columns))
    pose = kinematics(skeleton, state, derivatives=False)
    expected = np.concatenate([place(each, pose, state).points for each in sets], 1)
    model = TorchBody.of(skeleton, sets, torch.float64)
    values = (torch.as_tensor(each) for each in (state.transl, state.root, state.theta, state.psi, state.shape))
    np.testing.assert_allclose(model.points(*values).transpose(0, 1).numpy(), expected, atol=1e-6)


def test_the_gradient_of_the_body_is_that_of_finite_differences(body: Body) -> None:
    """Backward through the skeleton's levels and the pairs agrees with finite differences in every input."""
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


def test_no_rotation_has_a_finite_gradient() -> None:
    """Rodrigues' formula is differentiable at zero, where every hand starts."""
    zero = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    rotation_matrices(zero)[0, 2, 1].backward()
    assert zero.grad is not None
    assert zero.grad.tolist() == [[1.0, 0.0, 0.0]]


def test_the_schedule_is_the_papers() -> None:
    """1,250 steps; from step 1,000 smoothness weighs more and 3-D alignment less; the rest stays."""
    config = TrackConfig(solver="adamw")
    early, late = weights(config, 999), weights(config, 1000)
    assert (config.adamw_steps, config.adamw_lr_pose, config.adamw_lr_camera) == (1250, 1e-3, 5e-3)
    assert (config.adamw_lr_identity, config.adamw_lambda_z, config.adamw_expression_bound) == (1e-4, 10.0, 4.0)
    assert early.keys() == TERMS.keys()
    for name in TERMS:
        kind = name.partition("_")[0]
        change = {"smooth": 1, "align": -1}.get(kind, 0)
        assert np.sign(late[name] - early[name]) == change, name


def test_initial_poses_are_averaged_over_time(body: Body) -> None:
    """One flipped frame among steady ones is pulled to its neighbours; steady poses stay as they are."""
    state = random_state(body, frames=1).rows(np.zeros(9, int))
    seconds = np.arange(9) / 30
    same = averaged(state, seconds, 0.17)
    np.testing.assert_allclose(same.theta, state.theta, atol=1e-9)
    np.testing.assert_allclose(same.root, state.root, atol=1e-9)
    state.transl[4] += 1.0
    np.testing.assert_allclose(averaged(state, seconds, 0.17).transl[4], same.transl[4] + 0.2, atol=1e-9)


def test_a_known_motion_is_found_again(body: Body, truth: Motion) -> None:
    """The full schedule on exact keypoints: head, hands and upper body within millimetres after scale alignment."""
    found = fit(observe(body, truth), body, TrackConfig(solver="adamw", focal_px=float(truth.K[0, 0, 0])))
    ours, theirs = (pose_motion(body, motion).vertices for motion in (found, truth))
    limits = {("head",): 6.0, ("left_hand",): 8.0, ("right_hand",): 8.0, ("torso", "left_arm", "right_arm"): 25.0}
    for parts, limit in limits.items():
        chosen = body.part_vertices(*parts)
        errors = [aligned_error_mm(a[chosen], b[chosen]) for a, b in zip(ours, theirs, strict=True)]
        assert np.mean(errors) < limit, parts
    jaw = joint("jaw")
    assert np.corrcoef(found.poses[:, jaw][:, 0], truth.poses[:, jaw][:, 0])[0, 1] > 0.95
    assert set(found.provenance.notes["losses"]) == set(TERMS)


def test_steps_lower_the_objective_and_repeat(body: Body, truth: Motion) -> None:
    """Sixty steps lower the reprojection of one; the same run twice is the same motion to the bit."""
    observations = observe(body, truth, noise=1.0)
    one, sixty = (fit(observations, body, replace(SHORT, adamw_steps=steps)) for steps in (1, 60))
    for name in ("keypoints_body", "keypoints_hands", "keypoints_face"):
        assert sixty.provenance.notes["losses"][name] < one.provenance.notes["losses"][name]
    np.testing.assert_array_equal(fit(observations, body, SHORT).poses, sixty.poses)


def test_a_window_remembers_the_frame_before_it(body: Body, truth: Motion) -> None:
    """Windows of four frames: the step across the border is no larger than twice the steps within."""
    config = replace(SHORT, adamw_steps=200, window_frames=4, overlap_frames=2, identity_frames=4)
    joints = pose_motion(body, fit(observe(body, truth), body, config)).joints
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)[:, :22].mean(1)
    assert steps[3] < 2 * np.median(steps) + 0.002


@pytest.mark.parametrize("solver", ["gn", "adamw"])
@pytest.mark.parametrize("term", ["keypoints_face", "align_hands", "prior_pose", "smooth_pose", "prior_shape"])
def test_a_term_can_be_left_out(body: Body, truth: Motion, solver: str, term: str) -> None:
    """Without a term the fit still ends in finite numbers, and in another motion than with it."""
    short = replace(SHORT, solver=solver, rigid_iterations=2, joint_iterations=2)
    observations = observe(body, truth, noise=1.0).select(slice(0, 3))
    whole, without = fit(observations, body, short), fit(observations, body, replace(short, terms_off=(term,)))
    assert np.isfinite(without.poses).all()
    changed = (without.poses != whole.poses).any() or (without.betas != whole.betas).any()
    assert changed
    if term != "keypoints_face":
        return
    assert without.provenance.notes["losses"][term] == 0


def test_a_term_that_does_not_exist_is_refused(body: Body, truth: Motion) -> None:
    """A misspelt term is one sentence that names the right ones."""
    with pytest.raises(InputError, match=r"terms_off names 'smoth_pose'.*smooth_pose"):
        fit(observe(body, truth), body, TrackConfig(terms_off=("smoth_pose",)))
    with pytest.raises(InputError, match=r"choose: gn, adamw"):
        TrackConfig(solver="adam")
