"""Little photos and condition maps, as files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from stages.artifacts.provenance import Provenance


def frames(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    """A bright bar that wanders over a coloured ground: (count, height, width, 3)."""
    width, height = size
    random = np.random.default_rng(seed)
    ground = random.integers(0, 120, (height, width, 3))
    clip = np.repeat(ground[None], count, 0)
    for index in range(count):
        left = (3 * index) % width
        clip[index, height // 4 :, left : left + 5] = (250, 200 - index % 100, 40)
    return clip.astype(np.uint8)


def write_photo(path: Path, size: tuple[int, int] = (32, 32)) -> Path:
    """A photo of noise on a gradient."""
    from stages.video.png import write_png

    write_png(path, frames(1, size, seed=9)[0])
    return path


def write_cond(path: Path, count: int, size: tuple[int, int] = (32, 32), **notes: object) -> Path:
    """A condition map by its record, whatever it shows: 25 frames a second, lossless."""
    from stages.video.sink import VideoSink

    record = Provenance(
        "render-cond", config={"hybrid": True}, notes={"kind": "condition-map", "colours": "hybrid-1", **notes}
    )
    with VideoSink(path, *size, Fraction(25), lossless=True, metadata={"comment": record.to_json()}) as sink:
        for frame in frames(count, size):
            sink.write(frame)
    return path
