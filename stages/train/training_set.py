"""The training set: one cache, or several that are mixed with given shares, as the paper mixes three (4.1).

Of every `BLOCK` samples each cache gets exactly its share, rounded to whole samples, in a random order that depends on
the seed and the block alone. Within a cache every window comes once per epoch of that cache. So the mixture needs no
state: a resumed run draws the same samples, on any number of GPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int

from stages.artifacts.training_cache import TrainingCache
from stages.errors import InputError

BLOCK = 1000
"""Samples in which the shares are exact."""
SAME = ("width", "height", "chunk_frames", "overlap_frames", "layout", "drawing")
"""Fields of the index in which all caches agree."""
FIRST_BLOCK_KEY = 3 * 2**62
"""Key of the first block's random order. Keys of samples lie below 2^63, those of epochs between."""


@dataclass(frozen=True)
class TrainingSet:
    """The opened caches, in the order of `train.shares`."""

    caches: tuple[TrainingCache, ...]

    @staticmethod
    def of(caches: Sequence[TrainingCache], shares: tuple[float, ...]) -> TrainingSet:
        """Raises InputError for another number of shares than of caches, a share below one sample in BLOCK, the same
        cache twice, or caches of different sizes."""
        first = caches[0]
        if len(shares) != len(caches) and (shares or len(caches) > 1):
            raise InputError(
                f"{len(caches)} caches need {len(caches)} shares, train.shares has {len(shares)}; "
                f"give one number per cache: --set 'train.shares=[{', '.join(['1'] * len(caches))}]'"
            )
        for cache, quota in zip(caches, quotas_of(shares), strict=True):
            if not quota:
                raise InputError(f"the share of {cache.folder} is less than one sample in {BLOCK}; leave the cache out")
        for other in caches[1:]:
            for name in SAME:
                ours, theirs = getattr(first.index, name), getattr(other.index, name)
                if ours != theirs:
                    raise InputError(
                        f"{other.folder} has {name} {theirs}, {first.folder} has {ours}; "
                        "encode all caches with the same settings"
                    )
        folders = [cache.folder.resolve() for cache in caches]
        twice = next((folder for folder in folders if folders.count(folder) > 1), None)
        if twice is not None:
            raise InputError(f"{twice} is named twice; give each cache once, with its whole share")
        return TrainingSet(tuple(caches))

    @property
    def windows(self) -> tuple[int, ...]:
        """Number of windows of each cache."""
        return tuple(len(cache) for cache in self.caches)

    @property
    def first(self) -> TrainingCache:
        """The cache whose sizes are those of all."""
        return self.caches[0]

    def fingerprints(self) -> dict[str, str]:
        """What identifies the data of a run."""
        if len(self.caches) == 1:
            return {"cache": self.first.index.fingerprint}
        return {f"cache {number}": cache.index.fingerprint for number, cache in enumerate(self.caches, 1)}

    def report(self, shares: tuple[float, ...], samples: int, seed: int) -> list[dict[str, Any]]:
        """How many of the first `samples` samples come from each cache: folder, windows, share, samples, epochs."""
        counts = samples_per_cache(samples, quotas_of(shares), seed)
        return [
            {
                "cache": str(cache.folder), "windows": len(cache), "share": round(count / max(samples, 1), 6),
                "samples": count, "epochs": round(count / len(cache), 3),
            }
            for cache, count in zip(self.caches, counts, strict=True)
        ]  # fmt: skip


def quotas_of(shares: tuple[float, ...]) -> tuple[int, ...]:
    """Samples of each cache in a block, by the largest remainders; all of them where no shares are given."""
    if not shares:
        return (BLOCK,)
    exact = BLOCK * np.array(shares) / sum(shares)
    quotas = np.floor(exact).astype(int)
    for place in np.argsort(quotas - exact, kind="stable")[: BLOCK - quotas.sum()]:
        quotas[place] += 1
    return tuple(int(quota) for quota in quotas)


def place_of(number: int, quotas: tuple[int, ...], seed: int) -> tuple[int, int]:
    """(the cache of sample `number`, how many samples before it come from that cache)."""
    block, row = divmod(number, BLOCK)
    order = _order(block, quotas, seed)
    cache = int(order[row])
    return cache, block * quotas[cache] + int((order[:row] == cache).sum())


def samples_per_cache(samples: int, quotas: tuple[int, ...], seed: int) -> list[int]:
    """How many of the first `samples` samples come from each cache."""
    blocks, rest = divmod(samples, BLOCK)
    last = _order(blocks, quotas, seed)[:rest]
    return [blocks * quota + int((last == cache).sum()) for cache, quota in enumerate(quotas)]


@lru_cache(4)
def _order(block: int, quotas: tuple[int, ...], seed: int) -> Int[np.ndarray, "samples"]:
    """The cache of every sample of a block."""
    whole = np.repeat(np.arange(len(quotas)), quotas)
    key = np.array([seed, FIRST_BLOCK_KEY + block], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(whole)
