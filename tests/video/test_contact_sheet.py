"""The animation that `make demo` leaves: every source in its column, for as long as the longest video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from stages.video.contact_sheet import LABEL_PX, MARGIN_PX, write_animation
from stages.video.png import write_png
from stages.video.sink import VideoSink


def greys(path: Path, values: range) -> Path:
    """A video of ten frames a second, each of one grey."""
    with VideoSink(path, 64, 64, Fraction(10)) as sink:
        for value in values:
            sink.write(np.full((64, 64, 3), value, np.uint8))
    return path


def test_an_animation_lasts_as_long_as_its_longest_video(tmp_path: Path) -> None:
    """Eight frames at ten a second are four at five; the photo stands still, and the shorter video keeps its end."""
    write_png(tmp_path / "photo.png", np.full((64, 64, 3), 200, np.uint8))
    columns = [
        ("photo", tmp_path / "photo.png"),
        ("long", greys(tmp_path / "long.mp4", range(40, 200, 20))),
        ("short", greys(tmp_path / "short.mp4", range(40, 120, 20))),
    ]
    write_animation(tmp_path / "out.webp", columns, fps=5.0, cell_height=32)
    with Image.open(tmp_path / "out.webp") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (4, 0)  # type: ignore[attr-defined]
        assert animation.size == (3 * 32 + 2 * MARGIN_PX, LABEL_PX + 32)
        middles = []
        for number in range(4):
            animation.seek(number)
            pixels = np.asarray(animation.convert("L"))[LABEL_PX + 16]
            middles.append([int(pixels[16 + column * (32 + MARGIN_PX)]) for column in range(3)])
    assert np.abs(np.array(middles) - [[200, 40, 40], [200, 80, 80], [200, 120, 80], [200, 160, 80]]).max() < 8
