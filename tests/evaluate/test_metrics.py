"""Picture metrics by known answers."""

from __future__ import annotations

import numpy as np
import pytest

from stages.evaluate.metrics import PSNR_OF_EQUAL_DB, l1, psnr, ssim

ZEROS, ONES = np.zeros((32, 32, 3)), np.ones((32, 32, 3))
NOISE = np.random.default_rng(0).random((40, 48, 3))


def test_equal_pictures() -> None:
    """Equal pictures: 100 dB by convention, no error, similarity one."""
    assert psnr(NOISE, NOISE) == PSNR_OF_EQUAL_DB
    assert l1(NOISE, NOISE) == 0
    assert ssim(NOISE, NOISE) == pytest.approx(1)


def test_black_against_white() -> None:
    """Zeros against ones: 0 dB, error one, and SSIM's published 1e-4 (its C1 over 1 + C1)."""
    assert psnr(ZEROS, ONES) == pytest.approx(0)
    assert l1(ZEROS, ONES) == 1
    assert ssim(ZEROS, ONES) == pytest.approx(9.999e-05, rel=1e-3)


def test_a_constant_error_has_a_closed_form() -> None:
    """An offset of 0.1 is 20 dB and an L1 of 0.1."""
    assert psnr(NOISE * 0.5, NOISE * 0.5 + 0.1) == pytest.approx(20)
    assert l1(NOISE * 0.5, NOISE * 0.5 + 0.1) == pytest.approx(0.1)


def test_ssim_follows_its_formula() -> None:
    """Our SSIM equals Wang et al.'s formula written out with an 11 x 11 Gaussian, borders left out."""
    other = np.clip(NOISE + np.random.default_rng(1).normal(0, 0.1, NOISE.shape), 0, 1)
    offsets = np.arange(-5, 6)
    kernel = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(kernel, kernel) / kernel.sum() ** 2

    def blur(channel: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(channel, (11, 11))
        return np.einsum("ijkl,kl->ij", views, window)

    scores = []
    for x, y in zip(np.moveaxis(NOISE, 2, 0), np.moveaxis(other, 2, 0), strict=True):
        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = 0.01**2, 0.03**2
        scores.append((((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
    assert ssim(NOISE, other) == pytest.approx(np.mean(scores), abs=1e-6)
