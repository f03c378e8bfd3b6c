"""All random choices of a sample, as a function of the seed and the sample's number.

There is no state. So a resumed run makes the same choices as an uninterrupted one, and one GPU the same as 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int

from stages.train.config import TrainConfig
from stages.train.training_set import place_of, quotas_of


@dataclass(frozen=True)
class Draw:
    """Choices of one sample. `reference` and `auxiliary_frame` in [0, 1) choose among the candidates. `t` is the noise
    level; 1 is pure noise. `cache` and `window` count from 0."""

    cache: int
    window: int
    temporal: bool
    auxiliary: bool
    augmented: bool
    reference: float
    auxiliary_frame: float
    t: float
    noise_seed: int


def draw(number: int, windows: tuple[int, ...], config: TrainConfig) -> Draw:
    """Choices of sample `number` in a training set whose caches have `windows` windows."""
    random = np.random.Generator(np.random.Philox(key=[config.seed, number]))
    temporal, auxiliary, augmented, reference, auxiliary_frame, level = random.random(6)
    cache, before = place_of(number, quotas_of(config.shares), config.seed)
    is_later = bool(temporal < config.temporal_probability)
    return Draw(
        cache=cache,
        window=_window(before, windows[cache], cache, config.seed),
        temporal=is_later,
        auxiliary=is_later and bool(auxiliary < config.auxiliary_probability),
        augmented=bool(augmented < config.augment_probability),
        reference=float(reference),
        auxiliary_frame=float(auxiliary_frame),
        t=shift_towards_noise(float(level), config.flow_shift),
        noise_seed=int(random.integers(2**62)),
    )


def shift_towards_noise(u: float, shift: float) -> float:
    """A noise level in [0, 1) shifted towards noise by the same formula as the sampler's sigmas."""
    return shift * u / (1 + (shift - 1) * u)


def _window(before: int, windows: int, cache: int, seed: int) -> int:
    """Every window of a cache once per epoch of that cache, in a different order each epoch."""
    epoch, place = divmod(before, windows)
    return int(_order(epoch, windows, cache, seed)[place])


@lru_cache(16)
def _order(epoch: int, windows: int, cache: int, seed: int) -> Int[np.ndarray, "windows"]:
    key = np.array([seed, 2**63 + cache * 2**48 + epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(windows)
