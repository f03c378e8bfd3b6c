"""A right prior helps where the picture does not say enough, and a fit without one is untouched."""

from __future__ import annotations

import numpy as np

from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.priors.prior import BODY_JOINTS, HANDS, aligned, blank
from stages.track.collapse import shape_columns, skeleton_of
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.prior_targets import started_from
from stages.track.state import State, kinematics
from tests.motions import joint, standing
from tests.track.synthetic import observe


def _hard(body: Body):
    """Half-closed hands without depth, at noise, and arms whose depth the detector gets wrong."""
    motion = standing(body, 6, seed=5, size=(640, 640))
    motion.poses[:, joint("left_elbow")][:, 1] = -1.2
    for row in range(25, 40):
        motion.poses[:, 3 * row + 2] -= 0.5
    seen = observe(body, motion, noise=1.0, seed=1)
    seen.pose_world[..., 2] *= 0.2
    for hand in (seen.left_hand, seen.right_hand):
        hand[..., 2] = 0.0
    return motion, seen


def test_a_right_prior_improves_a_hard_case(body: Body) -> None:
    """With the true body and fingers as the prior, arms and fingers turn nearer to the truth by two fifths at least."""
    motion, seen = _hard(body)
    prior = blank("test", len(motion), np.arange(len(motion)))
    truth = motion.poses[:, 3:].reshape(-1, 54, 3)
    for columns in (BODY_JOINTS, *HANDS.values()):
        prior.joints[:, columns] = truth[:, columns]
    prior.root[:] = _root(motion)
    plain, told = fit(seen, body), fit(seen, body, prior=aligned(prior, seen, "test"))
    arms = [
        JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "elbow", "wrist")
    ]
    for joints in (arms, range(25, 55)):
        assert _turned(told, motion, joints) < 0.6 * _turned(plain, motion, joints)


def test_the_papers_solver_heeds_a_prior_too(body: Body) -> None:
    """AdamW is pulled to the prior's arms: fingers and arms end nearer to them than without."""
    motion, seen = _hard(body)
    prior = blank("test", len(motion), np.arange(len(motion)))
    prior.joints[:] = motion.poses[:, 3:].reshape(-1, 54, 3)
    quick = TrackConfig(solver="adamw", adamw_steps=60, adamw_decay_step=40)
    plain, told = fit(seen, body, quick), fit(seen, body, quick, prior=prior)
    assert _turned(told, motion, range(25, 55)) < _turned(plain, motion, range(25, 55))


def _turned(found, truth, joints) -> float:
    """Mean angle between local rotations, radians."""
    ours, theirs = (matrix_from_rotvec(each.poses.reshape(-1, 55, 3)[:, list(joints)]) for each in (found, truth))
    return float(np.linalg.norm(rotvec_from_matrix(np.swapaxes(ours, -1, -2) @ theirs), axis=-1).mean())


def _root(motion):
    return matrix_from_rotvec(motion.poses[:, :3].astype(float))


def test_a_silent_prior_changes_nothing(body: Body) -> None:
    """A prior that knows nothing gives the same motion to the last bit."""
    motion = standing(body, 4, size=(640, 640))
    seen = observe(body, motion, noise=1.0)
    plain, told = fit(seen, body), fit(seen, body, prior=blank("none", 4, np.arange(4)))
    assert np.array_equal(plain.poses, told.poses)
    assert np.array_equal(plain.trans, told.trans)


def test_wrists_of_a_hand_tracker_are_met(body: Body) -> None:
    """A hand's orientation in the camera, without any arm, becomes the turn of the wrist in the first guess."""
    motion = standing(body, 3, size=(640, 640))
    state = State(
        motion.trans.astype(float), _root(motion), motion.poses[:, 3:].reshape(3, 54, 3).astype(float),
        motion.expression.astype(float), np.zeros(len(shape_columns(body, 10, 25))),
    )  # fmt: skip
    skeleton = skeleton_of(body, shape_columns(body, 10, 25))
    prior = blank("hamer", 3, np.arange(3))
    prior.wrists[:, 0] = matrix_from_rotvec(np.array([0.3, 0.2, 2.0]))
    turned = started_from(state, prior, skeleton)
    world = kinematics(skeleton, turned, derivatives=False).world[:, JOINT_NAMES.index("left_wrist")]
    assert np.allclose(world, prior.wrists[:, 0], atol=1e-6)
    assert np.array_equal(
        turned.theta[:, JOINT_NAMES.index("right_wrist") - 1], state.theta[:, JOINT_NAMES.index("right_wrist") - 1]
    )
