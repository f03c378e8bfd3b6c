"""The named recipes: DisCo's arithmetic reproduced number by number, and pictures padded and cropped back."""

from __future__ import annotations

from fractions import Fraction
from math import log10, sqrt
from pathlib import Path

import numpy as np
import pytest

from stages.errors import InputError
from stages.evaluate import disco
from stages.evaluate.conditions import lossy
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.evaluate import evaluate_paired
from stages.evaluate.metrics import ssim
from stages.evaluate.protocols import PROTOCOLS, protocol
from stages.evaluate.square import crop_back, resized
from stages.video.sink import VideoSink

NOISE = np.random.default_rng(0)
FIRST, SECOND = (NOISE.integers(0, 256, (40, 48, 3), dtype=np.uint8) for _ in range(2))


def video(path: Path, frames: list[np.ndarray]) -> Path:
    """A lossless clip."""
    with VideoSink(path, frames[0].shape[1], frames[0].shape[0], Fraction(25), lossless=True) as sink:
        for frame in frames:
            sink.write(frame)
    return path


def test_ssim_is_scikit_images() -> None:
    """SSIM of protocol emosh equals scikit-image's with the settings that its definition states, as an oracle."""
    from skimage.metrics import structural_similarity

    first, second = FIRST / 255, SECOND / 255
    oracle = np.mean([
        structural_similarity(
            first[..., c], second[..., c], data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for c in range(3)
    ])  # fmt: skip
    assert ssim(first, second) == pytest.approx(oracle, abs=1e-12)


def test_discos_psnr_before_and_after_it_was_mended() -> None:
    """Written out: float64 squares, and the first versions' uint8 ones; wrapping makes a large error look small."""
    squares = (FIRST.astype(float) - SECOND.astype(float)) ** 2
    assert disco.psnr(FIRST, SECOND) == pytest.approx(20 * log10(255 / sqrt(squares.mean())))
    wrapped = [((int(b) - int(a)) % 256) ** 2 % 256 for a, b in zip(FIRST.ravel(), SECOND.ravel(), strict=True)]
    assert disco.psnr_uint8(FIRST, SECOND) == pytest.approx(20 * log10(255 / sqrt(np.mean(wrapped))))
    assert disco.psnr_uint8(FIRST, SECOND) > disco.psnr(FIRST, SECOND) + 15
    assert disco.psnr(FIRST, FIRST) == disco.psnr_uint8(FIRST, FIRST) == 100


def test_discos_l1_is_divided_once_more() -> None:
    """A difference of 51 everywhere in 40 x 48 pixels is 51 / 1920, not 0.2."""
    assert disco.l1(np.full_like(FIRST, 51), np.zeros_like(FIRST)) == pytest.approx(51 / (40 * 48))


def test_discos_ssim_is_grey_and_uniform() -> None:
    """On grey, 7 x 7 uniform windows, sample covariance, range 255: Wang's formula written out."""
    import cv2

    x, y = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(float) for each in (FIRST, SECOND))

    def windows(picture: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(picture, (7, 7)).reshape(-1, 49)

    a, b = windows(x), windows(y)
    mx, my = a.mean(1), b.mean(1)
    vx, vy = a.var(1, ddof=1), b.var(1, ddof=1)
    vxy = ((a - mx[:, None]) * (b - my[:, None])).sum(1) / 48
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert disco.ssim(FIRST, SECOND) == pytest.approx(expected.mean(), abs=1e-9)


def test_disco_stretches_what_emosh_refuses(tmp_path: Path) -> None:
    """A wide result against a square truth: DisCo's recipe resizes it bilinearly and goes on, ours refuses."""
    import cv2

    truth, result = video(tmp_path / "t.mp4", [FIRST[:, :40]]), video(tmp_path / "r.mp4", [SECOND[:20]])
    report = evaluate_paired(result, truth, EvaluateConfig(protocol="disco"))
    stretched = cv2.resize(SECOND[:20], (40, 40))
    assert report["psnr"]["mean"] == pytest.approx(disco.psnr(stretched, FIRST[:, :40]), abs=1e-6)
    assert "picture" not in report
    assert "INTER_LINEAR" in report["resize_kernel"]
    with pytest.raises(InputError, match="cannot show the same picture"):
        evaluate_paired(result, truth, EvaluateConfig(size=32))


def test_what_was_padded_is_cropped_back(tmp_path: Path) -> None:
    """A truth padded to 9:16, as a method was fed it, is equal to the truth again with fit=pad, and refused without."""
    truth = [resized(FIRST[:, :40], 80, 80)]
    padded = np.zeros((144, 80, 3), np.uint8)
    padded[32:112] = truth[0]
    files = video(tmp_path / "r.mp4", [padded]), video(tmp_path / "t.mp4", truth)
    assert evaluate_paired(*files, EvaluateConfig(size=80, fit="pad"))["psnr"]["mean"] == 100
    with pytest.raises(InputError, match="80x144"):
        evaluate_paired(*files, EvaluateConfig(size=80))


@pytest.mark.parametrize("shape", [(64, 64), (512, 784), (576, 1024), (832, 480)])
def test_cropping_back_undoes_padding(shape: tuple[int, int]) -> None:
    """White padded with black to any method's shape is white when cropped back, to within one row of blending."""
    width, height = 64, 48
    columns, rows = shape
    scale = min(columns / width, rows / height)
    inner = round(width * scale), round(height * scale)
    padded = np.zeros((rows, columns, 3), np.uint8)
    top, left = (rows - inner[1]) // 2, (columns - inner[0]) // 2
    padded[top : top + inner[1], left : left + inner[0]] = 255
    back = crop_back(padded, width, height)
    assert back.shape == (height, width, 3)
    assert back.min() == 255


def test_lossy_codecs_are_named() -> None:
    """yuv420p is named with what it takes away, RGB H.264 as possibly lossless, PNG not at all."""
    assert "quarter" in str(lossy("result", {"codec": "h264", "pixel_format": "yuv420p"}))
    assert "only if" in str(lossy("truth", {"codec": "h264", "pixel_format": "gbrp"}))
    assert lossy("truth", {"codec": "png", "pixel_format": "rgb24"}) is None


def test_every_recipe_says_what_it_does() -> None:
    """Each figure of each recipe has a definition; a misspelt recipe lists the names."""
    for recipe in PROTOCOLS.values():
        assert set(recipe.definitions) == set(recipe.metrics)
        assert recipe.rules
        assert recipe.resize_kernel
    with pytest.raises(InputError, match="choose one of emosh, disco"):
        protocol("disko")
