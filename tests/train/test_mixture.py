"""Several caches in one run: shares per sample, seeded, resumed, reported (paper 4.1)."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages.artifacts.training_cache import TrainingCache
from stages.encode.cache_config import CacheConfig
from stages.errors import InputError
from stages.train import loop
from stages.train.config import TrainConfig
from stages.train.random_draws import draw
from stages.train.training_set import TrainingSet, quotas_of, samples_per_cache
from stages.wan.folder import ModelFolder

PAPER = TrainConfig(shares=(37.8, 60.6, 1.6))
WINDOWS = (70, 110, 5)


def test_the_papers_shares_are_exact() -> None:
    """Every 1,000 samples hold 378, 606 and 16 of the three caches, in an order that looks random: no run of one cache
    is longer than chance has it, and the order of the next 1,000 is another."""
    drawn = [draw(number, WINDOWS, PAPER).cache for number in range(3000)]
    thousands = [drawn[at : at + 1000] for at in (0, 1000, 2000)]
    assert all(Counter(each) == {0: 378, 1: 606, 2: 16} for each in thousands)
    assert thousands[0] != thousands[1] != thousands[2]
    changes = np.mean(np.diff(drawn) != 0)
    expected = 1 - (0.378**2 + 0.606**2 + 0.016**2)
    assert abs(changes - expected) < 4 * np.sqrt(expected * (1 - expected) / len(drawn))


def test_a_sample_does_not_hang_on_the_ones_before() -> None:
    """The draw of a number is the same whenever it is made, another for another seed; other choices than the window are
    those of a single cache."""
    later = draw(5321, WINDOWS, PAPER)
    assert [draw(5321, WINDOWS, PAPER) for _ in range(2)] == [later, later]
    others = [draw(number, WINDOWS, replace(PAPER, seed=1)).cache for number in range(100)]
    assert others != [draw(number, WINDOWS, PAPER).cache for number in range(100)]
    alone = draw(5321, (70,), TrainConfig())
    assert replace(later, cache=0, window=0) == replace(alone, window=0)


def test_every_window_once_an_epoch_of_its_cache() -> None:
    """Whatever the shares, the samples of a cache show each of its windows once before any comes again."""
    drawn = [draw(number, WINDOWS, PAPER) for number in range(2500)]
    for cache, windows in enumerate(WINDOWS):
        own = [each.window for each in drawn if each.cache == cache]
        assert len(own) > windows
        for at in range(0, len(own) - windows, windows):
            assert sorted(own[at : at + windows]) == list(range(windows))


def test_what_is_reported_is_what_was_drawn() -> None:
    """The counts of any number of samples are those of the draws."""
    for samples in (0, 1, 999, 1000, 2345):
        drawn = Counter(draw(number, WINDOWS, PAPER).cache for number in range(samples))
        assert samples_per_cache(samples, quotas_of(PAPER.shares), PAPER.seed) == [drawn[each] for each in range(3)]
    assert quotas_of((1.0, 1.0, 1.0)) == (334, 333, 333)
    assert quotas_of(()) == (1000,)


@pytest.fixture(scope="module")
def other(base: ModelFolder, make: Callable, tmp_path_factory: pytest.TempPathFactory) -> TrainingCache:
    """A second cache: one clip of other length, so of other windows."""
    config = CacheConfig(reference_candidates=2, window_stride=9, cache_dtype="float32", seed=5)
    made = make(tmp_path_factory.mktemp("other"), config, 18)
    replace(made.index, fingerprint="another").write(made.folder)
    return TrainingCache(made.folder)


def test_a_mixed_run_goes_on_bit_for_bit(
    base: ModelFolder, cache: TrainingCache, other: TrainingCache, tmp_path: Path
) -> None:
    """Stopped after two steps of four and continued, a run over two caches ends with the unbroken run's losses and
    weights; with other shares or another order of caches it is not continued."""
    config = TrainConfig(
        steps=4, batch_size=2, rank=4, dtype="float32", save_every=2, tracker="none", shares=(1.0, 3.0)
    )
    data = TrainingSet.of([cache, other], config.shares)

    def run(config: TrainConfig, data: TrainingSet, out: Path) -> loop.Trained:
        out.mkdir(exist_ok=True)
        return loop.train(base, data, config, out, accelerator=loop.make_accelerator(config, out, cpu=True))

    whole = run(config, data, tmp_path / "whole")
    first, second = (run(replace(config, steps=steps), data, tmp_path / "two") for steps in (2, 4))
    assert first.losses + second.losses == whole.losses
    ours, theirs = (load_file(tmp_path / name / "adapter-000004.safetensors") for name in ("two", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with pytest.raises(InputError, match=r"another shares \(\[1.0, 3.0\] then, \[1.0, 1.0\] now\)"):
        run(replace(config, shares=(1.0, 1.0)), data, tmp_path / "two")
    with pytest.raises(InputError, match="another cache 1"):
        run(config, TrainingSet.of([other, cache], config.shares), tmp_path / "two")


def test_caches_that_do_not_fit(cache: TrainingCache, other: TrainingCache, tmp_path: Path) -> None:
    """One line for each: shares that are missing, too many or too small, a cache named twice, another picture size."""
    for caches, shares, told in (
        ([cache, other], (), r"2 caches need 2 shares, train.shares has 0; .*train.shares=\[1, 1\]"),
        ([cache], (1.0, 2.0), "1 caches need 1 shares"),
        ([cache, other], (1.0, 1e-5), "less than one sample in 1000"),
        ([cache, cache], (1.0, 1.0), "is named twice"),
    ):
        with pytest.raises(InputError, match=told):
            TrainingSet.of(caches, shares)
    place = tmp_path / "long"
    shutil.copytree(other.folder, place)
    index = json.loads((place / "index.json").read_text())
    (place / "index.json").write_text(json.dumps({**index, "overlap_frames": 1}))
    with pytest.raises(InputError, match=r"has overlap_frames 1, .* has 5; encode all caches with the same settings"):
        TrainingSet.of([cache, TrainingCache(place)], (1.0, 1.0))
    with pytest.raises(InputError, match="expected numbers above 0"):
        TrainConfig(shares=(1.0, 0.0))
