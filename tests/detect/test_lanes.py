"""Read a clip in lanes: every frame once, repeatable, failures and progress reported in the calling thread."""

from __future__ import annotations

import os
import threading
from fractions import Fraction

import numpy as np
import pytest
import skimage.data

from stages.detect.holistic import detect
from stages.detect.lanes import Lane, StoppedError, cut_into_lanes, run_lanes
from stages.errors import InputError
from stages.progress import silent
from stages.quiet import quiet
from stages.video.sink import VideoSink

FRAMES = 50


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The astronaut photo moving to the left and back, long enough for two lanes."""
    path = tmp_path_factory.mktemp("lanes") / "clip.mp4"
    photo = np.pad(skimage.data.astronaut(), ((0, 0), (0, 64), (0, 0)), mode="edge")
    with VideoSink(path, 512, 512, Fraction(25)) as sink:
        for frame in range(FRAMES):
            shift = round(30 - 30 * np.cos(2 * np.pi * frame / FRAMES))
            sink.write(np.ascontiguousarray(photo[:, shift : shift + 512]))
    return path


def test_every_frame_is_in_one_lane():
    """Lanes have no gap and no overlap, the last has no end, and clips that are short or of unknown length have one."""
    for count, number in ((48, 2), (49, 2), (77, 2), (719, 2), (720, 3), (1800, 7)):
        lanes = cut_into_lanes(count)
        assert [sum(lane.holds(frame) for lane in lanes) for frame in range(count + 3)] == [1] * (count + 3)
        assert len(lanes) == number
    work = [lane.end or 800 for lane in cut_into_lanes(800, warm_up=8)]
    assert [work[0], work[1] - work[0] + 8, work[2] - work[1] + 8] == [272, 272, 272]
    assert cut_into_lanes(47) == cut_into_lanes(None) == [Lane(0, 0, None)]


def test_two_lanes_agree_with_one_and_repeat(clip, monkeypatch):
    """Two lanes agree with one within 0.1 of the face height, have no jump where they meet, and repeat exactly, however
    many cores work on them."""
    with monkeypatch.context() as patched:
        patched.setattr("stages.detect.lanes.LEAST_LANES", 1)
        one = detect(clip)
    calls = []

    def note(label: str, done: int, total: int | None) -> None:
        calls.append((label, done, total, threading.current_thread()))

    two = detect(clip, progress=note)
    height = np.linalg.norm(one.face[:, 10, :2] - one.face[:, 152, :2], axis=-1)
    for part, most in (("face", 0.02), ("pose", 0.1)):
        rows = slice(0, 478) if part == "face" else slice(0, 13)
        apart = np.linalg.norm(getattr(one, part)[:, rows, :2] - getattr(two, part)[:, rows, :2], axis=-1).mean(1)
        assert (apart / height).max() < most, part
    steps = np.linalg.norm(np.diff(two.pose[:, 11:13, :2], axis=0), axis=-1).mean(1)
    usual = np.linalg.norm(np.diff(one.pose[:, 11:13, :2], axis=0), axis=-1).mean(1)
    assert steps[FRAMES // 2 - 2 : FRAMES // 2 + 10].max() < usual.max() + 0.01 * height.mean()
    np.testing.assert_array_equal(two.frame_index, np.arange(FRAMES))
    np.testing.assert_allclose(two.pts_seconds, one.pts_seconds)
    monkeypatch.setattr("stages.cores._most", 1)
    again = detect(clip)
    for part in ("pose", "pose_world", "face", "left_hand", "right_hand", "evidence", "person_box"):
        np.testing.assert_array_equal(getattr(two, part), getattr(again, part))
    assert {thread for *_, thread in calls} == {threading.current_thread()}
    assert [call[:3] for call in calls][-1] == ("reading landmarks", FRAMES, FRAMES)


def test_a_failing_lane_stops_the_others():
    """The first failure is raised, and a lane that would run for ever is stopped."""

    def work(lane: Lane, frame_done) -> None:
        if lane.number == 0:
            raise InputError("frame 3 is damaged")
        while True:
            frame_done()

    with pytest.raises(InputError, match="frame 3 is damaged"):
        run_lanes(cut_into_lanes(100), work, silent, "reading", 100)
    assert not issubclass(StoppedError, InputError)


def test_overlapping_quiet_blocks_end_with_the_last():
    """Two threads with overlapping quiet blocks restore standard error after the last one."""
    before = os.fstat(2)
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with quiet():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(5)
    with quiet():
        leave.set()
        thread.join(5)
        assert os.path.samestat(os.fstat(2), os.stat(os.devnull))
    assert os.path.samestat(os.fstat(2), before)
