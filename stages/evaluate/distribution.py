"""FID and FVD: the features of all clips of a set are collected and compared at once.

FID needs many different pictures: one clip has about a hundred near-copies for 2048 dimensions. So FID and FVD are
computed over all clips of a set together, never per clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stages.counted import counted
from stages.evaluate.frechet import frechet_distance

Rgb = UInt8[np.ndarray, "height width 3"]
Extract = Callable[[list[Rgb]], Float[np.ndarray, "rows features"]]
BATCH = 16


class FeatureCollector:
    """Features of one video, collected frame by frame: one row per frame for FID, one row per whole window for FVD."""

    def __init__(self, pictures: Extract | None, windows: Extract | None, window_frames: int) -> None:
        self._pictures, self._windows, self._window_frames = pictures, windows, window_frames
        self._batch: list[Rgb] = []
        self._window: list[Rgb] = []
        self._rows: dict[str, list[np.ndarray]] = {"fid": [], "fvd": []}

    def add(self, picture: Rgb) -> None:
        """Add the next frame, prepared as the protocol says."""
        if self._pictures is not None:
            self._batch.append(picture)
            if len(self._batch) == BATCH:
                self._flush()
        if self._windows is not None:
            self._window.append(picture)
            if len(self._window) == self._window_frames:
                self._rows["fvd"].append(self._windows(self._window))
                self._window = []

    def _flush(self) -> None:
        if self._pictures is not None and self._batch:
            self._rows["fid"].append(self._pictures(self._batch))
            self._batch = []

    def rows(self) -> dict[str, Float[np.ndarray, "rows features"]]:
        """Rows of "fid" and "fvd", where there are any; frames after the last whole window are left out."""
        self._flush()
        return {name: np.concatenate(rows).astype(np.float32) for name, rows in self._rows.items() if rows}


def frechet_section(
    figure: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], least_clips: int
) -> tuple[dict[str, Any] | None, str]:
    """The section of "fid" or "fvd" over all clips, or None and the reason why there is none."""
    clips = len(ours)
    if clips == 0:
        return (
            None,
            "no clip is long enough: a window is evaluate.fvd_frames frames"
            if figure == "fvd"
            else "there is no truth to compare with",
        )
    if figure == "fvd" and clips < least_clips:
        return None, (
            f"{clips} clips are too few for FVD, which then measures the number of clips, not quality; give at least "
            f"{least_clips} (evaluate.fvd_least_clips)"
        )
    a, b = np.concatenate(ours), np.concatenate(theirs)
    if min(len(a), len(b)) < 2:
        return None, "one row of features has no covariance"
    found: dict[str, Any] = {"value": frechet_distance(a, b), "clips": clips, "rows": [len(a), len(b)],
                             "features": a.shape[1]}  # fmt: skip
    if min(len(a), len(b)) <= a.shape[1]:
        found["note"] = (
            f"{counted(min(len(a), len(b)), 'row')} of {counted(a.shape[1], 'feature')}: biased upwards, "
            "compare only with equally many rows"
        )
    return found, ""
