"""How colour, contrast and sharpness change from chunk to chunk, measured on the frames as they are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
LEVELS = np.arange(256.0)
NOTABLE_LEVELS, NOTABLE_SHARE = 6.0, 0.15
"""From here on a drift is pointed out: levels of 255, and a share of contrast or sharpness (chosen here)."""


@dataclass(frozen=True)
class ChunkStatistics:
    """Of a chunk's new frames: mean and deviation of red, green and blue in levels of 255; sharpness is the mean
    absolute Laplacian of the luma, in levels."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    sharpness: float


def measured(frames: Sequence[UInt8[np.ndarray, "height width 3"]]) -> ChunkStatistics:
    """Statistics of a chunk's frames, one at a time."""
    sums, squares, sharpness = np.zeros(3), np.zeros(3), 0.0
    for frame in frames:
        shares = np.stack([np.bincount(frame[..., colour].ravel(), minlength=256) for colour in range(3)])
        shares = shares / (frame.shape[0] * frame.shape[1])
        sums += shares @ LEVELS
        squares += shares @ np.square(LEVELS)
        luma = frame.astype(np.float32) @ LUMA
        centre = luma[1:-1, 1:-1]
        laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre
        sharpness += float(np.abs(laplacian).mean())
    mean = sums / len(frames)
    deviation = np.sqrt(np.maximum(squares / len(frames) - mean**2, 0))
    return ChunkStatistics(_three(mean), _three(deviation), round(sharpness / len(frames), 4))


def _three(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 3) for value in values)
    return red, green, blue


@dataclass(frozen=True)
class Drift:
    """The last chunk against the first."""

    chunks: int
    colour_levels: float
    """Largest change of a channel's mean, in levels of 255."""
    contrast_share: float
    """Change of the mean deviation, as a share."""
    sharpness_share: float

    @property
    def is_notable(self) -> bool:
        """Whether a viewer may see it."""
        shares = abs(self.contrast_share), abs(self.sharpness_share)
        return self.colour_levels >= NOTABLE_LEVELS or max(shares) >= NOTABLE_SHARE

    def __str__(self) -> str:
        """One sentence."""
        return (
            f"drift over {self.chunks} chunks: colour {self.colour_levels:.1f} levels of 255, "
            f"contrast {self.contrast_share:+.0%}, sharpness {self.sharpness_share:+.0%}"
        )


def drift(chunks: Sequence[ChunkStatistics]) -> Drift | None:
    """None for a clip of one chunk, which cannot drift."""
    if len(chunks) < 2:
        return None
    first, last = chunks[0], chunks[-1]
    moved = np.abs(np.subtract(last.mean, first.mean)).max()
    return Drift(
        len(chunks),
        round(float(moved), 3),
        _change(float(np.mean(first.deviation)), float(np.mean(last.deviation))),
        _change(first.sharpness, last.sharpness),
    )


def _change(before: float, after: float) -> float:
    return round(after / before - 1, 4) if before > 0 else 0.0


def report(chunks: Sequence[ChunkStatistics]) -> dict[str, Any]:
    """Plain values for a report: every chunk's statistics, and the drift between first and last."""
    found = drift(chunks)
    return {"chunks": [asdict(each) for each in chunks], "drift": None if found is None else asdict(found)}


def write_report(path: Path, chunks: Sequence[ChunkStatistics]) -> None:
    """Keep `report` as JSON beside the steps of a clip."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(report(chunks), indent=1) + "\n", encoding="utf-8")
