"""Measure how colour, contrast and sharpness change from chunk to chunk, on the final 8-bit frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path
from stages.counted import counted

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
LEVELS = np.arange(256.0)
NOTABLE_LEVELS, NOTABLE_SHARE = 6.0, 0.15
"""From here on a drift is reported: change of colour in levels of 255, change of contrast or sharpness as a share
(chosen here)."""


@dataclass(frozen=True)
class ChunkStatistics:
    """Statistics of a chunk's new frames: mean and deviation of red, green and blue, and sharpness (mean absolute
    Laplacian of the luma), all in levels of 255."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    sharpness: float


def chunk_statistics(frames: Sequence[UInt8[np.ndarray, "height width 3"]]) -> ChunkStatistics:
    """Statistics of a chunk's frames. Reads one frame at a time."""
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
    """Difference between the last chunk and the first."""

    chunks: int
    colour_levels: float
    """Largest change of a channel's mean, in levels of 255."""
    contrast_share: float
    """Change of the channels' mean deviation, as a share of the first chunk's."""
    sharpness_share: float

    @property
    def is_notable(self) -> bool:
        """Whether a viewer may see the drift."""
        shares = abs(self.contrast_share), abs(self.sharpness_share)
        return self.colour_levels >= NOTABLE_LEVELS or max(shares) >= NOTABLE_SHARE

    def __str__(self) -> str:
        """The drift in one line."""
        return (
            f"drift over {counted(self.chunks, 'chunk')}: colour {self.colour_levels:.1f} levels of 255, "
            f"contrast {self.contrast_share:+.0%}, sharpness {self.sharpness_share:+.0%}"
        )


def measure_drift(chunks: Sequence[ChunkStatistics]) -> Drift | None:
    """Drift between the first and the last chunk. None for a clip of one chunk."""
    if len(chunks) < 2:
        return None
    first, last = chunks[0], chunks[-1]
    change = np.abs(np.subtract(last.mean, first.mean)).max()
    return Drift(
        len(chunks),
        round(float(change), 3),
        _relative_change(float(np.mean(first.deviation)), float(np.mean(last.deviation))),
        _relative_change(first.sharpness, last.sharpness),
    )


def _relative_change(before: float, after: float) -> float:
    return round(after / before - 1, 4) if before > 0 else 0.0


def drift_report(chunks: Sequence[ChunkStatistics]) -> dict[str, Any]:
    """Values for JSON: every chunk's statistics, and the drift between first and last chunk."""
    found = measure_drift(chunks)
    return {"chunks": [asdict(each) for each in chunks], "drift": None if found is None else asdict(found)}


def write_report(path: Path, chunks: Sequence[ChunkStatistics]) -> None:
    """Write `drift_report` as JSON."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(drift_report(chunks), indent=1) + "\n", encoding="utf-8")
