"""Contacts found in motions that touch at known places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.contact_motions import Made
from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import select_rows
from stages.artifacts.motion_shots import join_shots
from stages.body.model import Body, pose_motion
from stages.contacts.find import find_contacts
from stages.contacts.parts import PART_OF_PIECE, piece_of_vertices
from tests.motions import standing


def test_hands_on_hips_are_found_when_they_are_there(body: Body, hips: Made, contacts: Contacts) -> None:
    """Both hands touch the hip, from a little before the known rows to a little after them."""
    begin, end = hips.rows[0]
    for hand in ("left_hand", "right_hand"):
        parts = [CONTACT_PARTS.index(hand), CONTACT_PARTS.index("hip")]
        rows = contacts.rows[(contacts.parts == parts).all(1)]
        assert len(rows) == 1
        assert begin - 15 <= rows[0, 0] <= begin + 1
        assert end - 1 <= rows[0, 1] <= end + 15
    assert {"hand to hip"} <= set(contacts.kinds())
    assert not {"hand to face", "hand to hand", "finger to thumb"} & set(contacts.kinds())


def test_touching_points_lie_together_on_the_posed_mesh(body: Body, hips: Made, contacts: Contacts) -> None:
    """A touch's points on the full mesh are less than the leave threshold apart in the middle of the touch."""
    for rows, faces, weights in zip(contacts.touch_rows, contacts.touch_faces, contacts.touch_barycentric, strict=True):
        middle = int(rows.mean())
        vertices = pose_motion(body, hips.motion, slice(middle, middle + 1)).vertices[0]
        first, second = (weights[side] @ vertices[body.faces[faces[side]]] for side in (0, 1))
        assert np.linalg.norm(first - second) < 0.045
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)


def test_touching_points_lie_on_the_parts_that_are_named(body: Body, contacts: Contacts) -> None:
    """A hand on the hip is not said to touch the thigh as well, of which no point is nearest."""
    corners = contacts.touch_barycentric.argmax(-1)
    vertices = np.take_along_axis(body.faces[contacts.touch_faces], corners[..., None], -1)[..., 0]
    on = PART_OF_PIECE[piece_of_vertices(body)[vertices]]
    np.testing.assert_array_equal(on, contacts.parts[contacts.touch_contact])


def test_arms_half_raised_touch_nothing(body: Body) -> None:
    """No contact is invented for a person who stands with the arms away from the body."""
    assert len(find_contacts(standing(body, 10), body)) == 0


def test_nothing_is_found_where_nobody_was_seen(body: Body, hips: Made) -> None:
    """Rows without a valid body hold no contact."""
    unseen = hips.motion.valid.copy()
    unseen[:, 0] = False
    assert len(find_contacts(replace(hips.motion, valid=unseen), body)) == 0


def test_noise_of_tracking_does_not_hide_a_contact(body: Body, hips: Made) -> None:
    """With half a degree of noise on every joint the same parts touch, in few pieces."""
    noise = np.random.default_rng(0).normal(size=hips.motion.poses.shape) * np.radians(0.5)
    noise[:, :3] = 0
    found = find_contacts(replace(hips.motion, poses=(hips.motion.poses + noise).astype(np.float32)), body)
    assert 1 <= found.kinds().count("hand to hip") - 1 <= 3


def test_a_hand_that_passes_touches_nothing(body: Body, hips: Made) -> None:
    """The same way at twelve times the speed, without a stop, is a pass."""
    way = np.concatenate([np.arange(0, 55, 6), np.arange(54, 0, -6)])
    fast = select_rows(hips.motion, way)
    slow = find_contacts(hips.motion, body)
    assert len(find_contacts(fast, body).touch_rows) < len(slow.touch_rows)


def test_the_contacts_of_shots_are_one_list(body: Body, hips: Made, contacts: Contacts) -> None:
    """A motion twice, with a cut between: the contacts of the first shot, then the same again, each in its own shot."""
    frames = len(hips.motion)
    twice = join_shots([hips.motion, hips.motion])
    later = twice.pts_seconds + np.repeat([0.0, hips.motion.duration_seconds], frames)
    found = find_contacts(replace(twice, pts_seconds=later, frame_index=np.arange(2 * frames)), body)
    assert len(found) == 2 * len(contacts)
    for number, shot in enumerate((slice(0, frames), slice(frames, 2 * frames))):
        own = found.of_shot(shot)
        for name in ("parts", "rows", "touch_contact", "touch_rows", "touch_faces"):
            np.testing.assert_array_equal(getattr(own, name), getattr(contacts, name), err_msg=f"shot {number}")
