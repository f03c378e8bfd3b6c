"""A fixture that writes small test videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Write a video with PyAV directly, without the code under test."""

    def write(
        name: str,
        frames: Sequence[np.ndarray],
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        fps: Fraction = Fraction(25),
        times_ms: Sequence[int] | None = None,
        turn: int | None = None,
        mirror: bool = False,
        pixel_ratio: Fraction | None = None,
        options: dict[str, str] | None = None,
        movflags: str | None = None,
        sound: tuple[str, float] | None = None,
        tag_bt709: bool = False,
    ) -> Path:
        path = tmp_path / name
        container = av.open(str(path), "w", options={"movflags": movflags} if movflags else {})
        stream = container.add_stream(codec, rate=fps, options={"bf": "0", **(options or {})})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if pixel_ratio is not None:
            stream.codec_context.sample_aspect_ratio = pixel_ratio
        if turn is not None:
            stream.set_display_rotation(turn, hflip=mirror)
        if tag_bt709:
            stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        track = container.add_stream(sound[0], rate=48_000, layout="stereo") if sound else None
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if tag_bt709:
                frame = frame.reformat(format=pix_fmt, dst_colorspace="itu709", dst_color_range="MPEG")
            frame.pts = index if times_ms is None else times_ms[index]
            frame.time_base = 1 / fps if times_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            container.mux(list(_tone(track, sound[1])))
        container.close()
        return path

    def _tone(track, seconds: float):
        samples = np.arange(round(seconds * 48_000)) / 48_000
        wave = (0.3 * np.sin(2 * np.pi * 440 * samples)).astype(np.float32)
        resampler = av.AudioResampler(track.codec_context.format, "stereo", 48_000, frame_size=1024)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            yield from track.encode(piece)
        yield from track.encode(None)

    return write
