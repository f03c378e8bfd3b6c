"""A result compared with the real video, frame by frame, under a named protocol.

Reads both videos as streams; how the result was made does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.evaluate.averages import averages
from stages.evaluate.conditions import comparison_conditions
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.pairs import pairs
from stages.evaluate.protocols import Protocol, eight_bits, protocol
from stages.evaluate.square import content_area
from stages.progress import Progress, silent
from stages.video.source import probe

Metric = Callable[[np.ndarray, np.ndarray], float]
Watch = Callable[[np.ndarray, np.ndarray], None]


def evaluate_paired(
    result: Path,
    truth: Path,
    config: EvaluateConfig = EvaluateConfig(),
    progress: Progress = silent,
    *,
    networks: Mapping[str, Metric] | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """The protocol's figures per frame, their means with and without frame 0, and everything needed to repeat them.

    networks: further figures by name, each a function of two prepared pictures (`networks.lpips`). watch: called with
    every pair of prepared pictures as uint8, for figures over many clips.
    In a self-driven run frame 0 is the reference, so for short clips the mean without frame 0 is the one to trust.
    Raises InputError for an unknown protocol, videos of different shapes or, paired by index, of different lengths.
    """
    recipe = protocol(config.protocol)
    described = {"result": probe(result), "truth": probe(truth)}
    width, height = described["truth"].width, described["truth"].height
    rows, columns = content_area(width, height, config.size)
    measure = {**recipe.metrics, **(networks or {})}
    whole, picture, apart = [], [], 0.0
    for index, (ours, real) in enumerate(pairs(result, truth, config.pairing, config.stride, config.lead_seconds)):
        left, right = recipe.prepare(ours.rgb, real.rgb, config, str(result))
        whole.append([metric(left, right) for metric in measure.values()])
        if recipe.has_bars:
            inside = (left, right) if width == height else (left[rows, columns], right[rows, columns])
            picture.append(_without_bars(recipe, inside, whole[-1], width == height))
        if watch is not None:
            watch(eight_bits(left), eight_bits(right))
        apart = max(apart, abs(ours.pts_seconds + config.lead_seconds - real.pts_seconds))
        progress("comparing frames", index + 1, described["truth"].frame_count)
    block = max(1, round(float(described["truth"].fps)))
    return {
        **_figures(np.array(whole), tuple(measure), block),
        **({"picture": _figures(np.array(picture), tuple(recipe.metrics), block)} if recipe.has_bars else {}),
        "frames": len(whole),
        "largest_time_difference_seconds": apart,
        **comparison_conditions(described, config, recipe),
    }


def _without_bars(
    recipe: Protocol, pictures: tuple[np.ndarray, np.ndarray], whole: list[float], same: bool
) -> list[float]:
    """The protocol's figures without the black bars; a square picture has none, so there the whole figures are used."""
    return whole[: len(recipe.metrics)] if same else [metric(*pictures) for metric in recipe.metrics.values()]


def _figures(
    values: Float[np.ndarray, "frames metrics"], names: tuple[str, ...], block: int
) -> dict[str, dict[str, Any]]:
    return {name: averages(values[:, column].tolist(), block) for column, name in enumerate(names)}
