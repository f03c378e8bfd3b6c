"""What holds for every metric, and how values become means and intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.evaluate.averages import averages, bootstrap_interval
from stages.evaluate.metrics import METRICS, psnr


def noise(seed: int, shape=(24, 20, 3)) -> np.ndarray:
    """A reproducible picture of noise."""
    return np.random.default_rng(seed).random(shape, np.float32)


def test_psnr_has_its_ceiling():
    """One level of one channel of one pixel in a large picture still gives at most 100 dB."""
    changed = np.zeros((512, 512, 3), np.float32)
    changed[0, 0, 0] = 1 / 255
    assert psnr(changed, np.zeros_like(changed)) == 100.0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_metrics_are_symmetric(seed):
    """No metric cares which of the two pictures is the truth."""
    first, second = noise(seed), noise(seed + 1)
    for metric in METRICS.values():
        assert metric(first, second) == pytest.approx(metric(second, first), abs=1e-6)


def test_metrics_get_worse_with_noise():
    """More noise lowers PSNR and SSIM and raises L1."""
    truth = noise(0)
    steps = [truth + np.float32(share) * (noise(9) - 0.5) for share in (0.05, 0.2, 0.6)]
    for name, metric in METRICS.items():
        values = [metric(step, truth) for step in steps]
        assert values == sorted(values, reverse=name != "l1")


def test_averages_with_and_without_the_first_frame():
    """A perfect frame 0 lifts the mean but not the mean without it; one frame alone has no mean without itself."""
    report = averages([100.0, 30.0, 20.0], 25)
    assert report["mean"] == 50.0
    assert report["mean_without_frame_0"] == 25.0
    assert report["per_frame"] == [100.0, 30.0, 20.0]
    assert report["interval_95"] is None
    assert averages([100.0], 25)["mean_without_frame_0"] is None


def test_the_interval_covers_the_mean_and_grows_with_the_block():
    """The bootstrap interval is reproducible, holds the mean, is a point for constants, wider for slow changes."""
    slow = np.repeat(np.random.default_rng(0).normal(30, 3, 20), 10)
    low, high = bootstrap_interval(slow, 10)
    assert low < slow.mean() < high
    assert bootstrap_interval(slow, 10) == [low, high]
    narrow = bootstrap_interval(slow, 1)
    assert high - low > 1.5 * (narrow[1] - narrow[0])
    assert bootstrap_interval(np.full(50, 7.0), 10) == [7.0, 7.0]
