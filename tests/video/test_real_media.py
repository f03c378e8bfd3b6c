"""The project's real clips and photos; skipped if they are not on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames, read_photo

MEDIA = Path(__file__).parents[2].parent / "shared" / "media"
FRAMES = {"d1": 109, "d2": 77, "d3": 56, "d4": 160, "d5": 125, "d6": 120, "d7": 97, "d8": 105, "d9": 59}

pytestmark = pytest.mark.skipif(not MEDIA.is_dir(), reason="../shared/media is not there")


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_of_a_clip_is_read(name):
    """probe's count, the frames read and the known length agree, and times rise evenly."""
    path = next(MEDIA.glob(f"{name}_*.mp4"))
    described = probe(path)
    times = [frame.pts_seconds for frame in read_frames(path)]
    assert described.frame_count == len(times) == FRAMES[name]
    assert not described.is_variable_rate
    assert np.allclose(np.diff(times), 1 / float(described.fps), atol=1e-4)
    assert described.duration_seconds == pytest.approx(len(times) / described.fps, abs=1e-3)


@pytest.mark.parametrize("number", range(1, 10))
def test_every_photo_is_read(number):
    """Each photo decodes to the size that probe states."""
    path = next(MEDIA.glob(f"p{number}_*.jpg"))
    described = probe(path)
    assert described.is_photo
    assert read_photo(path).shape == (described.height, described.width, 3)


def test_one_encoding_keeps_the_quality(tmp_path):
    """A copy of d4 through VideoSink keeps over 44 dB and lasts as long as the source."""
    path, copy = next(MEDIA.glob("d4_*.mp4")), tmp_path / "copy.mp4"
    described = probe(path)
    with VideoSink(
        copy, described.width, described.height, described.fps, duration_seconds=described.duration_seconds
    ) as sink:
        for frame in read_frames(path):
            sink.write(frame.rgb, frame.pts_seconds)
    errors = [
        np.mean((ours.rgb.astype(float) - real.rgb) ** 2)
        for ours, real in zip(read_frames(copy), read_frames(path), strict=True)
    ]
    assert np.mean(-10 * np.log10(np.array(errors) / 255**2)) > 44
    assert probe(copy).duration_seconds == pytest.approx(described.duration_seconds, abs=1e-3)
