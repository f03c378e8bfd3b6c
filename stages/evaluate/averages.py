"""The averages in a report, from one value per frame: mean, mean without frame 0, and a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000
SEED = 0


def averages(per_frame: Sequence[float], block: int) -> dict[str, Any]:
    """Mean over frames, mean without frame 0 (in a self-driven run it is the reference), and a bootstrap interval.

    `block` is the number of neighbouring frames drawn together, because frames are not independent samples. The
    interval says how the mean of this clip would vary and nothing about other clips. It is None with too few frames.
    """
    values = np.asarray(per_frame, np.float64)
    return {
        "mean": float(values.mean()),
        "mean_without_frame_0": float(values[1:].mean()) if len(values) > 1 else None,
        "interval_95": bootstrap_interval(values, block),
        "per_frame": [round(float(value), 6) for value in values],
    }


def bootstrap_interval(values: np.ndarray, block: int) -> list[float] | None:
    """95 % interval of the mean by circular block bootstrap (Politis and Romano 1992), or None below two blocks."""
    if len(values) < 2 * block:
        return None
    generator = np.random.default_rng(SEED)
    starts = generator.integers(0, len(values), (RESAMPLES, -(-len(values) // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(RESAMPLES, -1)[:, : len(values)] % len(values)
    means = values[rows].mean(1)
    return [float(edge) for edge in np.quantile(means, (0.025, 0.975))]
