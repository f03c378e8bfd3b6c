"""The driver's motion in the photo's framing: what the photo does not show does not move the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.drawing.framing import anchor_motion, bound_rotation, walks_without_legs
from stages.drawing.photo_faults import unmoved_parts
from tests.motions import joint, standing

NECK, HEAD = JOINT_NAMES.index("neck"), JOINT_NAMES.index("head")
ANKLES = [JOINT_NAMES.index(f"{side}_ankle") for side in ("left", "right")]


def walking(body: Body, size: tuple[int, int] = (512, 512)) -> Motion:
    """Six rows, seen whole from four metres: a metre to the side and a metre nearer, leaning and turning the head."""
    clip = standing(body, 6, size=size)
    share = np.linspace(0, 1, 6)[:, None]
    clip.trans[:] = [0, 0, 4] + share * np.array([1, 0, -1], np.float32)
    clip.poses[:, joint("spine1")] += share * [0.6, 0, 0]
    clip.poses[:, joint("head")] += share * [0, 0, 0.8]
    return clip


def whole(body: Body) -> Motion:
    """A photo of a whole person."""
    photo = standing(body, 1)
    photo.trans[:] = [0, 0, 4]
    return photo


def cut_below(photo: Motion, rows: int) -> Motion:
    """The photo without the rows of pixels below."""
    return replace(photo, image_size=(photo.image_size[0], rows))


def bust(body: Body) -> Motion:
    """A photo of head and shoulders; elbows and legs are outside."""
    photo = standing(body, 1)
    photo.poses[:, joint("left_shoulder")] = [0, 0, -1.2]
    photo.poses[:, joint("right_shoulder")] = [0, 0, 1.2]
    return cut_below(photo, 210)


def test_a_walking_driver_does_not_walk_a_photo_without_legs(body: Body) -> None:
    """The neck stays within 6 cm, the head within 25 degrees, though the driver walks a metre and bends; it is said."""
    photo, clip = bust(body), walking(body)
    assert walks_without_legs(clip, photo, body)
    posed = pose_motion(body, anchor_motion(clip, photo, body, relative=True))
    own = pose_motion(body, photo)
    assert np.linalg.norm(posed.joints[:, NECK] - own.joints[0, NECK], axis=1).max() < 0.06
    turn = posed.transforms[:, HEAD, :, :3] @ own.transforms[0, HEAD, :, :3].T
    assert np.degrees(np.linalg.norm(rotvec_from_matrix(turn), axis=-1)).max() < 25
    told = unmoved_parts(photo, clip, body)
    assert "the photo no legs" in told[0]
    assert told[1] == "both arms are outside the photo and not moved"
    assert unmoved_parts(whole(body), clip, body) == []


@pytest.mark.parametrize("covered", [False, True])
def test_legs_that_sit_or_are_under_a_robe_stay_under_a_walking_driver(body: Body, covered: bool) -> None:
    """The feet keep their place, the head turns by less than 25 degrees, and it is said why; drivers who show no legs,
    or with turns as in their camera, are not affected."""
    photo, clip = whole(body), walking(body)
    if not covered:
        photo.poses[:, joint("left_knee")] = [1.5, 0, 0]
    assert walks_without_legs(clip, photo, body, True, covered)
    moved = anchor_motion(clip, photo, body, relative=True, legs_covered=covered)
    posed, own = pose_motion(body, moved), pose_motion(body, photo)
    assert np.abs(posed.joints[:, ANKLES] - own.joints[0, ANKLES]).max() < 1e-3
    turn = posed.transforms[:, HEAD, :, :3] @ own.transforms[0, HEAD, :, :3].T
    assert np.degrees(np.linalg.norm(rotvec_from_matrix(turn), axis=-1)).max() < 25
    sitting = "a person who sits (knees bent by 86 degrees, 0 in the video)"
    assert unmoved_parts(photo, clip, body, covered) == [
        f"the video shows a whole body and the photo {'legs under wide clothes' if covered else sitting}: "
        "nobody walks, and the person hardly leans"
    ]
    free = anchor_motion(clip, photo, body, legs_covered=covered)
    assert np.abs(pose_motion(body, free).joints[:, ANKLES] - own.joints[0, ANKLES]).max() > 0.3
    half = cut_below(clip, 300)
    plain = anchor_motion(half, photo, body, relative=True)
    assert np.array_equal(plain.poses, anchor_motion(half, photo, body, relative=True, legs_covered=covered).poses)


def test_a_driver_who_sits_too_moves_seated_legs(body: Body) -> None:
    """Knees bent alike in photo and video: the legs follow."""
    photo, clip = whole(body), walking(body)
    for motion in (photo, clip):
        motion.poses[:, joint("left_knee")] = [1.5, 0, 0]
    assert not walks_without_legs(clip, photo, body, True)
    assert unmoved_parts(photo, clip, body) == []


def test_arms_outside_the_photo_keep_its_pose(body: Body) -> None:
    """With `relative` they do; without, for a model that draws them, they are the driver's."""
    photo, clip = bust(body), walking(body)
    for relative, kept in ((True, True), (False, False)):
        moved = anchor_motion(clip, photo, body, relative=relative)
        same = np.allclose(moved.poses[:, joint("left_shoulder")], photo.poses[:, joint("left_shoulder")], atol=1e-4)
        assert same == kept


def test_feet_stay_under_a_driver_without_legs(body: Body) -> None:
    """A half-body driver who leans and comes nearer leans a whole body, whose feet stay where they are."""
    photo, clip = whole(body), walking(body)
    clip.trans[:] = [[0, 0.4, 1.9 - 0.1 * row] for row in range(6)]
    result = pose_motion(body, anchor_motion(clip, photo, body, relative=True))
    own = pose_motion(body, photo)
    assert np.abs(result.joints[:, ANKLES] - own.joints[0, ANKLES]).max() < 1e-3
    assert np.abs(result.joints[-1, HEAD] - result.joints[0, HEAD]).max() > 0.05


def test_a_step_nearer_is_as_large_in_the_picture_as_the_drivers(body: Body) -> None:
    """Half a metre nearer from 2 m is a quarter of the distance; a photo from 1 m comes nearer by a quarter too."""
    photo = cut_below(standing(body, 1), 400)
    photo.trans[:] = [0, 0.4, 1.0]
    clip = standing(body, 2)
    clip.trans[:] = [0, 0.4, 1.1]
    clip.trans[1, 2] -= 0.25
    before, after = pose_motion(body, clip).joints[:, NECK, 2]
    neck = pose_motion(body, anchor_motion(clip, photo, body, relative=True)).joints[:, NECK, 2]
    assert neck[1] / neck[0] == pytest.approx(after / before, abs=0.01)


def test_a_bounded_rotation_keeps_its_axis() -> None:
    """5 degrees stay, 60 become less than 25 about the same axis."""
    axis = np.array([0.6, 0.0, 0.8])
    for angle, low, high in ((5.0, 5.0, 5.0), (60.0, 20.0, 24.0)):
        found = rotvec_from_matrix(
            bound_rotation(matrix_from_rotvec(np.radians(angle) * axis[None]), np.eye(3), 12, 24)
        )
        assert low - 1e-6 <= np.degrees(np.linalg.norm(found)) <= high + 1e-6
        np.testing.assert_allclose(found[0] / np.linalg.norm(found), axis, atol=1e-6)
