"""Shots are cut into windows, and windows into clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from stages.curate.config import CurateConfig
from stages.curate.cut import cut_clip
from stages.curate.windows import Span, windows_of_shots
from stages.video.shots import find_shots
from stages.video.source import probe, read_frames
from tests.video.three_shots import CODECS, written


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
