"""Planted feet in a body of other proportions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.foot_motions import foot_scripts, make_steps, tracked_like
from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body
from stages.contacts.find import with_contacts
from stages.contacts.keep import Swap, keep_contacts
from stages.contacts.legs import LEGS, Planted, turn_legs
from stages.contacts.measure import compare_contacts, figures_of
from stages.contacts.plant import leg_length
from stages.contacts.surface import Person, sample_surface
from stages.retarget.config import RetargetConfig
from stages.retarget.retarget import retarget

TALL = np.array([2.0] + [0.0] * 9, np.float32)


@pytest.fixture(scope="module")
def squats(body: Body) -> Motion:
    """Squats of the mean body, with floor and contacts."""
    made = make_steps(body, np.zeros(10, np.float32), foot_scripts()[5], np.radians(12))
    return with_contacts(made.motion, body)


@pytest.fixture(scope="module")
def noisy(body: Body) -> Motion:
    """Swaying on both feet, with a tracker's noise."""
    made = make_steps(body, np.zeros(10, np.float32), foot_scripts()[4], np.radians(12))
    return with_contacts(tracked_like(made.motion, 3), body)


def listed(motion: Motion) -> Contacts:
    """The list of contacts, which is there."""
    assert motion.contacts is not None
    return motion.contacts


def test_squats_in_longer_legs_stand_on_one_floor(body: Body, squats: Motion) -> None:
    """The slide that the plain swap adds goes, and planted points lie at one height, on the target's own floor."""
    swap = Swap.of(squats, replace(squats, betas=TALL), body)
    kept = keep_contacts(swap, listed(squats))
    feet = figures_of([compare_contacts(swap, kept, listed(squats))]).feet
    assert feet is not None
    assert feet.slide_before_mm > feet.slide_driver_mm + 1.5
    assert feet.slide_after_mm < feet.slide_driver_mm + 0.2
    planted = Planted.of(swap.new, listed(squats), len(squats))
    assert kept.floor is not None
    height = planted.places(swap.new, kept) @ kept.floor[0, :3] - kept.floor[0, 3]
    assert height[planted.active].std() < 0.004
    assert squats.floor is not None
    assert kept.floor[0, 3] < squats.floor[0, 3] - 0.05


def test_no_knee_bends_backwards(body: Body, squats: Motion) -> None:
    """Feet that should be farther away than straight legs reach stay short of it; knees end straight."""
    person = Person.of(body, squats, sample_surface(body))
    planted = Planted.of(person, listed(squats), len(squats))
    assert squats.floor is not None
    goal = planted.places(person, squats) - 0.2 * squats.floor[0, :3]
    poses = turn_legs(person, squats, planted, goal).reshape(-1, 55, 3)
    bend = poses[:, [JOINT_NAMES.index(f"{side}_knee") for side in ("left", "right")], 0]
    assert bend.min() > -np.radians(0.1)
    assert bend.min() < np.radians(5)


def test_shorter_legs_slide_less_than_the_drivers(body: Body, noisy: Motion) -> None:
    """What the driver's feet slide in tracking is scaled by the length of the legs."""
    swap = Swap.of(noisy, replace(noisy, betas=-TALL), body)
    kept = keep_contacts(swap, listed(noisy))
    feet = figures_of([compare_contacts(swap, kept, listed(noisy))]).feet
    assert feet is not None
    share = leg_length(swap.new) / leg_length(swap.old)
    assert share < 0.9
    assert feet.slide_driver_mm > 10
    assert feet.slide_after_mm == pytest.approx(share * feet.slide_driver_mm, rel=0.05)


def test_hips_and_all_above_stay(body: Body, squats: Motion) -> None:
    """Only legs turn; the place of the hips and every other joint are the swap's, bit for bit."""
    swap = Swap.of(squats, replace(squats, betas=TALL), body)
    kept = keep_contacts(swap, listed(squats))
    others = np.repeat(~np.isin(np.arange(55), LEGS.joints), 3)
    np.testing.assert_array_equal(kept.trans, swap.target.trans)
    np.testing.assert_array_equal(kept.poses[:, others], swap.target.poses[:, others])
    assert (kept.poses[:, ~others] != swap.target.poses[:, ~others]).any()


def test_nothing_changes_in_the_drivers_own_body(body: Body, squats: Motion) -> None:
    """Poses bit for bit, and the same floor."""
    kept = keep_contacts(Swap.of(squats, squats, body), listed(squats))
    np.testing.assert_array_equal(kept.poses, squats.poses)
    assert kept.floor is not None
    assert squats.floor is not None
    np.testing.assert_allclose(kept.floor, squats.floor, atol=1e-9)


@pytest.mark.parametrize("contacts", [True, False])
def test_a_retargeted_motion_has_a_floor_under_its_own_feet(body: Body, squats: Motion, contacts: bool) -> None:
    """With contacts kept and in the plain swap, which leaves all angles alone."""
    reference = replace(squats, betas=TALL)
    target, report = retarget(squats, reference, body, RetargetConfig(contacts=contacts))
    assert target.floor is not None
    assert squats.floor is not None
    planted = Planted.of(Swap.of(squats, target, body).new, listed(squats), len(squats))
    swap = Swap.of(squats, target, body)
    height = planted.places(swap.new, target) @ target.floor[0, :3] - target.floor[0, 3]
    assert abs(np.median(height[planted.active])) < 0.03
    assert np.array_equal(target.poses, squats.poses) != contacts
    assert ("; feet: slide " in str(report)) == contacts
    assert ("; feet slide " in str(report)) != contacts
