"""A correct prior improves a fit of ambiguous observations; a prior without values changes nothing."""

from __future__ import annotations

import numpy as np

from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.priors.prior import BODY_JOINTS, HANDS, align_to_clip, empty_prior
from stages.track.collapse import shape_columns, skeleton_of
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.prior_targets import start_from_prior
from stages.track.state import State, kinematics
from tests.motions import joint, standing
from tests.track.synthetic import observe


def _hard(body: Body):
    """Noisy half-closed hands without depth, and arms whose detected depth is wrong."""
    motion = standing(body, 6, seed=5, size=(640, 640))
    motion.poses[:, joint("left_elbow")][:, 1] = -1.2
    for row in range(25, 40):
        motion.poses[:, 3 * row + 2] -= 0.5
    seen = observe(body, motion, noise=1.0, seed=1)
    seen.pose_world[..., 2] *= 0.2
    for hand in (seen.left_hand, seen.right_hand):
        hand[..., 2] = 0.0
    return motion, seen


def test_a_correct_prior_improves_a_hard_case(body: Body) -> None:
    """With the true body and fingers as prior, the errors of arms and of fingers are at least 40 % smaller."""
    motion, seen = _hard(body)
    prior = empty_prior("test", len(motion), np.arange(len(motion)))
    truth = motion.poses[:, 3:].reshape(-1, 54, 3)
    for columns in (BODY_JOINTS, *HANDS.values()):
        prior.joints[:, columns] = truth[:, columns]
    prior.root[:] = _root(motion)
    plain, with_prior = fit(seen, body), fit(seen, body, prior=align_to_clip(prior, seen, "test"))
    arms = [
        JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "elbow", "wrist")
    ]
    for joints in (arms, range(25, 55)):
        assert _turned(with_prior, motion, joints) < 0.6 * _turned(plain, motion, joints)


def test_the_papers_solver_uses_a_prior(body: Body) -> None:
    """With adamw the true fingers as prior make the finger error smaller."""
    motion, seen = _hard(body)
    prior = empty_prior("test", len(motion), np.arange(len(motion)))
    prior.joints[:] = motion.poses[:, 3:].reshape(-1, 54, 3)
    quick = TrackConfig(solver="adamw", adamw_steps=60, adamw_decay_step=40)
    plain, with_prior = fit(seen, body, quick), fit(seen, body, quick, prior=prior)
    assert _turned(with_prior, motion, range(25, 55)) < _turned(plain, motion, range(25, 55))


def _turned(found, truth, joints) -> float:
    """Mean angle between local rotations, radians."""
    ours, theirs = (matrix_from_rotvec(each.poses.reshape(-1, 55, 3)[:, list(joints)]) for each in (found, truth))
    return float(np.linalg.norm(rotvec_from_matrix(np.swapaxes(ours, -1, -2) @ theirs), axis=-1).mean())


def _root(motion):
    return matrix_from_rotvec(motion.poses[:, :3].astype(float))


def test_a_prior_without_values_changes_nothing(body: Body) -> None:
    """A prior of NaN gives exactly the same motion as no prior."""
    motion = standing(body, 4, size=(640, 640))
    seen = observe(body, motion, noise=1.0)
    plain, with_prior = fit(seen, body), fit(seen, body, prior=empty_prior("none", 4, np.arange(4)))
    assert np.array_equal(plain.poses, with_prior.poses)
    assert np.array_equal(plain.trans, with_prior.trans)


def test_wrist_orientations_of_a_hand_tracker_are_used(body: Body) -> None:
    """The orientation of a hand in the camera, without an arm, becomes the wrist rotation of the first guess."""
    motion = standing(body, 3, size=(640, 640))
    state = State(
        motion.trans.astype(float), _root(motion), motion.poses[:, 3:].reshape(3, 54, 3).astype(float),
        motion.expression.astype(float), np.zeros(len(shape_columns(body, 10, 25))),
    )  # fmt: skip
    skeleton = skeleton_of(body, shape_columns(body, 10, 25))
    prior = empty_prior("hamer", 3, np.arange(3))
    prior.wrists[:, 0] = matrix_from_rotvec(np.array([0.3, 0.2, 2.0]))
    turned = start_from_prior(state, prior, skeleton)
    world = kinematics(skeleton, turned, derivatives=False).world[:, JOINT_NAMES.index("left_wrist")]
    assert np.allclose(world, prior.wrists[:, 0], atol=1e-6)
    assert np.array_equal(
        turned.theta[:, JOINT_NAMES.index("right_wrist") - 1], state.theta[:, JOINT_NAMES.index("right_wrist") - 1]
    )
