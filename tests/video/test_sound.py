"""Sound copied into the result: the same packets, or AAC; in time; cut with the pictures."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from video_clips import moving

from stages.errors import InputError
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames


def written_with_sound(path, source, count=25, fps=Fraction(25)):
    """A clip of `count` frames with the sound of `source`."""
    with VideoSink(path, 64, 48, fps, audio_from=source) as sink:
        for rgb in moving(count):
            sink.write(rgb)
    return path


def wave(path) -> np.ndarray:
    """Samples of the first channel from time 0 on, at 48 kHz."""
    samples = np.zeros(48_000 * 6, np.float32)
    end = 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "stereo", 48_000)
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame):
                at = round(piece.time * 48_000)
                values = piece.to_ndarray()[0][max(0, -at) :]
                samples[max(at, 0) : max(at, 0) + len(values)] = values
                end = max(end, at + piece.samples)
    return samples[:end]


def packets(path) -> list[bytes]:
    """The coded bytes of the first sound track."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.mkv", "libmp3lame"), ("a.mkv", "ac3")]
)
def test_sound_that_mp4_can_hold_is_not_coded_again(make_video, tmp_path, name, codec):
    """AAC, Opus, MP3 and AC-3 packets are copied byte for byte."""
    source = make_video(name, moving(25), sound=(codec, 1.0))
    result = written_with_sound(tmp_path / "out.mp4", source)
    before, after = packets(source), packets(result)
    assert after == before[: len(after)]
    assert len(before) - len(after) <= 2


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "pcm_s16le"), ("a.mkv", "flac"), ("a.mkv", "aac")])
def test_sound_keeps_its_tone_and_its_time(make_video, tmp_path, name, codec):
    """A copied 440 Hz tone, coded as AAC if needed, correlates with the source sample by sample."""
    source = make_video(name, moving(50), sound=(codec, 2.0))
    copied, original = wave(written_with_sound(tmp_path / "out.mp4", source, 50)), wave(source)
    assert abs(len(copied) - 96_000) <= 1100
    both = slice(4800, 90_000)
    assert np.corrcoef(copied[both], original[both])[0, 1] > 0.99
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_is_cut_with_the_pictures(make_video, tmp_path, codec):
    """Three seconds of sound over one second of pictures are cut at that second, to half a packet."""
    source = make_video("long.mov", moving(25), sound=(codec, 3.0))
    result = written_with_sound(tmp_path / "out.mp4", source)
    assert abs(len(wave(result)) / 48_000 - 1.0) <= 0.012
    with av.open(str(result)) as container:
        assert container.duration / av.time_base == pytest.approx(1.0, abs=0.04)
    assert len(list(read_frames(result))) == 25


def test_short_sound_stays_short(make_video, tmp_path):
    """Sound shorter than the pictures does not shorten or stretch them."""
    source = make_video("short.mp4", moving(50), sound=("aac", 0.5))
    result = written_with_sound(tmp_path / "out.mp4", source, 50)
    assert probe(result).duration_seconds == pytest.approx(2.0)
    assert len(wave(result)) / 48_000 == pytest.approx(0.5, abs=0.05)


def test_a_source_without_sound_adds_no_sound_track(make_video, tmp_path):
    """A silent clip or a photo as the source of sound gives a result without a sound track."""
    from stages.video.png import write_png

    silent = make_video("silent.mp4", moving(5))
    write_png(tmp_path / "photo.png", moving(1)[0])
    for source in (silent, tmp_path / "photo.png"):
        result = written_with_sound(tmp_path / "out.mp4", source, 5)
        assert not probe(result).has_audio
        assert probe(result).frame_count == 5


def test_a_missing_source_of_sound_is_a_one_line_error(tmp_path):
    """The error names the missing file, and no result is left."""
    with pytest.raises(InputError, match=r"gone\.mp4 does not exist"):
        written_with_sound(tmp_path / "out.mp4", tmp_path / "gone.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_source_of_sound_is_a_one_line_error(tmp_path):
    """A file that is not media is an error, not a silent result."""
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(InputError, match=r"noise\.mp4 is not a file with sound that can be read"):
        written_with_sound(tmp_path / "out.mp4", tmp_path / "noise.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["noise.mp4"]


def test_sound_starts_with_the_first_picture(make_video, tmp_path):
    """Where the source's pictures start half a second after its sound, that half second is left out."""
    for name, codec in (("late.mkv", "aac"), ("late.mov", "pcm_s16le")):
        source = make_video(name, moving(25), times_ms=[500 + 40 * index for index in range(25)], sound=(codec, 1.5))
        result = written_with_sound(tmp_path / "out.mp4", source)
        assert len(wave(result)) / 48_000 == pytest.approx(1.0, abs=0.03), name
