"""Feet that are locked to the floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.foot_motions import foot_scripts, make_steps, tracked_like
from stages.artifacts.motion import Motion, select_rows
from stages.artifacts.motion_shots import join_shots
from stages.body.model import JOINT_NAMES, Body
from stages.contacts.find import with_contacts
from stages.contacts.legs import LEGS, Planted, slide_mm
from stages.contacts.lock import lock_feet
from stages.contacts.soles import joint_places
from stages.contacts.surface import Person, sample_surface
from tests.motions import standing


@pytest.fixture(scope="module")
def tracked(body: Body) -> Motion:
    """A walk with a tracker's noise, its floor and its contacts."""
    made = make_steps(body, np.zeros(10, np.float32), foot_scripts()[0], np.radians(12))
    return with_contacts(tracked_like(made.motion, seed=3), body)


@pytest.fixture(scope="module")
def locked(body: Body, tracked: Motion) -> Motion:
    """The same with locked feet."""
    return lock_feet(tracked, body)[0]


def test_planted_feet_stand_still(body: Body, tracked: Motion) -> None:
    """The slide falls from more than 8 to less than 1 mm per frame, and the line says so."""
    _, figures = lock_feet(tracked, body)
    assert figures is not None
    assert figures.slide_before_mm > 8
    assert figures.slide_after_mm < 1
    assert str(figures).startswith("feet: slide ")
    assert figures.contacts == sum(kind.endswith("to floor") for kind in contacts_of(tracked).kinds())


def contacts_of(motion: Motion):
    """The list, which is there."""
    assert motion.contacts is not None
    return motion.contacts


def test_planted_points_lie_on_the_floor(body: Body, tracked: Motion, locked: Motion) -> None:
    """Within 2 cm above the plane, where skin of a flat foot lies, in 99 of 100 rows."""
    person = Person.of(body, tracked, sample_surface(body))
    planted = Planted.of(person, contacts_of(tracked), len(tracked))
    assert tracked.floor is not None
    height = planted.places(person, locked) @ tracked.floor[0, :3] - tracked.floor[0, 3]
    assert (np.abs(height[planted.active] - 0.005) < 0.015).mean() > 0.99


def test_only_root_and_legs_change(tracked: Motion, locked: Motion) -> None:
    """Every other joint keeps its angle bit for bit, and so does everything that is no pose."""
    columns = np.repeat(np.isin(np.arange(55), LEGS.joints), 3)
    np.testing.assert_array_equal(locked.poses[:, ~columns], tracked.poses[:, ~columns])
    assert locked.contacts is tracked.contacts
    np.testing.assert_array_equal(locked.K, tracked.K)


def test_the_body_accelerates_no_more_than_before(body: Body, tracked: Motion, locked: Motion) -> None:
    """Locking smooths: hips and knees accelerate at most 1.2 times as much as tracked."""
    person = Person.of(body, tracked, sample_surface(body))
    joints = [JOINT_NAMES.index(name) for name in ("pelvis", "left_knee", "right_knee")]
    before, after = (
        np.linalg.norm(np.diff(joint_places(person, motion)[:, joints], 2, axis=0), axis=-1).mean()
        for motion in (tracked, locked)
    )
    assert after < 1.2 * before


def test_a_motion_without_floor_is_left_alone(body: Body) -> None:
    """Nothing changes, and no figures are given."""
    motion = with_contacts(standing(body, 20), body)
    same, figures = lock_feet(motion, body)
    assert same is motion
    assert figures is None


def test_shots_are_locked_each_by_itself(body: Body, tracked: Motion, locked: Motion) -> None:
    """Two shots give what each gives alone."""
    both = with_contacts(join_shots([replace(tracked, contacts=None)] * 2), body)
    result, _ = lock_feet(both, body)
    np.testing.assert_allclose(result.trans[: len(tracked)], locked.trans, atol=1e-4)
    np.testing.assert_allclose(result.trans[len(tracked) :], locked.trans, atol=1e-4)


def test_a_slide_is_what_planted_points_travel(body: Body, tracked: Motion) -> None:
    """A person who is carried 10 mm per frame to the side while standing still slides by 10 mm per frame."""
    still = select_rows(tracked, np.zeros(20, int))
    carried = replace(still, trans=still.trans + np.arange(20)[:, None] * np.array([0.01, 0, 0]))
    person = Person.of(body, still, sample_surface(body))
    first = select_first(contacts_of(tracked))
    planted = Planted.of(person, first, 20)
    np.testing.assert_allclose(slide_mm(planted.places(person, carried), planted), 10, atol=0.01)


def select_first(contacts):
    """All contacts, from the first row to row 20."""
    rows = np.tile([0, 20], (len(contacts), 1))
    return replace(contacts, rows=rows, touch_rows=np.tile([0, 20], (len(contacts.touch_rows), 1)))
