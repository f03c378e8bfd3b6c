"""The look of a person: colours of face, hair, trunk and thighs."""

from __future__ import annotations

import numpy as np

from stages.detect.look import SAME_LOOK, look_distance, look_of, typical_look


def _pose(x: float) -> np.ndarray:
    pose = np.zeros((33, 3), np.float32)
    pose[:, :2], pose[:, 2] = (x, 60), 1
    for index, place in {
        11: (35, 110),
        12: (-35, 110),
        23: (25, 230),
        24: (-25, 230),
        25: (25, 330),
        26: (-25, 330),
    }.items():
        pose[index, :2] = x + place[0], place[1]
    return pose


def _picture(shirt: tuple[int, int, int], x: int = 160) -> np.ndarray:
    """A person of flat colours on grey: hair above y 35, face to 90, shirt to 235, trousers below."""
    rgb = np.full((400, 640, 3), 128, np.uint8)
    rgb[10:35, x - 40 : x + 40] = (40, 30, 20)
    rgb[35:95, x - 40 : x + 40] = (220, 180, 150)
    rgb[95:235, x - 40 : x + 40] = shirt
    rgb[235:360, x - 40 : x + 40] = (20, 30, 80)
    return rgb


def test_the_same_clothes_look_the_same_elsewhere_in_the_picture() -> None:
    """A person who moved and was scaled has the same look, one in another shirt has not."""
    head, red, blue = np.array([160.0, 60.0]), (200, 40, 40), (40, 60, 200)
    here = look_of(_picture(red), head, 60, _pose(160))
    moved = look_of(_picture(red, 430), np.array([430.0, 60.0]), 60, _pose(430))
    double = np.repeat(np.repeat(_picture(red), 2, 0), 2, 1)
    larger = look_of(double, 2 * head, 120, _pose(160) * [2, 2, 1])
    assert np.isfinite(here).all()
    assert max(look_distance(here, moved), look_distance(here, larger)) < 0.2 * SAME_LOOK
    assert look_distance(here, look_of(_picture(blue), head, 60, _pose(160))) > SAME_LOOK


def test_without_a_pose_the_shirt_is_below_the_face() -> None:
    """Thighs are unknown then, and the distance to the look with a pose is small."""
    head = np.array([160.0, 60.0])
    alone = look_of(_picture((200, 40, 40)), head, 60, None)
    assert np.isnan(alone[3]).all()
    assert look_distance(alone, look_of(_picture((200, 40, 40)), head, 60, _pose(160))) < SAME_LOOK / 2


def test_parts_that_are_not_seen_are_left_out() -> None:
    """A person outside the picture has no look; the median of several looks is over those that have the part."""
    for head in ([-500.0, -500.0], [-500.0, 100.0], [160.0, 900.0]):
        nowhere = look_of(_picture((0, 0, 0)), np.array(head), 60, None)
        assert np.isnan(nowhere).all()
    known = np.full((4, 3, 9), 20, np.float32)
    assert np.isnan(look_distance(nowhere, known))
    np.testing.assert_array_equal(typical_look([nowhere, known, known + 2, known + 4]), known + 2)
    assert np.isnan(typical_look([nowhere])).all()
