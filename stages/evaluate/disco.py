"""DisCo's figures with DisCo's bugs, to compare with old tables: Wangt-CN/DisCo, tool/metrics/ssim_l1_lpips_psnr.py.

Pictures are uint8 RGB at the truth's size. Where DisCo's versions differ, there is one figure for each. Do not use them
for anything else: SSIM is on grey, L1 is divided once more by the number of pixels, and LPIPS gets [0,1] although it
expects [-1,1].
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from stages.evaluate.metrics import PSNR_OF_EQUAL_DB

Rgb = UInt8[np.ndarray, "height width 3"]

DEFINITIONS = {
    "psnr": "20 log10(255 / rms error) over uint8 values taken as float64, dB; 100 for equal pictures",
    "psnr_uint8": "PSNR of DisCo's first versions: differences and squares wrap around at 256, so that large errors "
    "look small (many PSNR values published at that time)",
    "l1": "mean absolute difference of the values 0..255, divided once more by the number of pixels: of order 1e-5",
    "ssim": "scikit-image's default on the grey picture of cv2: 7x7 uniform window, sample covariance, range 255",
}


def psnr(result: Rgb, truth: Rgb) -> float:
    """PSNR of DisCo's later versions, which convert to float first, dB."""
    return _decibels(float(np.mean((result.astype(np.float64) - truth.astype(np.float64)) ** 2)))


def psnr_uint8(result: Rgb, truth: Rgb) -> float:
    """PSNR of DisCo's first versions, dB: uint8 arithmetic, which wraps around."""
    return _decibels(float(np.mean((truth - result) ** 2)))


def _decibels(squared: float) -> float:
    return PSNR_OF_EQUAL_DB if squared == 0 else float(20 * np.log10(255 / np.sqrt(squared)))


def l1(result: Rgb, truth: Rgb) -> float:
    """DisCo's L1: the mean absolute difference, divided once more by the number of pixels."""
    return float(np.mean(np.abs(result.astype(float) - truth.astype(float)) / (truth.shape[0] * truth.shape[1])))


def ssim(result: Rgb, truth: Rgb) -> float:
    """DisCo's SSIM: scikit-image's default on the grey picture."""
    import cv2
    from skimage.metrics import structural_similarity

    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (result, truth)]
    return float(np.asarray(structural_similarity(*grey)))


METRICS = {"psnr": psnr, "psnr_uint8": psnr_uint8, "l1": l1, "ssim": ssim}
