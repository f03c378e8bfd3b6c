"""Each gate on synthetic observations that break exactly its rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.detect.face_angle import RIGID_FACE, face_angles_degrees
from stages.detect.gates import CONFIDENCE, GATES, MISSED, GateConfig, check_gates, gate, head_height, point_weights
from stages.detect.hands import assign_hands_to_arms
from stages.detect.observations import Observations
from stages.detect.sides import SIDES
from stages.errors import InputError

T = 6
POSE = {0: (320, 100), 11: (390, 180), 12: (250, 180), 13: (410, 260), 14: (230, 260), 15: (420, 340), 16: (220, 340),
        17: (425, 365), 19: (430, 360), 21: (415, 355), 18: (225, 365), 20: (230, 360), 22: (215, 355),
        23: (360, 380), 24: (280, 380)}  # fmt: skip
FACE_SCALE = 45.0


def _rotation(yaw: float, pitch: float = 0.0) -> np.ndarray:
    """R_camera_head that looks `yaw` degrees to the picture's right and `pitch` degrees down."""
    y, p = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    return about_y @ about_x


def _face(R: np.ndarray) -> np.ndarray:
    face = np.tile(np.array([320.0, 100.0, 0.0], np.float32), (478, 1))
    for index, place in RIGID_FACE.items():
        face[index] += (R @ np.array(place) * FACE_SCALE).astype(np.float32)
    face[152] = face[10] + R @ [0, 95, 0]
    face[1] = (320, 100, 0)
    return face


def _hand(wrist: tuple[float, float], size: float = 40.0) -> np.ndarray:
    rows = np.zeros((21, 3), np.float32)
    rows[:, 0] = wrist[0] + np.linspace(0, 0.5 * size, 21) * (-1) ** np.arange(21)
    rows[:, 1] = wrist[1] + np.linspace(0, size, 21)
    return rows


@pytest.fixture
def clip() -> Observations:
    """A person who faces the camera, six equal frames, no errors."""
    pose = np.zeros((33, 3), np.float32)
    pose[:, :2], pose[:, 2] = (320, 250), 0.9
    for index, place in POSE.items():
        pose[index, :2] = place
    repeat = lambda rows: np.repeat(rows[None], T, axis=0)  # noqa: E731
    return Observations(
        image_size=(640, 480), fps=25.0, is_photo=False, duration_seconds=T / 25, other_people=0,
        frame_index=np.arange(T), pts_seconds=np.arange(T) / 25, pose=repeat(pose), pose_world=repeat(pose),
        face=repeat(_face(np.eye(3))), left_hand=repeat(_hand(POSE[15])), right_hand=repeat(_hand(POSE[16])),
        found=np.ones((T, 4), bool), score=np.ones((T, 4), np.float32), person_box=np.zeros((T, 4), np.float32),
        evidence=np.tile(np.array([0.95, 0.1, 0.1, np.nan], np.float32), (T, 1)),
        shot=np.zeros(T, int), identity=np.zeros(T, int),
    )  # fmt: skip


def _with_evidence(clip: Observations, row: int, column: int, value: float) -> Observations:
    evidence = clip.evidence.copy()
    evidence[row, column] = value
    return replace(clip, evidence=evidence)


def test_a_faultless_clip_is_valid_throughout(clip):
    """No gate rejects a correct clip, and every score is above 0.5."""
    gates = gate(clip)
    assert gates.valid.all()
    assert gates.score.min() > 0.5
    assert not any(rows.any() for rows in gates.rejected.values())


@pytest.mark.parametrize(
    ("column", "value", "rule"), [(0, 0.01, "nobody there"), (2, 2.5, "somebody else"), (3, 5.0, "looks like another")]
)
def test_a_rejected_body_rejects_all_parts(clip, column, value, rule):
    """All four parts of a frame are rejected when the matte shows background, or the head or the look is another's."""
    gates = gate(_with_evidence(clip, 3, column, value))
    assert gates.valid.all(1).tolist() == [True, True, True, False, True, True]
    assert not gates.valid[3].any()
    assert gates.rejected[rule].tolist() == [False, False, False, True, False, False]
    assert gates.score[3].max() == 0


def test_the_head_limit_is_stricter_with_other_people(clip):
    """A head that is off by one head height is accepted for a person alone, and rejected with others in the picture."""
    moved = _with_evidence(clip, 2, 2, 1.0)
    assert gate(moved).valid[2, 0]
    assert not gate(replace(moved, other_people=1)).valid[2, 0]


def test_a_body_that_shrinks_suddenly_is_rejected(clip):
    """A torso with a third of the size in the other frames is not the same person."""
    pose = clip.pose.copy()
    pose[4, :, :2] = (pose[4, :, :2] - 300) / 3 + 300
    assert gate(replace(clip, pose=pose)).rejected["size jumps"].tolist() == [False] * 4 + [True, False]


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (35, 0), (-50, 0), (0, 40), (20, -30)])
def test_face_angles_are_those_of_the_known_rotation(yaw, pitch):
    """The angles of a face that is rotated by known angles are within 0.1 degree of them."""
    angles = face_angles_degrees(_face(_rotation(yaw, pitch))[None])[0]
    np.testing.assert_allclose(angles[:2], (yaw, pitch), atol=0.1)


def test_a_face_in_profile_is_rejected_and_the_body_is_not(clip):
    """A yaw of 70 degrees rejects the face and no other part; a yaw of 50 degrees rejects nothing."""
    face = clip.face.copy()
    face[1], face[2] = _face(_rotation(70)), _face(_rotation(50))
    gates = gate(replace(clip, face=face))
    assert gates.valid[:, 1].tolist() == [True, False, True, True, True, True]
    assert gates.valid[:, [0, 2, 3]].all()
    assert gates.score[2, 1] < gates.score[0, 1]


def test_a_face_in_a_single_frame_is_rejected(clip):
    """A face in one frame, without another within 0.5 s, is rejected; in two frames, or in a short clip, it is not."""
    face = clip.found.copy()
    face[:, 1] = np.arange(T) == 2
    slow = replace(clip, found=face, fps=4.0)
    assert not gate(slow).valid[:, 1].any()
    assert gate(slow).valid[:, 0].all()
    assert gate(replace(slow, fps=12.0)).valid[:, 1].tolist() == (np.arange(T) == 2).tolist()
    face[3, 1] = True
    assert gate(slow).valid[:, 1].sum() == 2


def test_a_hand_off_its_arm_is_rejected(clip):
    """A hand farther than half a head height from the wrist of its arm is rejected."""
    left = clip.left_hand.copy()
    left[2, :, :2] += 0.6 * head_height(clip)[2]
    gates = gate(replace(clip, left_hand=left))
    assert gates.rejected["left_hand: off the arm"].tolist() == [False, False, True, False, False, False]
    assert not gates.valid[2, 2]
    assert gates.valid[2, 3]


def test_a_hand_mostly_outside_the_picture_is_rejected(clip):
    """A hand with less than half of its box in the picture is rejected, and so is a hand of impossible size."""
    pose, left, right = clip.pose.copy(), clip.left_hand.copy(), clip.right_hand.copy()
    pose[0, 15, 1] = left[0, 0, 1] = 470
    left[0] = _hand((420, 470))
    right[1] = _hand((220, 340), size=300)
    gates = gate(replace(clip, pose=pose, left_hand=left, right_hand=right))
    assert gates.rejected["left_hand: outside the picture"][0]
    assert gates.rejected["right_hand: wrong size"][1]
    assert gates.valid.sum() == 4 * T - 2


def test_one_hand_found_twice_stays_on_the_nearer_arm(clip):
    """Of two hands on each other at the left wrist only the left one is accepted; of two touching palms both are."""
    right = clip.right_hand.copy()
    right[3] = clip.left_hand[3] + 1
    doubled = replace(clip, right_hand=right)
    assert gate(doubled).rejected["right_hand: is the other hand"].tolist() == [False] * 3 + [True, False, False]
    pose = doubled.pose.copy()
    pose[3, [16, 18, 20, 22]] = pose[3, [15, 17, 19, 21]] + np.array([3, 0, 0], np.float32)
    assert gate(replace(doubled, pose=pose)).valid[3].all()


def test_a_hand_on_the_other_arm_moves_to_that_arm(clip):
    """A right hand at the left wrist becomes the left hand if there is none, and is dropped if there is one."""
    pose, left = clip.pose[0], clip.left_hand[0]
    moved = assign_hands_to_arms({"pose": pose, "right_hand": left})
    assert set(moved) == {"pose", "left_hand"}
    np.testing.assert_array_equal(moved["left_hand"], left)
    assert set(assign_hands_to_arms({"pose": pose, "left_hand": left, "right_hand": left + 1})) == {"pose", "left_hand"}


def test_a_hand_outside_the_box_of_the_pose_is_rejected(clip):
    """Fingers that point up lie in another box than the pose network's knuckles, which point down."""
    left = clip.left_hand.copy()
    left[2, :, 1] = 2 * POSE[15][1] - left[2, :, 1] - 25
    gates = gate(replace(clip, left_hand=left))
    assert gates.rejected["left_hand: off the box"].tolist() == [row == 2 for row in range(T)]
    assert not gates.rejected["left_hand: off the arm"].any()
    assert gates.valid[:, 2].tolist() == [row != 2 for row in range(T)]


def test_a_head_upside_down_is_rejected(clip):
    """A face with 80 degrees of roll is accepted; a face upside down (170 degrees) is rejected, unless the trunk is
    upside down too, as with a camera that is upside down."""
    turned = clip.pose.copy()
    turned[..., 1] = 500 - turned[..., 1]
    for degrees, pose, rejected in ((80, clip.pose, False), (170, clip.pose, True), (170, turned, False)):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        face = np.repeat(_face(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))[None], T, axis=0)
        gates = gate(replace(clip, face=face, pose=pose))
        assert not gates.rejected["face turned away"].any()
        assert gates.rejected["face upside down"].all() == gates.rejected["face upside down"].any() == rejected
        assert abs(gates.face_angles[0, 2]) == pytest.approx(degrees, abs=1)


def _breaking(clip: Observations) -> Observations:
    """Frame 2 breaks every rule that a frame can break at once."""
    pose, left, right, face = (getattr(clip, name).copy() for name in ("pose", "left_hand", "right_hand", "face"))
    left[2] = right[2] = _hand((900, 340), size=400)
    face[2] = _face(_rotation(80))
    broken = replace(clip, pose=pose, left_hand=left, right_hand=right, face=face)
    for column, value in enumerate((0.01, 3.0, 3.0, 9.0)):
        broken = _with_evidence(broken, 2, column, value)
    return broken


@pytest.mark.parametrize("name", [name for name in GATES if name not in (CONFIDENCE, MISSED, SIDES)])
def test_each_gate_can_be_switched_off_alone(clip, name):
    """A gate that is off rejects nothing; every other gate rejects what it rejected before."""
    broken = _breaking(clip)
    before, after = gate(broken).rejected, gate(broken, GateConfig(off=(name,))).rejected
    assert before.keys() == after.keys()
    for column, rows in before.items():
        expected = rows & (column.rpartition(": ")[2] != name)
        assert after[column].tolist() == expected.tolist(), column


def test_no_gate_looks_across_a_cut(clip):
    """A person three times as large in one frame is rejected in one shot, and accepted in six."""
    pose = clip.pose.copy()
    pose[2, :, :2] *= 3
    large = replace(clip, pose=pose, evidence=np.full((T, 4), np.nan, np.float32))
    assert gate(large).rejected["size jumps"].any()
    assert not gate(replace(large, shot=np.arange(T))).rejected["size jumps"].any()


def test_an_unknown_gate_is_an_input_error():
    """A misspelt gate is a one-line error that lists the right names."""
    with pytest.raises(InputError, match=r"gates_off names 'off arm'.*off the arm"):
        check_gates(("off arm",))


def test_a_clip_without_findings_has_nothing_valid(clip):
    """A clip of NaN passes through every rule without a warning: nothing is valid, scores are 0."""
    points = {name: np.full_like(getattr(clip, name), np.nan) for name in ("pose", "face", "left_hand", "right_hand")}
    empty = replace(clip, found=np.zeros((T, 4), bool), evidence=np.full((T, 4), np.nan, np.float32), **points)
    gates = gate(empty)
    assert not gates.valid.any()
    assert gates.score.max() == 0


def test_points_outside_the_picture_have_no_weight(clip):
    """A hip below the picture has weight 0, a hip on the lower edge half its visibility, others their visibility."""
    pose = clip.pose.copy()
    pose[:, 23, 1], pose[:, 24, 1] = 500, 478
    weights = point_weights(replace(clip, pose=pose))
    np.testing.assert_allclose(weights[0, [11, 23, 24]], [0.9, 0, 0.45], atol=1e-6)
