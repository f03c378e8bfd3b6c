"""Every drawing of one posed person: what its colours mean, where they lie, and that it never changes unnoticed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.drawings import DRAWINGS, DrawingOptions, drawing, drawn_by
from stages.drawing.frames import View, posed_frames
from stages.drawing.openpose import FACE_NAMES
from stages.drawing.skeleton import draw_skeleton
from stages.drawing.whole_body import WholeBody
from stages.errors import InputError
from tests.motions import joint, standing

SIDE = 256


def painted(name: str, motion: Motion, body: Body, size: tuple[int, int] = (SIDE, SIDE), row: int = 0) -> np.ndarray:
    """One row of a motion."""
    view = View.fitted(motion, *size)
    paint = drawing(name).painter(motion, body, view, DrawingOptions())
    (frame,) = posed_frames(motion, body, view, np.array([row]))
    return paint(frame)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_person_on_black(body: Body, name: str) -> None:
    """Each drawing has the size that was asked for, a person in it, and black around the person."""
    picture = painted(name, standing(body, 1), body, (192, 320))
    assert picture.shape == (320, 192, 3)
    assert picture.dtype == np.uint8
    assert 0.005 < picture.any(-1).mean() < 0.7
    assert not picture[:, 0].any()


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_in_every_call(body: Body, name: str) -> None:
    """Two painters draw the same frame alike, and a row is drawn alike alone and among others."""
    motion = standing(body, 10, seed=3)
    view = View.fitted(motion, SIDE, SIDE)
    paint = drawing(name).painter(motion, body, view, DrawingOptions())
    among = [paint(frame) for frame in posed_frames(motion, body, view)]
    assert len(among) == 10
    np.testing.assert_array_equal(among[9], painted(name, motion, body, row=9))


def test_versions_are_told_apart() -> None:
    """No two drawings share a name or a version; a version finds its drawing; an unknown name lists those there are."""
    assert len({each.version for each in DRAWINGS.values()}) == len(DRAWINGS)
    assert all(drawn_by(each.version) is each for each in DRAWINGS.values())
    assert drawn_by("skeleton-0") is None
    with pytest.raises(InputError, match="mesh, skeleton, openpose, depth, normal, shaded"):
        drawing("skeletton")


def test_depth_is_brighter_where_it_is_nearer(body: Body) -> None:
    """A hand stretched towards the camera is brighter than the trunk; the range is that of the whole clip."""
    motion = standing(body, 2)
    motion.poses[1, joint("left_shoulder")] = [0, -np.pi / 2, 0]
    view = View.fitted(motion, SIDE, SIDE)
    paint = drawing("depth").painter(motion, body, view, DrawingOptions())
    first, second = posed_frames(motion, body, view)
    pictures = paint(first), paint(second)
    x, y = second.keypoints["left_hand_12"][:2].astype(int)
    assert pictures[1][y, x].mean() > pictures[1][pictures[1].any(-1)].mean() + 40
    x, y = first.joints[9][:2].astype(int)
    assert abs(int(pictures[0][y, x, 0]) - int(pictures[1][y, x, 0])) <= 1


def test_normals_point_where_their_colours_say(body: Body) -> None:
    """The chest is blue (towards the camera), the picture's right side of the trunk red, shoulders' tops green."""
    picture = painted("normal", standing(body, 1), body, (512, 512)).astype(int)
    shown = picture.any(-1)
    centre = picture[shown]
    assert centre[:, 2].mean() > 128
    row = np.flatnonzero(shown[256])
    left, right = picture[256, row[3]], picture[256, row[-4]]
    assert right[0] > left[0] + 60


def test_the_shaded_mesh_is_grey(body: Body) -> None:
    """Neutral: red, green and blue are one value everywhere."""
    picture = painted("shaded", standing(body, 1), body)
    assert np.ptp(picture.astype(int), axis=-1).max() == 0


def test_openpose_shows_a_face_from_the_front_only(body: Body) -> None:
    """White face points from the front, none from behind; the mouth's lie between the jaw's ends."""
    motion = standing(body, 1)
    front = painted("openpose", motion, body, (512, 512))
    assert (front == 255).all(-1).sum() > 200
    motion.poses[:, :3] = [0, 0, np.pi]
    behind = painted("openpose", motion, body, (512, 512))
    assert (behind == 255).all(-1).sum() == 0
    (frame,) = posed_frames(standing(body, 1), body, View.fitted(standing(body, 1), 512, 512))
    points = np.array([frame.keypoints[name][:2] for name in FACE_NAMES])
    assert points[0, 0] < points[48:, 0].min()
    assert points[48:, 0].max() < points[16, 0]
    assert points[17:27, 1].max() < points[36:48, 1].min() < points[48:, 1].min() < points[8, 1]


def test_a_hand_that_was_not_measured_is_not_drawn(body: Body) -> None:
    """The skeleton and openpose leave out what the tracker did not see."""
    motion = standing(body, 1)
    whole = painted("skeleton", motion, body).astype(int)
    motion.valid[:, 2:] = False
    without = painted("skeleton", motion, body).astype(int)
    assert (whole != without).any()
    assert without.any(-1).sum() < whole.any(-1).sum()


def test_points_outside_the_motions_picture_are_not_drawn(body: Body) -> None:
    """In a map wider than the motion's picture, joints beside that picture are no more drawn than in it."""
    motion = replace(standing(body, 1), image_size=(120, 512))
    view = View.fitted(motion, 512, 512)
    assert view.window == (196.0, 0.0, 316.0, 512.0)
    picture = painted("skeleton", motion, body, (512, 512))
    assert picture[:, 200:312].any()
    assert not picture[:, :190].any()
    assert not picture[:, 322:].any()


def test_golden_skeleton() -> None:
    """The drawing of stored points is that of version skeleton-1, byte for byte."""
    body_points = np.zeros((20, 3), np.float32)
    body_points[:14] = [
        (100, 40, 1), (100, 70, 1), (75, 72, 1), (60, 110, 1), (55, 150, 1), (125, 72, 1), (140, 110, 1),
        (150, 150, 1), (85, 150, 1), (82, 200, 1), (80, 245, 1), (115, 150, 1), (118, 200, 1), (120, 245, 0),
    ]  # fmt: skip
    body_points[14:18] = [(95, 35, 1), (105, 35, 1), (88, 40, 1), (112, 40, 0)]
    hand = np.array([(150 + 4 * (k % 5), 150 + 3 * (k // 5), k != 7) for k in range(21)], np.float32)
    picture = draw_skeleton(WholeBody(body_points, hand, hand * 0), 200, 256)
    assert hashlib.sha256(picture.tobytes()).hexdigest() == GOLDEN


GOLDEN = "a6f2c7404dddc5a422f18194f484b968186d25cb9248282a94b52b4ebe7c801f"
