"""Files of DWPose and OpenPose, in their exact layouts, replace the points of the built-in detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stages.body.model import Body
from stages.detect.keypoint_file import BODY25_TO_POSE, COCO_TO_POSE, read_keypoints, with_keypoints
from stages.detect.observations import Observations
from stages.errors import InputError
from tests.motions import standing
from tests.track.synthetic import observe

FRAMES = 3


@pytest.fixture
def seen(body: Body) -> Observations:
    """Observations of a standing person."""
    return observe(body, standing(body, FRAMES))


def _wholebody(seen: Observations) -> np.ndarray:
    points = np.zeros((FRAMES, 133, 3))
    for source, target in COCO_TO_POSE.items():
        points[:, source, :2] = seen.pose[:, target, :2] + 7
    points[:, 91:112, :2], points[:, 112:133, :2] = seen.left_hand[..., :2] + 7, seen.right_hand[..., :2] + 7
    points[..., 2] = 0.9
    return points


def test_dwpose_npz_and_json_move_the_points(tmp_path: Path, seen: Observations) -> None:
    """133 points as npz with scores, as npz with a third column and as JSON are the same; depth is the detector's."""
    points = _wholebody(seen)
    np.savez(tmp_path / "a.npz", keypoints=points[..., :2], scores=points[..., 2])
    np.savez(tmp_path / "b.npz", keypoints=points)
    rows = [
        {"instances": [{"keypoints": row[:, :2].tolist(), "keypoint_scores": row[:, 2].tolist()}]} for row in points
    ]
    (tmp_path / "c.json").write_text(json.dumps(rows))
    for name in ("a.npz", "b.npz", "c.json"):
        moved = with_keypoints(seen, read_keypoints(tmp_path / name), name)
        assert np.allclose(moved.pose[:, list(COCO_TO_POSE.values()), :2], seen.pose[:, list(COCO_TO_POSE.values()), :2] + 7, atol=1e-3)  # fmt: skip  # noqa: E501
        assert np.allclose(moved.left_hand[..., :2], seen.left_hand[..., :2] + 7, atol=1e-3)
        assert np.array_equal(moved.left_hand[..., 2], seen.left_hand[..., 2])
        assert np.array_equal(moved.pose_world, seen.pose_world)


def test_points_of_low_confidence_are_not_used(tmp_path: Path, seen: Observations) -> None:
    """A point below 0.3 keeps its position and gets visibility 0, and a hand of low confidence is not used."""
    points = _wholebody(seen)
    points[:, 7, 2], points[:, 91:112, 2] = 0.1, 0.2
    np.savez(tmp_path / "a.npz", keypoints=points)
    moved = with_keypoints(seen, read_keypoints(tmp_path / "a.npz"), "a.npz")
    assert np.array_equal(moved.pose[:, 13, :2], seen.pose[:, 13, :2])
    assert (moved.pose[:, 13, 2] == 0).all()
    assert np.array_equal(moved.left_hand, seen.left_hand)


def test_openpose_folder_is_read_by_frame_number(tmp_path: Path, seen: Observations) -> None:
    """One JSON per frame, right side first, a frame without people, frame numbers from the file names."""
    for frame in (0, 2):
        person = np.zeros((25, 3))
        for source, target in BODY25_TO_POSE.items():
            person[source] = [*seen.pose[frame, target, :2] - 3, 0.8]
        hand = np.concatenate([seen.right_hand[frame, :, :2] - 3, np.full((21, 1), 0.8)], 1)
        people = [
            {
                "person_id": [-1], "pose_keypoints_2d": person.ravel().tolist(), "face_keypoints_2d": [0.0] * 210,
                "hand_left_keypoints_2d": [], "hand_right_keypoints_2d": hand.ravel().tolist(),
            }
        ]  # fmt: skip
        (tmp_path / f"clip_{frame:012d}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    (tmp_path / "clip_000000000001_keypoints.json").write_text(json.dumps({"version": 1.3, "people": []}))
    moved = with_keypoints(seen, read_keypoints(tmp_path), "folder")
    assert np.allclose(moved.pose[[0, 2], 12, :2], seen.pose[[0, 2], 12, :2] - 3, atol=1e-3)
    assert np.array_equal(moved.pose[1], seen.pose[1])
    assert np.allclose(moved.right_hand[2, :, :2], seen.right_hand[2, :, :2] - 3, atol=1e-3)
    assert np.array_equal(moved.left_hand, seen.left_hand)


def test_bad_keypoint_files_are_one_line_errors(tmp_path: Path, seen: Observations) -> None:
    """Wrong shapes, missing confidences, files of other clips, and other kinds of files are input errors."""
    np.savez(tmp_path / "a.npz", keypoints=np.zeros((FRAMES, 70, 3)))
    np.savez(tmp_path / "b.npz", keypoints=np.zeros((FRAMES, 133, 2)))
    np.savez(tmp_path / "c.npz", keypoints=np.zeros((FRAMES + 4, 133, 3)))
    (tmp_path / "d.json").write_text("{}")
    (tmp_path / "e.json").write_text("no json")
    for name, message in (
        ("a.npz", "expected .frames, 133"), ("b.npz", "no confidences"), ("d.json", "neither OpenPose"),
        ("e.json", "damaged or not JSON"), ("f.npz", "does not exist"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_keypoints(tmp_path / name)
    with pytest.raises(InputError, match=f"has {FRAMES + 4} rows but the clip has {FRAMES}"):
        with_keypoints(seen, read_keypoints(tmp_path / "c.npz"), "c.npz")
