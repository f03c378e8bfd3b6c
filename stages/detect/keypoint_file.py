"""2-D keypoints of another detector, read from its file, which replace those of the built-in detector.

DWPose (COCO-WholeBody's 133 points: 17 body, 6 feet, 68 face, 21 + 21 hands) as npz or JSON; OpenPose (25 + 70 + 21 +
21) as its folder of `*_keypoints.json` or one such file. Only 2-D positions are used. Depth and the dense face mesh
are those of the built-in detector, because these files have neither. Pixels of the upright source picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.artifacts.npz import opened_npz
from stages.artifacts.text_files import read_json
from stages.counted import counted
from stages.detect.observations import PARTS, Observations
from stages.errors import InputError

CONFIDENCE_MIN = 0.3
"""Points below this confidence are not used (DWPose's own drawing threshold)."""
HAND_CONFIDENCE_MIN = 0.5
"""A hand counts as found above this mean confidence."""
COCO_TO_POSE = {
    0: 0, 1: 2, 2: 5, 3: 7, 4: 8, 5: 11, 6: 12, 7: 13, 8: 14, 9: 15, 10: 16, 11: 23, 12: 24, 13: 25, 14: 26, 15: 27,
    16: 28, 17: 31, 19: 29, 20: 32, 22: 30,
}  # fmt: skip
"""COCO-WholeBody's body and feet -> MediaPipe's pose points (left eye, not its corners; big toe; heel)."""
BODY25_TO_POSE = {
    0: 0, 16: 2, 15: 5, 18: 7, 17: 8, 5: 11, 2: 12, 6: 13, 3: 14, 7: 15, 4: 16, 12: 23, 9: 24, 13: 25, 10: 26, 14: 27,
    11: 28, 19: 31, 21: 29, 22: 32, 24: 30,
}  # fmt: skip
"""OpenPose's BODY_25, which numbers the right side first -> MediaPipe's pose points."""


@dataclass(frozen=True)
class KeypointRows:
    """Points of a file, one row per frame: x px, y px, confidence; NaN where the file has no value."""

    pose: Float[np.ndarray, "frames 33 3"]
    left_hand: Float[np.ndarray, "frames 21 3"]
    right_hand: Float[np.ndarray, "frames 21 3"]
    frame_index: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.pose)


def read_keypoints(path: Path) -> KeypointRows:
    """Read DWPose's or OpenPose's file or folder. Raises InputError for anything else."""
    path = Path(path)
    try:
        return _read(path)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path} is neither OpenPose's (people/pose_keypoints_2d) nor DWPose's file (keypoints, keypoint_scores): "
            f"{str(error)[:100]}"
        ) from error


def _read(path: Path) -> KeypointRows:
    if path.is_dir():
        files = sorted(path.glob("*_keypoints.json"))
        if not files:
            raise InputError(f"{path} holds no *_keypoints.json files, as OpenPose writes them")
        numbers = [re.search(r"(\d+)_keypoints$", file.stem) for file in files]
        rows = [_first_person(_json(file), file) for file in files]
        named = tuple(int(number[1]) for number in numbers if number)
        return _openpose(rows, named if len(named) == len(files) else None)
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    if path.suffix.lower() == ".npz":
        return _npz(path)
    if path.suffix.lower() == ".json":
        return _from_json(_json(path), path)
    raise InputError(f"{path}: keypoints are an .npz, a .json, or OpenPose's folder of them")


def with_keypoints(observations: Observations, rows: KeypointRows, name: str) -> Observations:
    """The observations with the file's points where their confidence is high.

    Raises InputError when the file has no frame numbers and not one row per frame.
    """
    matched = _one_row_per_frame(rows, observations, name)
    pose = observations.pose.copy()
    sure = matched.pose[..., 2] > CONFIDENCE_MIN
    pose[sure] = matched.pose[sure]
    pose[..., 2][~sure & np.isfinite(matched.pose[..., 2])] = 0.0
    changed: dict[str, Any] = {"pose": pose}
    found, score = observations.found.copy(), observations.score.copy()
    for part in ("left_hand", "right_hand"):
        given = getattr(matched, part)
        confident = np.nan_to_num(given[..., 2]).mean(1) > HAND_CONFIDENCE_MIN
        points = getattr(observations, part).copy()
        points[confident, :, :2] = given[confident, :, :2]
        points[confident, :, 2] = np.nan_to_num(points[confident, :, 2])
        changed[part] = points
        column = PARTS.index(part)
        found[confident, column] = True
        score[confident, column] = np.maximum(score[confident, column], given[confident, :, 2].mean(1))
    return replace(observations, found=found, score=score, **changed)


def _one_row_per_frame(rows: KeypointRows, observations: Observations, name: str) -> KeypointRows:
    """The rows matched to the frames of the clip, by frame number or one to one."""
    frames = len(observations)
    if rows.frame_index is None and len(rows) != frames:
        raise InputError(
            f"{name} has {counted(len(rows), 'row')} but the clip has {counted(frames, 'frame')}; give one row "
            "per frame, or frame numbers"
        )
    numbers = rows.frame_index if rows.frame_index is not None else tuple(range(frames))
    place = {number: row for row, number in enumerate(numbers)}
    order = np.array([place.get(int(frame), -1) for frame in observations.frame_index])
    if (order < 0).all():
        raise InputError(f"{name} has no row for any frame of the clip; give keypoints made from this clip")
    known = (order >= 0)[:, None, None]

    def matched(points: np.ndarray) -> np.ndarray:
        return np.where(known, points[order], np.nan)

    return KeypointRows(matched(rows.pose), matched(rows.left_hand), matched(rows.right_hand))


def _npz(path: Path) -> KeypointRows:
    with opened_npz(path) as archive:
        there = sorted(archive.headers)
        arrays = archive.read(("keypoints", "scores", "keypoint_scores", "frame_index"))
    points = arrays.get("keypoints")
    if points is None:
        raise InputError(f"{path} has no array 'keypoints' (frames, 133, 2 or 3); it has {', '.join(there)}")
    scores = arrays.get("scores", arrays.get("keypoint_scores"))
    frames = arrays.get("frame_index")
    return _wholebody(points, scores, path, None if frames is None else tuple(int(f) for f in frames))


def _from_json(loaded: Any, path: Path) -> KeypointRows:
    """One OpenPose frame, or a list of frames in either layout."""
    frames = loaded if isinstance(loaded, list) else loaded.get("frames", [loaded])
    if frames and all(isinstance(frame, dict) and "people" in frame for frame in frames):
        return _openpose([_first_person(frame, path) for frame in frames], None)
    people = [frame["instances"][0] if "instances" in frame else frame for frame in frames]
    points = np.array([person["keypoints"] for person in people], float)
    scores = [person.get("keypoint_scores", person.get("scores")) for person in people]
    confidences = None if scores[0] is None else np.array(scores, float)
    return _wholebody(points, confidences, path, None)


def _wholebody(points: np.ndarray, scores: np.ndarray | None, path: Path, frames: tuple[int, ...] | None):
    points = np.asarray(points, float)
    if points.ndim == 4:  # frames, people, points, axes: the first person
        points, scores = points[:, 0], None if scores is None else np.asarray(scores)[:, 0]
    if points.ndim != 3 or points.shape[1] not in (133, 134) or points.shape[2] not in (2, 3):
        raise InputError(f"{path}: 'keypoints' is {points.shape}, expected (frames, 133, 2 or 3) of COCO-WholeBody")
    if points.shape[1] == 134:  # with OpenPose's neck inserted at 1
        points, scores = np.delete(points, 1, 1), None if scores is None else np.delete(np.asarray(scores), 1, 1)
    if points.shape[2] == 2:
        if scores is None:
            raise InputError(f"{path} has no confidences: add 'scores' (frames, 133), or a third column")
        points = np.concatenate([points, np.asarray(scores, float)[..., None]], 2)
    return wholebody_rows(points, frames)


def wholebody_rows(points: Float[np.ndarray, "frames 133 3"], frames: tuple[int, ...] | None = None) -> KeypointRows:
    """Convert COCO-WholeBody's points (x px, y px, confidence) to `KeypointRows`."""
    pose = np.full((len(points), 33, 3), np.nan)
    for source, target in COCO_TO_POSE.items():
        pose[:, target] = points[:, source]
    return KeypointRows(pose, points[:, 91:112], points[:, 112:133], frames)


def _openpose(people: list[dict[str, np.ndarray] | None], frames: tuple[int, ...] | None) -> KeypointRows:
    count = len(people)
    pose, hands = np.full((count, 33, 3), np.nan), np.full((2, count, 21, 3), np.nan)
    for row, person in enumerate(people):
        if person is None:
            continue
        for source, target in BODY25_TO_POSE.items():
            pose[row, target] = person["pose"][source]
        for number, side in enumerate(("left", "right")):
            hands[number, row] = person[side]
    return KeypointRows(pose, hands[0], hands[1], frames)


def _first_person(frame: Any, path: Path) -> dict[str, np.ndarray] | None:
    """The first person of an OpenPose frame; None for a frame without people."""
    if not frame["people"]:
        return None
    person = frame["people"][0]
    names = {"pose": "pose_keypoints_2d", "left": "hand_left_keypoints_2d", "right": "hand_right_keypoints_2d"}
    arrays = {key: np.array(person.get(name) or [np.nan] * 63, float).reshape(-1, 3) for key, name in names.items()}
    for key, count in (("pose", 25), ("left", 21), ("right", 21)):
        if len(arrays[key]) != count:
            raise InputError(f"{path}: {names[key]} has {len(arrays[key])} points, expected {count} (BODY_25)")
    return arrays


def _json(path: Path) -> Any:
    return read_json(path, "give the file that DWPose or OpenPose wrote")
