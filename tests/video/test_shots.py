"""Shots, and stretches of a video that are found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.errors import InputError
from stages.video.segment import read_from, read_stretch
from stages.video.shots import find_shots, shot_starts
from stages.video.source import probe, read_frames
from tests.video.three_shots import CODECS, CUTS, FRAMES, picture, written


@pytest.mark.parametrize("name", CODECS)
def test_a_stretch_is_what_reading_from_the_beginning_gives(name: str, tmp_path: Path) -> None:
    """From every ninth frame on, pixels, numbers and times of a stretch are those of the whole video's frames."""
    path = written(tmp_path / name, *CODECS[name])
    shots, whole = find_shots(path, 10.0), list(read_frames(path))
    assert shots.frame_count == len(whole) == FRAMES
    for first in range(0, FRAMES - 5, 9):
        stretch = list(read_stretch(path, shots.moment(first), 5))
        assert [frame.index for frame in stretch] == list(range(first, first + 5))
        for frame, truth in zip(stretch, whole[first:], strict=False):
            np.testing.assert_array_equal(frame.rgb, truth.rgb)
            assert frame.pts_seconds == pytest.approx(truth.pts_seconds - whole[first].pts_seconds, abs=1e-6)


def test_a_moment_of_another_file_is_not_believed(tmp_path: Path) -> None:
    """Where the picture at the time stamp is another one, the frames are counted; too few are an error."""
    path = written(tmp_path / "a.mp4", *CODECS["b-frames.mp4"])
    moment = find_shots(path, 10.0).moment(30)
    wrong = replace(moment, pts=find_shots(path, 10.0).moment(33).pts)
    np.testing.assert_array_equal(next(read_stretch(path, wrong, 2)).rgb, next(read_stretch(path, moment, 2)).rgb)
    with pytest.raises(InputError, match="the file has changed"):
        list(read_stretch(path, moment, 40))
    with pytest.raises(InputError, match="the file has changed"):
        list(read_stretch(path, replace(moment, index=99, pts=None), 2))


@pytest.mark.parametrize("name", CODECS)
def test_frames_from_a_moment_on_are_those_of_the_whole(tmp_path: Path, name: str) -> None:
    """Numbers, times and pixels are those of the whole video, with seeking and without."""
    path = written(tmp_path / name, *CODECS[name])
    whole, found = list(read_frames(path)), find_shots(path, 10.0)
    for first in (found.moment(13), replace(found.moment(13), checksum=1)):
        rest = list(read_from(path, first, found.moment(0)))
        assert [(each.index, each.pts_seconds) for each in rest] == [
            (each.index, each.pts_seconds) for each in whole[13:]
        ]
        assert all(np.array_equal(ours.rgb, theirs.rgb) for ours, theirs in zip(rest, whole[13:], strict=True))


def test_shots_begin_where_they_begin(tmp_path: Path) -> None:
    """Hard cuts are found at their very frames, and nothing else is taken for one."""
    assert find_shots(written(tmp_path / "a.mp4", *CODECS["b-frames.mp4"]), 10.0).starts == CUTS


def test_starts_alone_are_the_same(tmp_path: Path) -> None:
    """The starts and marked frames are those of the whole search; a higher limit finds one shot; a photo is one."""
    from stages.video.png import write_png

    path = written(tmp_path / "a.mp4", *CODECS["b-frames.mp4"])
    whole = find_shots(path, 10.0)
    assert shot_starts(probe(path), 10.0, marked=(0, 7)) == (CUTS, {0: whole.moment(0), 7: whole.moment(7)})
    assert shot_starts(probe(path), 101.0) == ((0,), {})
    write_png(tmp_path / "a.png", picture(3))
    assert shot_starts(probe(tmp_path / "a.png"), 10.0) == ((0,), {})
