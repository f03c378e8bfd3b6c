"""A motion upright in its world, on the floor that it has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.foot_motions import foot_scripts, make_steps
from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import join_shots
from stages.body.model import Body
from stages.contacts.find import with_contacts
from stages.contacts.legs import Planted
from stages.contacts.lock import lock_feet
from stages.contacts.surface import Person, sample_surface
from stages.export.upright import UprightMotion, level, upright_motion


@pytest.fixture(scope="module")
def walk(body: Body) -> Motion:
    """A walk under a camera that looks 20 degrees down, its feet locked."""
    made = make_steps(body, np.zeros(10, np.float32), foot_scripts()[1], np.radians(20))
    return lock_feet(with_contacts(made.motion, body), body)[0]


def planted_heights(samples: UprightMotion, motion: Motion, body: Body) -> np.ndarray:
    """Height of each planted point above the floor of the export, in the rows of its contact."""
    shown = replace(
        motion, poses=samples.poses, trans=samples.trans, world_R=None, world_t=None, camera=None, floor=None
    )
    person = Person.of(body, motion, sample_surface(body))
    assert motion.contacts is not None
    planted = Planted.of(person, motion.contacts, len(motion))
    return planted.places(person, shown)[..., 1][planted.active]


def test_planted_feet_lie_at_height_0_under_a_tilted_camera(body: Body, walk: Motion) -> None:
    """Skin of flat feet lies 0 to 2 cm above the floor, for 20 degrees of tilt that a level camera would leave."""
    heights = planted_heights(upright_motion(walk, body), walk, body)
    assert heights.min() > -0.012
    assert heights.max() < 0.025
    tilted = planted_heights(upright_motion(replace(walk, floor=None), body), walk, body)
    assert np.ptp(tilted) > np.ptp(heights)


def test_a_level_world_keeps_what_the_camera_sees(body: Body, walk: Motion) -> None:
    """Levelling turns the world alone: the floor's normal becomes up and the points of the camera stay."""
    turned = level(walk)
    assert turned.floor is not None
    np.testing.assert_allclose(turned.floor[:, :3], np.tile([0.0, -1.0, 0.0], (len(walk), 1)), atol=1e-9)
    np.testing.assert_array_equal(turned.trans, walk.trans)
    R = turned.world.R
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.tile(np.eye(3), (len(walk), 1, 1)), atol=1e-6)


def test_a_shot_without_floor_stands_on_its_lowest_point(body: Body, walk: Motion) -> None:
    """Two shots, of which the second has no floor: each is put on the ground by itself."""
    both = join_shots([walk, replace(walk, floor=np.full((len(walk), 4), np.nan))])
    samples = upright_motion(both, body)
    first = upright_motion(walk, body)
    np.testing.assert_allclose(samples.trans[: len(walk)], first.trans, atol=1e-5)
    second = upright_motion(replace(walk, floor=None), body)
    np.testing.assert_allclose(samples.trans[len(walk) :], second.trans, atol=1e-5)


def test_without_a_floor_nothing_is_levelled(body: Body, walk: Motion) -> None:
    """A motion without floor is the same object."""
    bare = replace(walk, floor=None)
    assert level(bare) is bare
