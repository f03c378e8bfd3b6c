"""What a photo does not show: said for the photo that has it, and only for that one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import PARTS, Motion
from stages.body.model import Body
from stages.drawing.photo_faults import photo_faults, unseen_hands, unseen_parts, unseen_shares
from tests.motions import joint, standing

SIDES = {"left": 1, "right": -1}


def arms_down(body: Body) -> Motion:
    """One row: the arms hang beside the trunk."""
    motion = standing(body, 1)
    for side, sign in SIDES.items():
        motion.poses[0, joint(f"{side}_shoulder")] = [0, 0, -1.1 * sign]
        motion.poses[0, joint(f"{side}_elbow")] = 0
    return motion


def without(motion: Motion, *parts: str) -> Motion:
    """The motion with these parts not measured."""
    valid = motion.valid.copy()
    valid[:, [PARTS.index(part) for part in parts]] = False
    return replace(motion, valid=valid)


def test_a_frontal_photo_has_no_faults(body: Body) -> None:
    """A person who faces the camera with the arms down."""
    assert photo_faults(arms_down(body), body) == []


@pytest.mark.parametrize("degrees", [-40, 40])
def test_a_turned_face_is_told_in_degrees(body: Body, degrees: int) -> None:
    """40 degrees are said within two degrees; a face that was not found is not judged."""
    motion = arms_down(body)
    motion.poses[0, joint("neck")] = [0, np.radians(degrees), 0]
    (fault,) = photo_faults(motion, body)
    assert fault.startswith("face turned ")
    assert abs(int(fault.split()[2]) - 40) <= 2
    assert photo_faults(without(motion, "face"), body) == []


@pytest.mark.parametrize(("degrees", "told"), [(32, "22 degrees down"), (-8, "18 degrees up"), (20, ""), (0, "")])
def test_a_tilted_face_is_told_by_its_tilt_from_straight(body: Body, degrees: int, told: str) -> None:
    """A fitted head that looks 10 degrees down is a straight face; from 15 degrees off it the tilt is told."""
    motion = arms_down(body)
    motion.poses[0, joint("head")] = [np.radians(degrees), 0, 0]
    assert photo_faults(motion, body) == ([f"face tilted {told}: it will be guessed"] if told else [])


def test_arms_before_the_trunk_and_a_hand_before_the_face_are_told(body: Body) -> None:
    """Forearms folded before the belly cross the trunk; a raised forearm with its hand covers the face."""
    folded, raised = arms_down(body), arms_down(body)
    for side, sign in SIDES.items():
        folded.poses[0, joint(f"{side}_shoulder")] = [0.3, -1.2 * sign, 0.5 * sign]
        folded.poses[0, joint(f"{side}_elbow")] = [0, -1.5 * sign, 0]
    (fault,) = photo_faults(folded, body)
    assert fault.startswith("arms cross the trunk")
    raised.poses[0, joint("left_shoulder")] = [0.3, -1.0, 1.5]
    raised.poses[0, joint("left_elbow")] = [0, -0.7, 0]
    assert any(fault.startswith("a hand or arm covers") for fault in photo_faults(raised, body))


def test_a_hidden_hand_is_a_fault_and_one_outside_only_for_a_motion_that_shows_it(body: Body) -> None:
    """A hand inside the picture that was not found is hidden; outside it matters only where the motion has a hand."""
    hidden = without(arms_down(body), "left_hand")
    assert photo_faults(hidden, body) == ["left hand hidden"]
    assert unseen_hands(hidden, {"left": True, "right": True}, body) == []
    close = replace(hidden, image_size=(hidden.image_size[0], 200))
    assert photo_faults(close, body) == []
    assert unseen_hands(close, {"left": False, "right": True}, body) == []
    assert unseen_hands(close, {"left": True, "right": True}, body) == [
        "left hand outside the photo: it will be guessed"
    ]


def test_what_the_photo_does_not_show_is_told_by_parts(body: Body) -> None:
    """Nothing for the photo's own pose; the trunk for a person who turns their back; legs for a photo without them."""
    photo = arms_down(body)
    assert unseen_parts(photo, photo, body) == []
    back = replace(photo, poses=photo.poses.copy())
    back.poses[0, joint("pelvis")] = [0, 0, np.pi]
    shares = unseen_shares(photo, back, body)
    assert shares["trunk"][0] > 0.6
    assert any("of the trunk" in fault for fault in unseen_parts(photo, back, body))
    bust = replace(photo, image_size=(photo.image_size[0], photo.image_size[1] // 2))
    (fault,) = unseen_parts(bust, photo, body)
    assert "of the legs that the video shows is not in the photo" in fault
    assert not any("legs" in fault for fault in unseen_parts(bust, photo, body, frozenset({"legs"})))
