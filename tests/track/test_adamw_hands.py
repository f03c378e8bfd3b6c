"""Hands in the paper's solver: the check at every step, what invalid hands are held to, vertices of another tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, keypoints_from, motion_template, pose_motion
from stages.body.rotations import matrix_from_rotvec
from stages.detect.gates import HAND_RULES
from stages.priors.prior import Prior, empty_prior
from stages.track.adamw import BODY_COLUMNS, FINGER_COLUMNS, LIMB_POINTS, Objective, _gain, losses, moving_average
from stages.track.adamw_hands import Hand, HandCheck, is_valid
from stages.track.config import TrackConfig
from stages.track.fit import _Clip, _Fit, fit
from stages.track.solvers import Task
from stages.track.targets import BODY_POINTS
from tests.motions import standing
from tests.track.synthetic import observe

CHECK = HandCheck(0.5, 0.05, torch.tensor([640.0, 480.0]))
SQUARE = torch.tensor([[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]])


def box(x: float, y: float) -> torch.Tensor:
    """Four points of one frame, 40 px apart, from that corner."""
    return (SQUARE + torch.tensor([x, y]))[:, None]


@pytest.mark.parametrize(
    ("fitted", "detected", "expected"),
    [
        ((300, 200), (300, 200), True),
        ((300, 200), (340, 220), True),
        ((300, 200), (500, 200), False),
        ((-10, 200), (0, 200), True),
        ((-30, 200), (0, 200), False),
        ((300, 470), (300, 430), False),
        ((-300, 200), (-300, 200), False),
    ],
)
def test_a_hand_is_valid_in_the_picture_at_its_detected_place(
    fitted: tuple[float, float], detected: tuple[float, float], expected: bool
) -> None:
    """Half of the projected box must lie in the picture, and it must overlap the detected box."""
    seen = torch.tensor([True])
    assert bool(is_valid(box(*fitted), box(*detected), seen, CHECK)) is expected
    assert not bool(is_valid(box(*fitted), box(*detected), ~seen, CHECK))


def test_an_invalid_hand_is_held_outside_the_picture() -> None:
    """A hand beside the picture, which the detector reports inside: its 3-D term is 0, and its 2-D term pulls it to the
    place of the other tracker's hand, not to the detected points."""
    space = torch.cat([(box(-300, 200) - CHECK.image_size / 2) / 500, torch.ones(4, 1, 1)], -1).requires_grad_()
    ones, centre = torch.ones(4, 1), CHECK.image_size / 2
    hand = Hand(
        slice(0, 4), box(300, 200), ones, box(-320, 200), 0.1 * ones, torch.tensor([True]), torch.zeros(4, 1, 3), ones
    )
    flat, aligned = hand.terms(space, CHECK, 500.0, centre, 10.0)
    assert float(aligned.detach()) == 0
    assert float(flat.detach()) == pytest.approx(0.1 * 4 * 20, rel=1e-4)
    flat.sum().backward()
    assert space.grad is not None
    assert (space.grad[..., 0] > 0).all()  # a step against it moves the hand farther out


def task_of(body: Body, motion: Motion, config: TrackConfig, prior: Prior | None = None) -> Task:
    """The task of a whole clip on exact keypoints."""
    one = _Fit(_Clip.of(observe(body, motion), body, config), config, lambda *_: None, prior)
    return one._task(one.guess, np.arange(len(motion)), one.active_shape, None)


def known(motion: Motion) -> Prior:
    """The motion itself as another tracker's result."""
    prior = empty_prior("test", len(motion), np.arange(len(motion)))
    prior.joints[:] = motion.poses[:, 3:].reshape(-1, 54, 3)
    prior.root[:] = matrix_from_rotvec(motion.poses[:, :3].astype(float))
    return prior


def bent(body: Body) -> Motion:
    """Three frames of somebody with half-closed hands."""
    motion = standing(body, 3, seed=5, size=(640, 640))
    for row in range(25, 40):
        motion.poses[:, 3 * row + 2] -= 0.5
    return motion


def test_another_trackers_hand_is_aligned_by_its_vertices(body: Body) -> None:
    """With a prior the 3-D term compares vertices (eq. 9): it is 0 at the prior's hand and grows as a finger bends;
    without one there are no vertices."""
    config, motion = TrackConfig(solver="adamw", focal_px=700.0), bent(body)
    task = task_of(body, motion, config, known(motion))
    hands = Objective.of(task).hands
    assert all(each.vertices is not None and len(each.vertices) == config.adamw_hand_vertices for each in hands)
    theta = task.first.theta.copy()
    theta[:, JOINT_NAMES.index("left_index1") - 1, 2] += 0.5
    turned = losses(task, replace(task.first, theta=theta))["align_hands"]
    same = losses(task, task.first)["align_hands"]
    assert same.max() < 1e-3 < 5 < turned.min()
    assert all(each.vertices is None for each in Objective.of(task_of(body, motion, config)).hands)


def test_a_false_hand_does_not_move_a_known_one(body: Body) -> None:
    """The detector's left hand lies 200 px off and no gate is on: with the check at every step the hand stays within
    20 px of the truth, without it it does not."""
    motion = bent(body)
    seen = observe(body, motion)
    seen.left_hand[..., 0] -= 200
    config = TrackConfig(
        solver="adamw", focal_px=float(motion.K[0, 0, 0]), adamw_steps=150, adamw_decay_step=120,
        gates_off=(*HAND_RULES, "missed by the fit"), adamw_lr_pose=1e-2, adamw_lr_camera=1e-2,
    )  # fmt: skip
    without = replace(config, adamw_hand_match=0.0, adamw_hand_inside=0.0)
    errors = [
        np.linalg.norm(
            left_hand_px(body, fit(seen, body, each, prior=known(motion))) - left_hand_px(body, motion), 2, -1
        )
        for each in (config, without)
    ]
    assert errors[0].mean() < 20 < 100 < errors[1].mean()


def left_hand_px(body: Body, motion: Motion) -> np.ndarray:
    """The 21 points of the left hand in the picture."""
    space = keypoints_from(body, motion_template(body, motion), pose_motion(body, motion))
    rows = [body.keypoint_names.index(f"left_hand_{number:02d}") for number in range(21)]
    return project(space, motion.K)[:, rows, :2]


def test_limbs_weigh_more_where_the_detector_is_sure(body: Body) -> None:
    """Shoulders and hips always have the gain of core joints; elbows, wrists, knees and ankles only above the
    threshold (0.C.2)."""
    config = TrackConfig(solver="adamw", adamw_core_gain=3.0, adamw_limb_gain=2.0)
    group = task_of(body, bent(body), config).groups["body"]
    sure = np.ones_like(group.per_pixel)
    gain = _gain(replace(group, confidence=sure), config)[0]
    of = dict(zip(BODY_POINTS, gain, strict=True))
    assert {of[number] for number in (11, 12, 23, 24)} == {3.0}
    assert {of[number] for number in LIMB_POINTS} == {2.0}
    assert of[0] == 1.0
    assert set(_gain(replace(group, confidence=0.4 * sure), config)[0]) == {1.0, 3.0}


def test_the_body_is_kept_near_its_first_guess_and_fingers_near_zero(body: Body) -> None:
    """The regularisation of eq. 10: at the first guess with flat hands the pose costs nothing, with bent fingers it
    does."""
    motion, config = bent(body), TrackConfig(solver="adamw", focal_px=700.0)
    task = task_of(body, motion, config)
    smoothed = moving_average(task.first, task.problem.seconds, config.adamw_average_seconds)
    likely = Objective.of(task).likely_theta.numpy()
    np.testing.assert_allclose(likely[:, BODY_COLUMNS], smoothed.theta.reshape(3, -1)[:, BODY_COLUMNS], atol=1e-5)
    assert (likely[:, FINGER_COLUMNS] == 0).all()
    assert (task_of(body, motion, config, known(motion)).first.theta.reshape(3, -1)[:, FINGER_COLUMNS] != 0).any()
