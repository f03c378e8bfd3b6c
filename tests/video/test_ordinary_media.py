"""What phones, cameras and recorders write beside plain mp4: each kind is made here, and read as a player shows it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image
from video_clips import corner_colours, moving, quadrants

from stages.errors import InputError
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames, read_photo

FPS = 25
QUADRANTS_HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAb5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAAAA"
    "AERAAAIAAQAAAAAB4gABAAAAAAAAAHQAAgAAAAACVgABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZl"
    "AgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH/"
    "/wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29s"
    "cm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAACAAAAABAAAAQAAAAAH////gAAAAAgAAAAAAAAACAAAAEHBpeGkAAAAA"
    "AwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAAoG1kYXQAAABwKAGvCeAhOTQeQ8zxv/99Gf/+"
    "dKm9f9kSV35WlN/0cqMXCPSj0QJshQD/tcwkb6tAZ5rh21tzuWgK//FgiA9JK+/38QjQTClbZqc91Bse1Eq0pj4SaiK+DU3H8K+Fd9/49y1/wMsT"
    "8mOXmM3//sxrUAAAAAZFeGlmAABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)
"""`quadrants()` turned by 90 degrees, with EXIF orientation, by pillow-heif 1.8.1: emosh's own package only reads."""


# ---- photos
def test_a_phones_heic_is_a_photo(tmp_path: Path) -> None:
    """HEIC is read as it is coded, since its EXIF orientation turns nothing; a damaged one is one line."""
    pytest.importorskip("pi_heif", reason="an environment from before emosh needed it")
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(QUADRANTS_HEIC)
    described = probe(path)
    assert (described.width, described.height, described.is_photo) == (32, 64, True)
    assert corner_colours(read_photo(path)) == ["green", "grey", "red", "blue"]
    for at in range(40, len(QUADRANTS_HEIC), 50):
        path.write_bytes(QUADRANTS_HEIC[:at])
        with pytest.raises(InputError, match="IMG_0001"):
            read_photo(path)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.float32([[0, 0.5, 1]]), [0, 128, 255]),
        (np.float32([[0, 128, 255]]), [0, 128, 255]),
        (np.float32([[0, 32768, 65535]]), [0, 128, 255]),
        (np.float32([[-1, 0, 1]]), [0, 128, 255]),
        (np.int32([[0, 128, 255]]), [0, 128, 255]),
        (np.int32([[0, 32768, 65535]]), [0, 128, 255]),
        (np.uint16([[0, 32768, 65535]]), [0, 128, 255]),
    ],
)
def test_a_tiff_of_large_numbers_keeps_its_tones(tmp_path: Path, values: np.ndarray, shown: list[int]) -> None:
    """Floats and integers of 16 and 32 bits are scaled from the range that they use, not clipped."""
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.abs(read_photo(tmp_path / "a.tif")[0, :, 0].astype(int) - shown).max() <= 1


def test_a_tiff_of_no_numbers_is_refused(tmp_path: Path) -> None:
    """NaN has no tone."""
    Image.fromarray(np.float32([[0, np.nan]])).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="not finite; save it as PNG"):
        read_photo(tmp_path / "a.tif")


# ---- times
def written(
    path: Path,
    codec: str,
    count: int = 24,
    format: str | None = None,
    keep: Callable[[Any], bool] = lambda _: True,
    pix_fmt: str = "yuv420p",
    **options: str,
) -> Path:
    """`moving` pictures at 25 per second; only the packets that `keep` says."""
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=FPS, width=64, height=48, pix_fmt=pix_fmt, options=options)
        for rgb in moving(count):
            for packet in stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                if keep(packet):
                    container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def assert_plays(path: Path, count: int, remark: str = "") -> None:
    """So many frames at 25 per second, strictly one after the other, by `probe` and by `read_frames`."""
    described, frames = probe(path), list(read_frames(path))
    assert (described.frame_count, described.fps, len(frames)) == (count, FPS, count)
    assert described.duration_seconds == pytest.approx(count / FPS, abs=0.002)
    assert np.allclose([frame.pts_seconds for frame in frames], np.arange(count) / FPS, atol=0.002)
    assert any(remark in each for each in described.remarks) == bool(remark)


def test_recordings_joined_byte_by_byte(tmp_path: Path) -> None:
    """The times of the second begin again; the frames are taken as evenly spaced, and that is said."""
    one = written(tmp_path / "one.ts", "libx264", 12, bf="0")
    (tmp_path / "joined.ts").write_bytes(one.read_bytes() * 2)
    assert_plays(tmp_path / "joined.ts", 24, "time stamps that do not rise")


def test_b_frames_in_avi(tmp_path: Path) -> None:
    """AVI stores no times, so those of reordered frames jump back."""
    assert_plays(written(tmp_path / "b.avi", "libx264", bf="2"), 24, "time stamps that do not rise")


@pytest.mark.parametrize("format", ["h264", "hevc"])
def test_a_raw_stream(tmp_path: Path, format: str) -> None:
    """An elementary stream has no times: its frames have the stated rate."""
    codec = {"h264": "libx264", "hevc": "libx265"}[format]
    options = {"x265-params": "log-level=none"} if format == "hevc" else {}
    assert_plays(written(tmp_path / f"a.{format}", codec, format=format, **options), 24, "without time stamps")


def test_equal_times(tmp_path: Path) -> None:
    """Two frames of one time are not one after the other."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS, width=64, height=48, pix_fmt="yuv420p")
        for index, rgb in enumerate(moving(10)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            for packet in stream.encode(frame):
                packet.pts = packet.dts = index - index % 2
                container.mux(packet)
    assert_plays(tmp_path / "a.mkv", 10, "time stamps that do not rise")


def test_a_beginning_that_cannot_be_decoded(tmp_path: Path) -> None:
    """A recording cut inside a group of pictures begins at its first picture; count and duration are of what is shown,
    and so is the beginning of the sound."""
    path = tmp_path / "cut.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=FPS,
            width=64,
            height=48,
            pix_fmt="yuv420p",
            options={"g": "10", "tune": "zerolatency", "sc_threshold": "0"},
        )
        tone = container.add_stream("aac", rate=48_000, layout="mono")
        for index, rgb in enumerate(moving(30)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            for packet in stream.encode(frame):
                if (packet.pts or 0) * (packet.time_base or 0) >= 3 / FPS:
                    container.mux(packet)
            wave = np.zeros((1, 1920), np.float32)
            wave[:, :480] = 0.8 * (index == 20)
            sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 48_000, 1920 * index, Fraction(1, 48_000)
            container.mux(tone.encode(sound))
        container.mux([*stream.encode(None), *tone.encode(None)])
    assert_plays(path, 20)
    with VideoSink(tmp_path / "out.mp4", 64, 48, Fraction(FPS), audio_from=path) as sink:
        for frame in read_frames(path):
            sink.write(frame.rgb, frame.pts_seconds)
    with av.open(str(tmp_path / "out.mp4")) as made:
        heard = [(frame.time or 0.0, float(np.abs(frame.to_ndarray()).max())) for frame in made.decode(audio=0)]
    click = next(seconds for seconds, loud in heard if loud > 0.2)
    assert click == pytest.approx(10 / FPS, abs=0.045)  # frame 20 of 30, of which 20 are shown


# ---- pictures
def test_interlaced_frames_are_deinterlaced(tmp_path: Path) -> None:
    """Two fields of different moments in one frame leave no comb lines."""
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=FPS, width=96, height=64, pix_fmt="yuv420p")
        stream.options = {"flags": "+ildct+ilme", "qscale": "2", "top": "1"}
        stream.bit_rate = 8_000_000
        for index in range(12):
            rgb = np.full((64, 96, 3), 40, np.uint8)
            for field in (0, 1):
                left = 6 * index + 8 * field
                rgb[field::2, left : left + 12] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        raw = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    read = [frame.rgb for frame in read_frames(path)]
    assert len(read) == 12
    assert combing(read) < 0.35 * combing(raw)
    assert "its frames are deinterlaced" in probe(path).remarks


def combing(frames: list[np.ndarray]) -> float:
    """Mean difference of a line from the lines above and below it, in levels."""
    grey = np.stack(frames)[..., 1].astype(float)
    return float(np.abs(grey[:, 1:-1] - (grey[:, :-2] + grey[:, 2:]) / 2).mean())


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparency_of_vp8_and_vp9_is_white(tmp_path: Path, codec: str) -> None:
    """Transparent parts of a WebM are white, as those of ProRes are."""
    path, rgba = tmp_path / "a.webm", np.dstack([quadrants(), np.full((32, 64), 255, np.uint8)])
    rgba[:16, :, 3] = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, width=64, height=32, pix_fmt="yuva420p")
        stream.options = {"auto-alt-ref": "0"}
        stream.metadata["alpha_mode"] = "1"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, format="rgba")))
        container.mux(stream.encode(None))
    frames = [frame.rgb for frame in read_frames(path)]
    assert len(frames) == 5
    assert frames[2][:12].min() >= 250
    assert corner_colours(frames[2])[2:] == ["blue", "grey"]


# ---- several tracks
def test_the_default_sound_is_carried(tmp_path: Path) -> None:
    """Of two sound tracks the one that is flagged as default, though it is the second."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, width=64, height=48, pix_fmt="yuv420p")
        tracks = [container.add_stream("aac", rate=48_000, layout="mono") for _ in range(2)]
        tracks[0].disposition, tracks[1].disposition = Disposition(0), Disposition.default
        for rgb in moving(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        for track, loud in zip(tracks, (0.0, 0.5), strict=True):
            for start in range(0, 48_000 - 1024, 1024):
                wave = np.float32(loud) * np.sin(np.arange(start, start + 1024, dtype=np.float32) / 10)[None]
                frame = av.AudioFrame.from_ndarray(wave.astype(np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
        container.mux(stream.encode(None))
    with VideoSink(tmp_path / "out.mp4", 64, 48, Fraction(FPS), audio_from=path) as sink:
        for frame in read_frames(path):
            sink.write(frame.rgb, frame.pts_seconds)
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert max(float(np.abs(frame.to_ndarray()).max()) for frame in made.decode(audio=0)) > 0.3


def test_the_larger_of_two_pictures_is_read(tmp_path: Path) -> None:
    """A recording with a small preview beside it is read at its full size."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        for width, height in ((32, 24), (64, 48)):
            stream = container.add_stream("mpeg4", rate=FPS, width=width, height=height, pix_fmt="yuv420p")
            stream.disposition = Disposition(0)
        for rgb in moving(5):
            for stream in container.streams.video:
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(stream.width, stream.height)
                container.mux(stream.encode(frame))
    assert (probe(path).width, next(iter(read_frames(path))).rgb.shape) == (64, (48, 64, 3))
