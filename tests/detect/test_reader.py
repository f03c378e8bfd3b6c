"""How often a missing hand is searched, at any frame rate. The networks are replaced by fakes."""

from __future__ import annotations

import numpy as np
import pytest

import stages.detect.reader as reader
from stages.detect.reader import Reader
from stages.networks.opened import Networks

POSE = np.ones((33, 3), np.float32)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """The frames in which each hand was searched. Frame 39 shows the left hand."""
    made: dict[str, list[int]] = {"left_hand": [], "right_hand": [], "frame": []}

    def look(rgb, found, hand, networks, is_photo):
        made[hand].append(len(made["frame"]) - 1)
        return np.ones((21, 3), np.float32) if hand == "left_hand" and len(made["frame"]) == 40 else None

    def points(crop, holistic, is_photo):
        made["frame"].append(0)
        return {"pose": POSE, "face": np.ones((478, 3), np.float32)}

    monkeypatch.setattr(reader, "hand_near_wrist", look)
    monkeypatch.setattr(reader, "holistic_points", points)
    monkeypatch.setattr(reader, "person_matte", lambda *_: None)
    monkeypatch.setattr(reader, "evidence_of", lambda *_: np.zeros(3, np.float32))
    return made


@pytest.mark.parametrize(("fps", "step"), [(0.0, 1), (5.0, 1), (25.0, 3), (30.0, 3), (60.0, 7)])
def test_a_missing_hand_is_searched_about_nine_times_per_second(
    looks: dict[str, list[int]], fps: float, step: int
) -> None:
    """The first three frames, then once per 0.11 s: every frame at 5 frames per second, every seventh at 60."""
    read = Reader(Networks(), False, fps)
    for _ in range(120):
        read.read(np.zeros((64, 64, 3), np.uint8), np.array([0, 0, 64, 64.0]), None)
    assert looks["right_hand"] == sorted({0, 1, 2, *range(0, 120, step)})


def test_a_hand_that_was_found_is_searched_in_the_next_three_frames(looks: dict[str, list[int]]) -> None:
    """After a hand was found, the next three frames are searched again, as at the start."""
    read = Reader(Networks(), False, 25.0)
    for _ in range(60):
        read.read(np.zeros((64, 64, 3), np.uint8), np.array([0, 0, 64, 64.0]), None)
    assert 39 in looks["left_hand"]
    assert [frame for frame in looks["left_hand"] if frame > 39] == [40, 41, 42, 43, 46, 49, 52, 55, 58]
