"""Picture metrics, each a pure function of one pair of frames: RGB in [0, 1], no resizing, no mean over frames."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

PSNR_OF_EQUAL_DB = 100.0
"""PSNR of two equal pictures, where the formula gives infinity; DisCo's code has the same value."""

DEFINITIONS = {
    "psnr": "-10 log10 of the mean squared error over pixels and channels, dB, at most 100 (equal pictures)",
    "l1": "mean absolute error over pixels and channels, in [0,1]",
    "ssim": "Wang et al. 2004 per RGB channel, then mean: 11x11 Gaussian window, sigma 1.5, population covariance, "
    "K1 0.01, K2 0.03, range 1, mean over windows that lie inside the picture",
}
"""What each figure means; copied into every report."""


def psnr(result: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> float:
    """Peak signal-to-noise ratio, dB: -10 log10 of the mean squared error over pixels and channels."""
    error = float(np.mean((result - truth) ** 2))
    return PSNR_OF_EQUAL_DB if error == 0 else min(PSNR_OF_EQUAL_DB, -10 * np.log10(error))


def l1(result: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> float:
    """Mean absolute error in [0, 1]: the paper's L1. DisCo's L1 is divided once more by the number of pixels."""
    return float(np.mean(np.abs(result - truth)))


def ssim(result: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"]) -> float:
    """Structural similarity (Wang et al. 2004) on colour: 11 x 11 Gaussian, sigma 1.5, mean over channels."""
    from skimage.metrics import structural_similarity

    similarity = structural_similarity(
        result, truth, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(np.asarray(similarity))


METRICS = {"psnr": psnr, "l1": l1, "ssim": ssim}
