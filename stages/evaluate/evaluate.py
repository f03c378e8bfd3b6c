"""A result beside the real video, frame by frame, under a named protocol.

Streams both videos; knows nothing of how the result was made. `pose_error` (pose_error.py) compares motions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.provenance import VERSION, sha256_file
from stages.errors import InputError
from stages.evaluate.metrics import METRICS
from stages.evaluate.pose_error import pose_error
from stages.progress import Progress, silent
from stages.video.source import probe, read_frames

__all__ = ["EvaluateConfig", "evaluate_paired", "pose_error"]

PROTOCOLS = {
    "emosh": (
        "frames paired by index; both padded with black to a square, centred; resized to one size (cv2 INTER_AREA "
        "down, INTER_CUBIC up); RGB in [0,1]; PSNR and L1 over pixels and channels; SSIM 11x11 Gaussian on colour"
    )
}


@dataclass(frozen=True)
class EvaluateConfig:
    """How pictures are compared."""

    protocol: str = "emosh"
    """The only protocol so far; its rules are written into the report."""
    size: int = 512
    """Side of the square that both are compared at, pixels."""


def evaluate_paired(
    result: Path, truth: Path, config: EvaluateConfig = EvaluateConfig(), progress: Progress = silent
) -> dict[str, Any]:
    """PSNR, L1 and SSIM per frame and mean, with and without frame 0, and everything needed to repeat them.

    Frame 0 is the reference in a self-driven run, so the mean without it is the honest one for short clips.
    Raises InputError for an unknown protocol or videos with different numbers of frames.
    """
    if config.protocol not in PROTOCOLS:
        raise InputError(f"no protocol '{config.protocol}'; choose one of {', '.join(PROTOCOLS)}")
    total = probe(truth).frame_count
    rows = []
    for index, (ours, real) in enumerate(_pairs(result, truth)):
        rows.append([metric(_square(ours, config.size), _square(real, config.size)) for metric in METRICS.values()])
        progress("comparing frames", index + 1, total)
    return _report(np.array(rows), result, truth, config)


def _pairs(result: Path, truth: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for index, (ours, real) in enumerate(zip_longest(read_frames(result), read_frames(truth))):
        if ours is None or real is None:
            shorter, longer = (result, truth) if ours is None else (truth, result)
            raise InputError(
                f"{shorter} ends after {index} frames but {longer} goes on; paired metrics need the same clip"
            )
        yield ours.rgb, real.rgb


def _square(rgb: UInt8[np.ndarray, "h w 3"], size: int) -> Float[np.ndarray, "size size 3"]:
    """Pad to a square with black, centred, and resize; RGB in [0, 1]."""
    import cv2

    height, width = rgb.shape[:2]
    side = max(height, width)
    padded = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = rgb
    if side != size:
        padded = cv2.resize(padded, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)
    return padded.astype(np.float64) / 255


def _report(
    values: Float[np.ndarray, "frames metrics"], result: Path, truth: Path, config: EvaluateConfig
) -> dict[str, Any]:
    from importlib.metadata import version

    figures = {
        name: {
            "mean": float(values[:, column].mean()),
            "mean_without_frame_0": float(values[1:, column].mean()) if len(values) > 1 else None,
            "per_frame": [round(float(value), 6) for value in values[:, column]],
        }
        for column, name in enumerate(METRICS)
    }
    return {
        **figures,
        "frames": len(values),
        "protocol": config.protocol,
        "protocol_rules": PROTOCOLS[config.protocol],
        "size": config.size,
        "inputs": {"result": sha256_file(result), "truth": sha256_file(truth)},
        "versions": {
            "emosh": VERSION,
            **{name: version(name) for name in ("scikit-image", "opencv-contrib-python", "av")},
        },
    }
