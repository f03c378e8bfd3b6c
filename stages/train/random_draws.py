"""Everything random about a sample, as a function of the seed and the sample's running number.

There is no state: a resumed run draws what an unbroken one draws, and one GPU what thirty-two draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int

from stages.train.config import TrainConfig


@dataclass(frozen=True)
class Draw:
    """One sample. `reference` and `auxiliary_frame` in [0, 1) choose among whatever candidates there are; `t` is the
    noise level, 1 is noise alone."""

    window: int
    temporal: bool
    auxiliary: bool
    moved: bool
    reference: float
    auxiliary_frame: float
    t: float
    noise_seed: int


def draw(number: int, windows: int, config: TrainConfig) -> Draw:
    """Sample `number` of a training set of that many windows."""
    random = np.random.Generator(np.random.Philox(key=[config.seed, number]))
    temporal, auxiliary, moved, reference, auxiliary_frame, level = random.random(6)
    is_later = bool(temporal < config.temporal_probability)
    return Draw(
        window=_window(number, windows, config.seed),
        temporal=is_later,
        auxiliary=is_later and bool(auxiliary < config.auxiliary_probability),
        moved=bool(moved < config.moved_probability),
        reference=float(reference),
        auxiliary_frame=float(auxiliary_frame),
        t=shifted(float(level), config.flow_shift),
        noise_seed=int(random.integers(2**62)),
    )


def shifted(u: float, shift: float) -> float:
    """A level in [0, 1) moved towards noise, as the sampler's sigmas are."""
    return shift * u / (1 + (shift - 1) * u)


def _window(number: int, windows: int, seed: int) -> int:
    """Every window once an epoch, in an order of the epoch's own."""
    epoch, place = divmod(number, windows)
    return int(_order(epoch, windows, seed)[place])


@lru_cache(4)
def _order(epoch: int, windows: int, seed: int) -> Int[np.ndarray, "windows"]:
    key = np.array([seed, 2**63 + epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(windows)
