"""Arms before the trunk are not larger in the picture than in the driver's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.camera import project
from stages.body.model import Body
from stages.generate.puppet.near_arms import depth_share, flatten_arms
from stages.generate.puppet.view import make_rig
from tests.motions import standing

NECK = np.array([0.1, -0.2, 1.0])


def test_a_flat_hand_is_as_large_as_from_the_drivers_distance() -> None:
    """20 cm of a hand 40 cm before a neck at 1 m: as large, over what is at the neck, as with a neck at 2 m.

    Depth, trunk and all points at the neck's depth stay; nothing changes with a share of 1.
    """
    hand = np.array([[0.1, 0.0, 0.6], [0.3, 0.0, 0.6], [0.4, 0.3, 1.0]])
    K = np.array([[500.0, 0, 250], [0, 500, 250], [0, 0, 1]])
    flat = flatten_arms(hand, np.ones(3), NECK, 0.5)
    near, far = np.diff(project(flat, K)[:2, 0]), 0.2 * 500 * (1 / 1.0) * (2.0 / 1.6)
    assert near == pytest.approx(far)
    np.testing.assert_array_equal(flat[:, 2], hand[:, 2])
    np.testing.assert_allclose(flat[2], hand[2])
    np.testing.assert_allclose(flatten_arms(hand, np.zeros(3), NECK, 0.5), hand)
    assert flatten_arms(hand, np.ones(3), NECK, 1.0) is hand


def test_the_share_is_that_of_the_distances(body: Body) -> None:
    """A photo from half the driver's distance: one half; from farther away: 1, and so for the photo's own motion."""
    photo, rig = standing(body, 1), make_rig(body, standing(body, 1))
    far = replace(photo, trans=photo.trans + np.float32([0, 0, 1.9]))
    ratio = depth_share(rig, photo, far)
    assert 0.48 < ratio < 0.52
    assert depth_share(rig, far, photo) == depth_share(rig, photo, photo) == 1.0


def test_hands_and_forearms_are_arms_and_the_trunk_is_not(body: Body) -> None:
    """Every vertex of a hand belongs wholly to an arm; the head and the waist do not at all."""
    share = make_rig(body, standing(body, 1)).arm_share
    assert share[body.part_vertices("left_hand", "right_hand")].min() > 0.99
    assert share[body.part_vertices("head")].max() < 0.01
