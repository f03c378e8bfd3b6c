"""Colour over time (the paper's Fig. 8): how far a long result drifts away from its first frame and from the truth.

Each frame is shrunk to at most 128 pixels, and its mean CIELAB colour (D65) is taken. Movement changes the mean colour
too. So with a truth, the distance from the truth's colour at the same time is the figure to trust.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stages.evaluate.averages import averages
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.pairs import pairs
from stages.evaluate.square import crop_back
from stages.progress import Progress, silent
from stages.video.source import probe, read_frames

LONGER_SIDE = 128
DEFINITION = (
    "CIE76 distance of a frame's mean CIELAB colour from that of the first frame (from_start) or of the truth at the "
    "same time (from_truth); per_second: its least-squares slope; late_minus_early: mean of the last tenth minus mean "
    "of the first tenth"
)


def colour_over_time(
    result: Path, truth: Path | None = None, config: EvaluateConfig = EvaluateConfig(), progress: Progress = silent
) -> dict[str, Any]:
    """Per frame: time, lightness, chroma, contrast, and distance from the first frame and from the truth.

    `config` says how frames are paired. With fit "pad" the result's black bars are left out; otherwise the whole
    picture counts.
    """
    info = probe(result if truth is None else truth)
    seconds, ours, theirs = [], [], []
    if truth is None:
        for frame in read_frames(result):
            seconds.append(frame.pts_seconds)
            ours.append(mean_colour(frame.rgb))
            progress("colour over time", len(ours), info.frame_count)
    else:
        for left, right in pairs(result, truth, config.pairing, config.stride, config.lead_seconds):
            seconds.append(right.pts_seconds)
            ours.append(mean_colour(_without_padding(left.rgb, right.rgb, config)))
            theirs.append(mean_colour(right.rgb))
            progress("colour over time", len(ours), info.frame_count)
    return {
        "definition": DEFINITION,
        "seconds": [round(value, 6) for value in seconds],
        **colour_figures(np.array(seconds), np.array(ours), np.array(theirs) if theirs else None, float(info.fps)),
    }


def _without_padding(result: np.ndarray, truth: np.ndarray, config: EvaluateConfig) -> np.ndarray:
    """The part of the result that shows the truth: black bars must not count as drift."""
    return crop_back(result, truth.shape[1], truth.shape[0]) if config.fit == "pad" else result


def mean_colour(rgb: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "4"]:
    """Mean L, a, b, and the standard deviation of L (contrast)."""
    import cv2
    from skimage.color import rgb2lab

    scale = LONGER_SIDE / max(rgb.shape[:2])
    if scale < 1:
        size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    lab = rgb2lab(rgb)
    return np.array([*lab.mean((0, 1)), lab[..., 0].std()])


def colour_figures(
    seconds: Float[np.ndarray, "frames"],
    ours: Float[np.ndarray, "frames 4"],
    theirs: Float[np.ndarray, "frames 4"] | None,
    fps: float,
) -> dict[str, Any]:
    """The section `colour`: each curve per frame with its averages; the distances also have a slope."""
    block = max(1, round(fps))
    found = {
        "lightness": averages(ours[:, 0].tolist(), block),
        "chroma": averages(np.linalg.norm(ours[:, 1:3], axis=1).tolist(), block),
        "contrast": averages(ours[:, 3].tolist(), block),
        "from_start": _drift(seconds, np.linalg.norm(ours[:, :3] - ours[0, :3], axis=1), block),
    }
    if theirs is not None:
        found["from_truth"] = _drift(seconds, np.linalg.norm(ours[:, :3] - theirs[:, :3], axis=1), block)
    return found


def _drift(seconds: np.ndarray, distance: np.ndarray, block: int) -> dict[str, Any]:
    return {**averages(distance.tolist(), block), **trend(seconds, distance)}


def trend(seconds: Float[np.ndarray, "frames"], values: Float[np.ndarray, "frames"]) -> dict[str, float | None]:
    """Slope per second, and mean of the last tenth minus mean of the first tenth; None for fewer than three frames."""
    if len(values) < 3 or seconds[-1] <= seconds[0]:
        return {"per_second": None, "late_minus_early": None}
    centred = seconds - seconds.mean()
    tenth = max(1, len(values) // 10)
    return {
        "per_second": float((centred * (values - values.mean())).sum() / (centred**2).sum()),
        "late_minus_early": float(values[-tenth:].mean() - values[:tenth].mean()),
    }
