"""Writing videos: exact times, exact pixels if lossless, tags, atomic files."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_clips import moving, quadrants

from stages.errors import InputError
from stages.video.metadata import read_metadata
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames


@given(width=st.integers(16, 70), height=st.integers(16, 70), count=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lossless_is_bit_exact(tmp_path, width, height, count, seed):
    """Noise of any size, also odd, written lossless is read back bit for bit."""
    frames = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    path = tmp_path / "exact.mp4"
    with VideoSink(path, width, height, Fraction(25), lossless=True) as sink:
        for rgb in frames:
            sink.write(rgb)
    read = list(read_frames(path))
    assert len(read) == count
    assert all((frame.rgb == rgb).all() for frame, rgb in zip(read, frames, strict=True))


@pytest.mark.parametrize(
    "fps", [Fraction(30000, 1001), Fraction(25), Fraction(24), Fraction(10), Fraction(120), Fraction(175, 18)]
)
def test_a_constant_rate_is_exact(tmp_path, fps):
    """Frames written without a time come back at the exact rate, and the clip lasts count / fps."""
    path = tmp_path / "steady.mp4"
    with VideoSink(path, 64, 48, fps) as sink:
        for rgb in moving(13):
            sink.write(rgb)
    described = probe(path)
    assert (described.fps, described.frame_count, described.is_variable_rate) == (fps, 13, False)
    assert described.duration_seconds == pytest.approx(13 / fps, abs=1e-6)
    assert [frame.pts_seconds for frame in read_frames(path)] == pytest.approx(
        [index / fps for index in range(13)], abs=1e-6
    )


@pytest.mark.parametrize("lossless", [False, True])
def test_frame_times_and_the_end_are_kept(tmp_path, lossless):
    """Frames at uneven times come back at those times, and the last one lasts until duration_seconds."""
    path, times = tmp_path / "uneven.mp4", [0.0, 0.033, 0.1, 0.14, 0.31, 0.35, 0.6]
    with VideoSink(path, 64, 48, Fraction(25), lossless=lossless, duration_seconds=0.72) as sink:
        for rgb, seconds in zip(moving(7), times, strict=True):
            sink.write(rgb, seconds)
    assert [frame.pts_seconds for frame in read_frames(path)] == pytest.approx(times, abs=1e-5)
    assert probe(path).duration_seconds == pytest.approx(0.72, abs=1e-5)


def test_a_copy_lasts_as_long_as_its_source(make_video, tmp_path):
    """Every frame of a variable-rate source, copied with its time, gives a clip of the same duration."""
    source = make_video("source.mp4", moving(5), times_ms=[0, 50, 90, 200, 230])
    described, path = probe(source), tmp_path / "copy.mp4"
    with VideoSink(path, 64, 48, described.fps, duration_seconds=described.duration_seconds) as sink:
        for frame in read_frames(source):
            sink.write(frame.rgb, frame.pts_seconds)
    assert probe(path).duration_seconds == pytest.approx(described.duration_seconds, abs=1e-4)
    assert probe(path).frame_count == 5


def test_colours_are_kept_and_tagged(tmp_path):
    """Flat colours are read back within two levels, and the file is tagged BT.709, limited range."""
    path = tmp_path / "colours.mp4"
    with VideoSink(path, 64, 32, Fraction(25)) as sink:
        sink.write(quadrants())
    rgb = next(read_frames(path)).rgb
    for row, column in ((6, 8), (6, -8), (-6, 8), (-6, -8)):
        assert np.abs(rgb[row, column].astype(int) - quadrants()[row, column]).max() <= 2
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        tags = (frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries, frame.format.name)
    assert tags == (1, 1, 1, 1, "yuv420p")


def test_odd_sizes_grow_by_a_repeated_edge(tmp_path):
    """An odd picture gains one column and one row, like its edge, because 4:2:0 has no half pixels."""
    path = tmp_path / "odd.mp4"
    rgb = moving(1, 47, 33)[0]
    with VideoSink(path, 47, 33, Fraction(25)) as sink:
        sink.write(rgb)
    read = next(read_frames(path)).rgb
    assert read.shape == (34, 48, 3)
    assert np.abs(read[33, 47].astype(int) - rgb[32, 46]).max() <= 4


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("lossless", [False, True])
def test_metadata_is_kept(tmp_path, suffix, lossless):
    """Provenance of 20,000 characters with quotes and umlauts, and a custom tag, are read back unchanged."""
    path = tmp_path / f"tagged.{suffix}"
    comment = json.dumps(
        {"stage": "generate", "words": 'a "quoted" ünïcode \\ line', "filler": "x" * 20_000}, ensure_ascii=False
    )
    with VideoSink(
        path, 64, 32, Fraction(25), lossless=lossless, metadata={"comment": comment, "emosh_colours": "hybrid-1"}
    ) as sink:
        sink.write(quadrants())
    read = read_metadata(path)
    assert read["comment"] == comment
    assert read["emosh_colours"] == "hybrid-1"


def test_the_same_frames_give_the_same_bytes(tmp_path):
    """Two runs over the same frames write the same file."""
    for name in ("a.mp4", "b.mp4"):
        with VideoSink(tmp_path / name, 64, 48, Fraction(25), metadata={"comment": "{}"}) as sink:
            for rgb in moving(9):
                sink.write(rgb)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file(tmp_path, error):
    """An exception or Ctrl-C removes the temporary file and keeps the old one."""
    path = tmp_path / "out.mp4"
    path.write_bytes(b"old")

    def fail():
        with VideoSink(path, 64, 48, Fraction(25)) as sink:
            sink.write(moving(1)[0])
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_paths_that_cannot_be_written_are_one_line_errors(tmp_path):
    """A missing folder and a name without a video suffix are refused, and nothing is left."""
    for path, words in ((tmp_path / "no" / "a.mp4", "does not exist"), (tmp_path / "a.xyz", "not a video format")):
        with pytest.raises(InputError, match=words), VideoSink(path, 64, 48, Fraction(25)) as sink:
            sink.write(moving(1)[0])
    assert list(tmp_path.iterdir()) == []


def test_wrong_frames_raise_value_error(tmp_path):
    """A frame of another size, times that do not rise and a sink without frames raise ValueError and leave nothing."""
    with pytest.raises(ValueError, match="expected uint8"), VideoSink(tmp_path / "a.mp4", 64, 48, Fraction(25)) as sink:
        sink.write(moving(1, 32, 32)[0])
    with pytest.raises(ValueError, match="not after"), VideoSink(tmp_path / "a.mp4", 64, 48, Fraction(25)) as sink:
        sink.write(moving(1)[0], 0.5)
        sink.write(moving(1)[0], 0.5)
    with pytest.raises(ValueError, match="no frame"), VideoSink(tmp_path / "a.mp4", 64, 48, Fraction(25)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path):
    """The error for a full disk names the output."""
    import errno

    from stages.artifacts.atomic import atomic_path

    with pytest.raises(InputError, match="disk is full"), atomic_path(tmp_path / "a.mp4"):
        raise av.error.OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []
