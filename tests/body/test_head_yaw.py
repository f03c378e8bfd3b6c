"""How far the head is turned from the camera, against known rotations and the posed body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.head_yaw import frontal_rows, head_yaw_degrees
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import rotvec_from_matrix
from tests.motions import joint, standing

YAWS = (0.0, 10.0, -40.0, 90.0, 179.0)


def turned(body: Body, yaws: tuple[float, ...]):
    """A person who stands turned by each angle, in degrees to the picture's right."""
    motion = standing(body, len(yaws))
    angle = np.radians(yaws)
    y = np.zeros((len(yaws), 3, 3))
    y[:, 0, 0] = y[:, 2, 2] = np.cos(angle)
    y[:, 0, 2], y[:, 2, 0], y[:, 1, 1] = -np.sin(angle), np.sin(angle), 1
    motion.poses[:, :3] = rotvec_from_matrix(y @ np.diag([1.0, -1.0, -1.0]))
    return motion


def test_a_turned_body_turns_the_head(body: Body) -> None:
    """A body turned by a known angle has a head of that yaw."""
    np.testing.assert_allclose(head_yaw_degrees(turned(body, YAWS), body), YAWS, atol=1e-3)


def test_spine_neck_and_head_add_up(body: Body) -> None:
    """With every joint up to the head turned at random, the yaw is that of the posed head's own +z axis."""
    motion = standing(body, 12)
    for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head"):
        random = np.random.default_rng(JOINT_NAMES.index(name))
        motion.poses[:, joint(name)] += random.normal(0, 0.3, (12, 3))
    axis = pose_motion(body, motion).transforms[:, JOINT_NAMES.index("head"), :, 2]
    np.testing.assert_allclose(
        head_yaw_degrees(motion, body), np.degrees(np.arctan2(axis[:, 0], -axis[:, 2])), atol=1e-2
    )


def test_the_face_is_nearer_where_it_looks(body: Body) -> None:
    """A head that looks to the picture's right has its nose to the right of the head's joint."""
    posed = pose_motion(body, turned(body, (30.0, -30.0)))
    head = JOINT_NAMES.index("head")
    nose = posed.vertices[:, np.argmax(body.v_template[:, 2] * body.part_vertices("head"))]
    assert np.sign(nose[:, 0] - posed.joints[:, head, 0]).tolist() == [1, -1]


@pytest.mark.parametrize("count", range(1, 9))
def test_frontal_rows_give_the_most_frontal_of_any_beginning(body: Body, count: int) -> None:
    """For a clip of any length, the last of the rows within it is turned as little as any row, to one degree."""
    motion = turned(body, (50.0, -48.0, 20.0, 19.5, 70.0, -3.0, 2.9, 0.0))
    rows = frontal_rows(motion, body)
    assert rows == [0, 1, 2, 5, 7]
    yaws = np.abs(head_yaw_degrees(motion, body))[:count]
    assert yaws[max(row for row in rows if row < count)] < yaws.min() + 1


def test_rows_without_a_person_are_not_frontal(body: Body) -> None:
    """A row in which nobody was seen is left out; a clip without anybody has none."""
    motion = turned(body, (0.0, 50.0, 10.0))
    valid = motion.valid.copy()
    valid[0, 0] = False
    assert frontal_rows(replace(motion, valid=valid), body) == [1, 2]
    assert frontal_rows(replace(motion, valid=np.zeros_like(valid)), body) == []
