"""A hand that is seen over head or trunk is fitted in front of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.detect.observations import Observations
from stages.raster.rasterizer import rasterizer
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.in_front import FINGER_M
from tests.motions import joint, standing
from tests.track.synthetic import observe

FRAMES = 6


@pytest.fixture(scope="module")
def on_forehead(body: Body) -> Motion:
    """The left hand lies on the forehead."""
    motion = standing(body, FRAMES, size=(640, 640))
    motion.poses[:, joint("left_shoulder")] = -0.77, -0.31, 1.14
    motion.poses[:, joint("left_elbow")] = 0, -1.94, 0
    motion.poses[:, joint("left_wrist")] = 0.66, 0.12, 0.73
    return motion


@pytest.fixture(scope="module")
def misread(body: Body, on_forehead: Motion) -> Observations:
    """The detector takes the arm to be 0.15 m farther away than it is, and the hand for smaller."""
    seen = observe(body, on_forehead)
    world, hand = seen.pose_world.copy(), seen.left_hand.copy()
    world[:, [13, 15, 17, 19, 21], 2] += 0.15
    middle = hand[..., :2].mean(1, keepdims=True)
    hand[..., :2] = middle + 0.85 * (hand[..., :2] - middle)
    return replace(seen, pose_world=world, left_hand=hand)


def deepest_mm(body: Body, motion: Motion) -> float:
    """How far the deepest point of the left hand lies behind the face and skull over which it is seen, mm."""
    posed = pose_motion(body, motion)
    points = keypoints_from(body, motion_template(body, motion), posed)
    hand = points[:, [body.keypoint_names.index(f"left_hand_{number:02d}") for number in range(21)]]
    head = body.part_vertices("head")
    faces, focal, deepest = body.faces[head[body.faces].all(1)], motion.K[0, 0, 0], -np.inf
    for vertices, one in zip(posed.vertices, hand, strict=True):
        flat = np.concatenate([focal * vertices[:, :2] / vertices[:, 2:] + 320, vertices[:, 2:]], 1)
        depth = rasterizer("numba")(flat, faces, 640, 640).depth
        at = (focal * one[:, :2] / one[:, 2:] + 320).astype(int)
        deepest = max(deepest, float((one[:, 2] - depth[at[:, 1], at[:, 0]]).max()))
    return 1000 * deepest


def test_a_hand_on_the_forehead_does_not_go_through_it(body: Body, misread: Observations) -> None:
    """Without the term the fingers lie 60 mm and more inside the skull, with it at its surface; the hand stays where it
    is seen."""
    through = fit(misread, body, TrackConfig(terms_off=("hands_in_front",), focal_px=896))
    before = fit(misread, body, TrackConfig(focal_px=896))
    assert deepest_mm(body, through) > 60
    assert deepest_mm(body, before) < 1000 * FINGER_M
    assert before.error_px[:, 2].max() < through.error_px[:, 2].max() + 1.5
    assert through.provenance.notes["losses"].get("hands_in_front", 0) == 0
    assert before.provenance.notes["losses"]["hands_in_front"] < 1


def test_a_hand_before_the_head_is_left_alone(body: Body, on_forehead: Motion) -> None:
    """With right depths the fit is the same with and without the term."""
    seen = observe(body, on_forehead)
    with_term, without = fit(seen, body), fit(seen, body, TrackConfig(terms_off=("hands_in_front",)))
    assert np.array_equal(with_term.poses, without.poses)
