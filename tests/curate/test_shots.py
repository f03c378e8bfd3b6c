"""Shots, windows, and stretches of a video that are found again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stages.curate.config import CurateConfig
from stages.curate.cut import cut_clip
from stages.curate.shots import Span, find_shots, windows_of_shots
from stages.errors import InputError
from stages.video.segment import read_stretch
from stages.video.source import probe, read_frames

CUTS = (0, 17, 40)
FRAMES = 60


def picture(index: int) -> np.ndarray:
    """Three shots: another gradient each, a bar that moves through all of them."""
    shot = sum(index >= cut for cut in CUTS) - 1
    grid = np.mgrid[0:96, 0:128]
    grey = (20, 150, 75)[shot] + grid[shot % 2] // 2
    rgb = np.stack([grey, grey // 2 + 60 * (shot % 2), 200 - grey], -1)
    rgb[:, 2 * index % 128 : 2 * index % 128 + 8] = 255
    return rgb.astype(np.uint8)


def written(path: Path, codec: str, options: dict[str, str], frames: int = FRAMES) -> Path:
    """The video, in whatever codec and container."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(30000, 1001), options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        container.mux(stream.encode(None))
    return path


CODECS = {
    "b-frames.mp4": ("libx264", {"g": "24", "bf": "3"}),
    "open-gop.mkv": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "one-key.mp4": ("libx264", {"g": "999", "sc_threshold": "0"}),
    "mpeg4.avi": ("mpeg4", {"g": "12", "qscale": "2"}),
    "stream.ts": ("libx264", {"g": "12", "bf": "2"}),
}


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


def test_shots_begin_where_they_begin(tmp_path: Path) -> None:
    """Hard cuts are found at their very frames, and nothing else is taken for one."""
    assert find_shots(written(tmp_path / "a.mp4", *CODECS["b-frames.mp4"]), 10.0).starts == CUTS


def test_windows_fill_shots() -> None:
    """Windows are of max_frames from a shot's beginning, its rest one more if long enough; cuts are kept clear."""
    config = CurateConfig(min_frames=77, max_frames=154, trim_frames=2)
    assert windows_of_shots((0,), 76, config) == ([], [Span(0, 76)])
    assert windows_of_shots((0,), 77, config) == ([Span(0, 77)], [])
    assert windows_of_shots((0,), 240, config) == ([Span(0, 154), Span(154, 86)], [])
    assert windows_of_shots((0, 100), 300, config) == ([Span(0, 98), Span(102, 154)], [Span(256, 44)])
    assert windows_of_shots((0, 100, 103), 300, config)[1] == [Span(100, 3), Span(259, 41)]


def test_a_clip_is_cut_exactly(tmp_path: Path) -> None:
    """A clip has the window's frames at the source's rate: bit for bit where it is lossless, else at over 34 dB of
    colours that 4:2:0 halves. Whoever watches sees the source's own."""
    path = written(tmp_path / "a.mp4", *CODECS["b-frames.mp4"])
    shots, whole = find_shots(path, 10.0), list(read_frames(path))
    for lossless in (True, False):
        out = tmp_path / f"{lossless}.mp4"
        seen: list[np.ndarray] = []
        cut_clip(path, shots.moment(21), 10, out, shots.info.fps, lossless, {}, seen.append)
        np.testing.assert_array_equal(seen, [frame.rgb for frame in whole[21:31]])
        made, info = list(read_frames(out)), probe(out)
        assert (len(made), info.fps, info.has_audio) == (10, Fraction(30000, 1001), False)
        for frame, truth in zip(made, whole[21:31], strict=True):
            error = np.mean((frame.rgb.astype(float) - truth.rgb) ** 2)
            assert error == 0 if lossless else 10 * np.log10(255**2 / error) > 34
