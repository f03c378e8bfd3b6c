"""Contacts kept in another body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.contact_motions import Made, apart, bodies, person
from benchmarks.contacts import depths_of
from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion, select_rows
from stages.body.model import JOINT_NAMES, Body
from stages.contacts import keep, solve
from stages.contacts.find import find_contacts
from stages.contacts.keep import Swap, keep_contacts
from stages.contacts.measure import compare_contacts, figures_of


@pytest.fixture(scope="module")
def kept(body: Body, hips: Made, heavier: Motion, contacts: Contacts) -> Motion:
    """The heavier body with the contacts kept."""
    return keep_contacts(Swap.of(hips.motion, heavier, body), contacts)


def test_the_driver_itself_is_unchanged(body: Body, hips: Made, contacts: Contacts) -> None:
    """In its own body every contact holds already: not a bit of the poses changes."""
    same = keep_contacts(Swap.of(hips.motion, hips.motion, body), contacts)
    np.testing.assert_array_equal(same.poses, hips.motion.poses)


def test_hands_meet_a_heavier_hip_and_do_not_sink_into_it(
    body: Body, hips: Made, heavier: Motion, kept: Motion
) -> None:
    """The known points are centimetres apart or inside after the plain swap, and together afterwards."""
    before, after = (np.nanmean(apart(body, hips, motion)) for motion in (heavier, kept))
    assert before > 0.03
    assert after < 0.008
    assert depths_of(body, heavier).max() > 0.02
    assert depths_of(body, kept).max() < 0.006


def test_joints_without_contact_keep_the_drivers_angles(hips: Made, kept: Motion) -> None:
    """Head, legs and fingers are equal bit for bit; so is everything far from the contact."""
    turned = (kept.poses != hips.motion.poses).reshape(-1, 55, 3).any(-1)
    arms = [name.endswith(("collar", "shoulder", "elbow", "wrist")) or name.startswith("spine") for name in JOINT_NAMES]
    assert not turned[:, ~np.array(arms)].any()
    assert not turned[:2].any()
    assert not turned[-2:].any()
    assert turned[66, JOINT_NAMES.index("left_shoulder")]


def test_windows_change_little(
    body: Body, hips: Made, heavier: Motion, kept: Motion, contacts: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch that is solved in windows is the same to some degrees."""
    monkeypatch.setattr(keep, "WINDOW_S", 2.0)
    monkeypatch.setattr(keep, "OVERLAP_S", 1.0)
    parts = keep_contacts(Swap.of(hips.motion, heavier, body), contacts)
    assert np.abs(parts.poses - kept.poses).max() < np.radians(3)


def test_the_report_counts_contacts_and_measures_gaps(
    body: Body, hips: Made, heavier: Motion, kept: Motion, contacts: Contacts
) -> None:
    """All contacts kept, smaller gaps, less inside; and all zero for the driver itself."""
    figures = figures_of([compare_contacts(Swap.of(hips.motion, heavier, body), kept, contacts)])
    hip = figures.kinds["hand to hip"]
    assert (hip.found, hip.kept) == (2, 2)
    assert hip.gap_after_mm < 10 < hip.gap_before_mm
    assert figures.deeper_after <= 0.01 < figures.deeper_before
    assert 0 < figures.turned_median_deg < figures.turned_max_deg
    own = figures_of([compare_contacts(Swap.of(hips.motion, hips.motion, body), hips.motion, contacts)])
    assert own.kinds["hand to hip"].gap_before_mm == pytest.approx(0, abs=1e-6)
    assert own.deeper_before == 0


def test_a_clip_without_contacts_and_crossings_is_unchanged(body: Body, hips: Made, heavier: Motion) -> None:
    """Rows before the arms come near: nothing turns."""
    swap = Swap.of(select_rows(hips.motion, slice(0, 8)), select_rows(heavier, slice(0, 8)), body)
    np.testing.assert_array_equal(keep_contacts(swap, Contacts.none()).poses, hips.motion.poses[:8])


def test_a_contact_at_the_clips_ends_is_kept_there_too(
    body: Body, hips: Made, heavier: Motion, contacts: Contacts
) -> None:
    """A clip that is cut out of the contact: hands on the hips from the first row to the last."""
    rows = slice(hips.rows[0][0] + 5, hips.rows[0][1] - 5)
    driver, swapped = select_rows(hips.motion, rows), select_rows(heavier, rows)
    kept = keep_contacts(Swap.of(driver, swapped, body), find_contacts(driver, body))
    whole = replace(hips, rows=[(0, len(driver))] * len(hips.rows))
    assert np.nanmean(apart(body, whole, swapped)) > 0.03
    assert np.nanmax(apart(body, whole, kept)) < 0.012


@pytest.mark.parametrize("build", ["tall, heavy", "very tall, heavy"])
def test_arms_of_a_child_come_out_of_a_heavy_adult_on_their_side(
    body: Body, monkeypatch: pytest.MonkeyPatch, build: str
) -> None:
    """Palms of a thin child that meet before the chest: in these bodies arms begin deep in each other and in the belly.
    Grown from the child's body they come out; pushed in the adult's from the start, one stays inside."""
    people = dict(bodies())
    child = person(body, people["child-size, thin"], 6)
    poses = child.poses.reshape(6, 55, 3).copy()
    for name, turn in MEETING.items():
        poses[:, JOINT_NAMES.index(name)] = turn
    driver = replace(child, poses=poses.reshape(6, 165))
    swap = Swap.of(driver, replace(driver, betas=people[build]), body)
    contacts = find_contacts(driver, body)

    def deepest_mm() -> float:
        return figures_of([compare_contacts(swap, keep_contacts(swap, contacts), contacts)]).deepest_after_mm

    assert "hand to hand" in contacts.kinds()
    assert deepest_mm() < 12
    monkeypatch.setattr(solve, "GROWING", 1)
    assert deepest_mm() > 20


MEETING = {
    "left_shoulder": (-0.37, -1.06, -1.91), "right_shoulder": (-0.66, 0.15, 1.93),
    "left_elbow": (-0.02, -0.95, -0.05), "right_elbow": (-0.14, 1.66, 0.17),
    "left_wrist": (0.28, 0.15, -0.19), "right_wrist": (-0.02, -0.16, 0.09),
}  # fmt: skip
