"""A result beside the real video, frame by frame, under a named protocol.

Streams both videos; knows nothing of how the result was made. `pose_error` (pose_error.py) compares motions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from stages.artifacts.provenance import VERSION, sha256_file
from stages.errors import InputError
from stages.evaluate.averages import averages
from stages.evaluate.metrics import DEFINITIONS, METRICS
from stages.evaluate.pose_error import pose_error
from stages.evaluate.square import content, like_truth, square
from stages.progress import Progress, silent
from stages.video.metadata import read_encoding
from stages.video.source import Frame, VideoInfo, probe, read_frames

__all__ = ["EvaluateConfig", "evaluate_paired", "pose_error"]

PROTOCOLS = {
    "emosh": (
        "the result brought to the truth's size; both padded with black to a square, centred; resized to one size "
        "(cv2 INTER_AREA down, INTER_CUBIC up); RGB in [0,1], 8 bits a channel; YUV decoded with the matrix and range "
        "named per file; 'picture': the same figures without the bars"
    )
}
PAIRINGS = {
    "index": "frame i of the result with frame i of the truth; their numbers must agree",
    "time": "each frame of the truth with the frame of the result that is on screen at its time",
}


@dataclass(frozen=True)
class EvaluateConfig:
    """How pictures are compared."""

    protocol: str = "emosh"
    """The only protocol so far; its rules are written into the report."""
    size: int = 512
    """Side of the square that both are compared at, pixels."""
    pairing: Literal["index", "time"] = "index"
    """"index": frame i with frame i. "time": by timestamps, for videos of different rates."""

    def __post_init__(self) -> None:
        """Refuse a square smaller than the SSIM window."""
        if self.size < 11:
            raise ValueError(f"size is {self.size}, expected at least 11 pixels")


def evaluate_paired(
    result: Path, truth: Path, config: EvaluateConfig = EvaluateConfig(), progress: Progress = silent
) -> dict[str, Any]:
    """PSNR, L1 and SSIM per frame and mean, with and without frame 0, and everything needed to repeat them.

    Frame 0 is the reference in a self-driven run, so the mean without it is the honest one for short clips.
    Raises InputError for an unknown protocol, videos of different shapes or, paired by index, of different lengths.
    """
    if config.protocol not in PROTOCOLS:
        raise InputError(f"no protocol '{config.protocol}'; choose one of {', '.join(PROTOCOLS)}")
    described = {"result": probe(result), "truth": probe(truth)}
    width, height = described["truth"].width, described["truth"].height
    rows, columns = content(width, height, config.size)
    whole, picture, apart = [], [], 0.0
    for index, (ours, real) in enumerate(_pairs(result, truth, config.pairing)):
        left = square(like_truth(ours.rgb, width, height, str(result)), config.size)
        right = square(real.rgb, config.size)
        whole.append(_measured(left, right))
        picture.append(whole[-1] if width == height else _measured(left[rows, columns], right[rows, columns]))
        apart = max(apart, abs(ours.pts_seconds - real.pts_seconds))
        progress("comparing frames", index + 1, described["truth"].frame_count)
    block = max(1, round(float(described["truth"].fps)))
    return {
        **_figures(np.array(whole), block),
        "picture": _figures(np.array(picture), block),
        "frames": len(whole),
        "largest_time_difference_seconds": apart,
        **_circumstances(described, config),
    }


def _measured(left: np.ndarray, right: np.ndarray) -> list[float]:
    return [metric(left, right) for metric in METRICS.values()]


def _pairs(result: Path, truth: Path, pairing: str) -> Iterator[tuple[Frame, Frame]]:
    ours, theirs = read_frames(result), read_frames(truth)
    if pairing == "time":
        yield from _by_time(ours, theirs)
        return
    for index, (left, right) in enumerate(zip_longest(ours, theirs)):
        if left is None or right is None:
            shorter, longer = (result, truth) if left is None else (truth, result)
            raise InputError(
                f"{shorter} ends after {index} frames but {longer} goes on; paired metrics need the same clip "
                "(for another frame rate: --set evaluate.pairing=time)"
            )
        yield left, right


def _by_time(ours: Iterator[Frame], theirs: Iterator[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """The frame of ours on screen at each of their times; a millisecond of slack covers rounded timestamps."""
    shown, coming = next(ours), next(ours, None)
    for right in theirs:
        while coming is not None and coming.pts_seconds <= right.pts_seconds + 0.001:
            shown, coming = coming, next(ours, None)
        yield shown, right


def _figures(values: Float[np.ndarray, "frames metrics"], block: int) -> dict[str, Any]:
    return {name: averages(values[:, column].tolist(), block) for column, name in enumerate(METRICS)}


def _circumstances(described: dict[str, VideoInfo], config: EvaluateConfig) -> dict[str, Any]:
    """Everything that moves the figures besides the pictures."""
    from importlib.metadata import version

    packages = ("numpy", "scikit-image", "opencv-contrib-python", "av")
    return {
        "protocol": config.protocol,
        "protocol_rules": PROTOCOLS[config.protocol],
        "size": config.size,
        "pairing": PAIRINGS[config.pairing],
        "definitions": DEFINITIONS,
        "inputs": {role: sha256_file(info.path) for role, info in described.items()},
        "files": {role: _file(info) for role, info in described.items()},
        "versions": {"emosh": VERSION, **{name: version(name) for name in packages}},
    }


def _file(info: VideoInfo) -> dict[str, Any]:
    return {
        "name": info.path.name,
        "width": info.width,
        "height": info.height,
        "fps": str(info.fps),
        "frames": info.frame_count,
        "duration_seconds": round(info.duration_seconds, 6),
        **read_encoding(info.path),
    }
