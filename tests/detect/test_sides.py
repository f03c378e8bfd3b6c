"""Exchanged labels of left and right: which frames are repaired, and how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.truth_clips import truth_clip
from stages.body.model import Body
from stages.detect.observations import Observations
from stages.detect.sides import POSE_ORDER, exchanged_sides, lone_jumps, with_sides_exchanged
from tests.track.synthetic import observe

FRAMES = 40


@pytest.fixture(scope="module")
def clean(body: Body) -> Observations:
    """A gesturing person with the detector's noise, without a face."""
    return replace(observe(body, truth_clip(body, FRAMES, 4), noise=1.0), found=np.zeros((FRAMES, 4), bool))


def frames(*numbers: int) -> np.ndarray:
    return np.isin(np.arange(FRAMES), numbers)


ALL, NONE = np.ones(FRAMES, bool), np.zeros(FRAMES, bool)


def test_exchanging_twice_changes_nothing(clean: Observations) -> None:
    """The exchange is its own inverse and moves no point, its depth included."""
    assert [POSE_ORDER[number] for number in POSE_ORDER] == list(range(33))
    once = with_sides_exchanged(clean, ALL)
    np.testing.assert_array_equal(once.pose_world[:, 11], clean.pose_world[:, 12])
    np.testing.assert_array_equal(once.left_hand, clean.right_hand)
    twice = with_sides_exchanged(once, ALL)
    for name in ("pose", "pose_world", "left_hand", "right_hand", "found", "score"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(clean, name))


@pytest.mark.parametrize("wrong", [(), tuple(range(12, 25)), (7,), (0, 1, 2), tuple(range(30, 40))])
def test_exactly_the_exchanged_frames_are_found(clean: Observations, wrong: tuple[int, ...]) -> None:
    """Inside the clip, in a single frame, at its start and at its end; and none in a correct clip."""
    hurt = with_sides_exchanged(clean, frames(*wrong))
    np.testing.assert_array_equal(exchanged_sides(hurt, ALL, NONE), frames(*wrong))


def test_a_person_who_turns_round_is_left_alone(body: Body) -> None:
    """Half a turn in one second, past the profile where left and right lie on each other."""
    from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix

    motion = truth_clip(body, FRAMES, 1)
    turn = np.outer(np.clip((np.arange(FRAMES) - 5) / 30, 0, 1), [0, np.pi, 0])
    motion.poses[:, :3] = rotvec_from_matrix(matrix_from_rotvec(motion.poses[:, :3]) @ matrix_from_rotvec(turn))
    assert not exchanged_sides(observe(body, motion, noise=1.0), ALL, NONE).any()


def test_frames_without_the_person_are_skipped(clean: Observations) -> None:
    """The labels before and after a short absence are compared; after a long one nothing is known."""
    hurt = with_sides_exchanged(clean, frames(*range(20, 30)))
    hurt.pose[18:22] = np.nan
    seen = ~frames(*range(18, 22))
    np.testing.assert_array_equal(exchanged_sides(hurt, seen, NONE), frames(*range(22, 30)))
    late = replace(hurt, pts_seconds=hurt.pts_seconds + 10.0 * (np.arange(FRAMES) >= 22))
    late = with_sides_exchanged(late, frames(*range(30, 40)))
    assert not exchanged_sides(late, seen, NONE).any()


def test_a_cut_to_another_person_is_no_exchange(clean: Observations) -> None:
    """Where everything moves by more than half a torso, no labelling is favoured."""
    pose = clean.pose.copy()
    pose[20:, :, :2] += 400
    assert not exchanged_sides(replace(clean, pose=pose), ALL, NONE).any()


def test_a_lone_jump_is_found(clean: Observations) -> None:
    """A single frame with another pose is found, also beside an exchange; steady or quick movement is none."""
    pose = clean.pose.copy()
    pose[9, :, :2] += 150 * np.random.default_rng(0).normal(size=(33, 2))
    hurt = with_sides_exchanged(replace(clean, pose=pose), frames(8))
    np.testing.assert_array_equal(lone_jumps(hurt), frames(9))
    moving = clean.pose.copy()
    moving[:, :, 0] += 60 * np.arange(FRAMES)[:, None]
    assert not lone_jumps(replace(clean, pose=moving)).any()
    assert not lone_jumps(clean.select(slice(0, 2))).any()


def test_a_face_speaks_against_an_exchange(clean: Observations) -> None:
    """With a face in every frame, one exchanged frame more or less is not worth its price."""
    hurt = with_sides_exchanged(clean, frames(*range(4, 36)))
    right = exchanged_sides(hurt, ALL, ~frames(*range(4, 36)))
    np.testing.assert_array_equal(right, frames(*range(4, 36)))


def test_dev_clips_and_truth() -> None:
    """In the dev clip in which a woman turns away nothing is exchanged; in beam cam02 the frames after 40 are."""
    root = Path(__file__).parents[3] / "shared"
    videos = [root / "media/d9_back_view_turn_exit.mp4", root / "truth/beam_cam02.mp4"]
    if not all(video.is_file() for video in videos):
        pytest.skip("the clips of ../shared are not here")
    from stages.detect.gates import gate
    from stages.detect.holistic import detect

    found = []
    for video in videos:
        seen = detect(video)
        valid = gate(seen).valid
        found.append(np.flatnonzero(exchanged_sides(seen, valid[:, 0], valid[:, 1])))
    assert not len(found[0])
    assert 25 <= len(found[1]) <= 45
    assert found[1].min() > 35
    assert found[1].max() < 90
