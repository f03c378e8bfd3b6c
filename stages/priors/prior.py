"""Results of other trackers in one form: joint rotations per row, NaN where unknown, one row per frame of a clip.

Joint rotations are local ones of SMPL-X (flat hands). The orientations of the root and of the wrists are in the OpenCV
camera frame (x right, y down, z forward). Knows nothing of files (readers.py) nor of how a fit uses a prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES
from stages.body.rotations import matrix_from_rotvec
from stages.counted import counted
from stages.detect.observations import Observations
from stages.errors import InputError

BODY_JOINTS = slice(0, 21)
"""Rows of SMPL's body without hands among the 54 joints after the root."""
JAW, EYES = JOINT_NAMES.index("jaw") - 1, slice(22, 24)
EXPRESSIONS = 50
HANDS = {"left": slice(24, 39), "right": slice(39, 54)}


@dataclass(frozen=True)
class Prior:
    """Rows of another tracker. Every value may be NaN, which means unknown."""

    format: str
    root: Float[np.ndarray, "rows 3 3"]
    """Orientation of the pelvis in the camera."""
    joints: Float[np.ndarray, "rows 54 3"]
    """Local axis-angles of smplx's joints 1 to 54."""
    wrists: Float[np.ndarray, "rows 2 3 3"]
    """Orientation of the left and right wrist in the camera, from hand trackers that do not estimate arms."""
    eyelids: Float[np.ndarray, "rows 2"]
    """Left and right eyelid, from 0 (open) to 1 (shut)."""
    expression: Float[np.ndarray, "rows 50"]
    """FLAME's first 50 expression coefficients. They have a meaning on the ehm body only."""
    frame_index: Int[np.ndarray, "rows"] | None = None
    """The source frame of each row, if the file has it."""
    fps: float | None = None
    """Rows per second, if the file has it."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.root)

    @property
    def per_row(self) -> dict[str, np.ndarray]:
        """The arrays with one row per frame, by field name."""
        return {name: getattr(self, name) for name in ("root", "joints", "wrists", "eyelids", "expression")}

    def select(self, rows: slice) -> Prior:
        """Some of the rows."""
        index = None if self.frame_index is None else self.frame_index[rows]
        return replace(self, **{name: values[rows] for name, values in self.per_row.items()}, frame_index=index)


def empty_prior(format: str, rows: int, frame_index: np.ndarray | None = None, fps: float | None = None) -> Prior:
    """A prior of NaN, to be filled."""
    return Prior(
        format, np.full((rows, 3, 3), np.nan), np.full((rows, 54, 3), np.nan), np.full((rows, 2, 3, 3), np.nan),
        np.full((rows, 2), np.nan), np.full((rows, EXPRESSIONS), np.nan), frame_index, fps,
    )  # fmt: skip


def align_to_clip(prior: Prior, observations: Observations, name: str) -> Prior:
    """A prior with one row per frame of the clip. Rows are matched by frame number if the file has numbers, else one to
    one if it has as many rows as the clip has frames, else by time (the nearest row, at most half a row away).

    Raises InputError where none of the three is possible.
    """
    frames = len(observations)
    rows = _rows(prior, observations, name)
    known = (rows >= 0) & (rows < len(prior))
    if not known.any():
        raise InputError(f"{name} has no row for any frame of the clip; give a prior made from this clip")
    laid = empty_prior(prior.format, frames, np.arange(frames), prior.fps)
    for key, value in prior.per_row.items():
        laid.per_row[key][known] = value[rows[known]]
    return laid


def _rows(prior: Prior, observations: Observations, name: str) -> Int[np.ndarray, "frames"]:
    """The row of the prior for each frame of the clip, -1 for none."""
    frames = len(observations)
    if prior.frame_index is not None:
        place = {int(frame): row for row, frame in enumerate(prior.frame_index)}
        return np.array([place.get(int(frame), -1) for frame in observations.frame_index])
    if len(prior) == frames:
        return np.arange(frames)
    if prior.fps:
        return np.round(observations.pts_seconds * prior.fps).astype(int)
    raise InputError(
        f"{name} has {counted(len(prior), 'row')} and neither frame numbers nor a rate, but the clip has "
        f"{counted(frames, 'frame')}; "
        "give a prior made from this clip"
    )


def merge(priors: list[Prior]) -> Prior:
    """Several aligned priors as one. Where two priors have the same joint, the later one wins."""
    names = "+".join(dict.fromkeys(prior.format for prior in priors))
    both = empty_prior(names, len(priors[0]), priors[0].frame_index)
    for prior in priors:
        for key, value in prior.per_row.items():
            np.copyto(both.per_row[key], value, where=np.isfinite(value))
    return both


def share_known(prior: Prior) -> dict[str, float]:
    """Share of rows with a known value, per group of joints. The motion's provenance records it."""
    finite = np.all(np.isfinite(prior.joints), -1)
    groups = {
        "root": np.isfinite(prior.root).all((1, 2)),
        "body": finite[:, BODY_JOINTS].any(1),
        "jaw": finite[:, JAW],
        **{f"{side}_hand": finite[:, rows].any(1) for side, rows in HANDS.items()},
        "eyelids": np.isfinite(prior.eyelids).all(1),
        "expression": np.isfinite(prior.expression).any(1),
    }
    return {name: round(float(known.mean()), 3) for name, known in groups.items()}


def rotations(rotvecs: np.ndarray) -> Float[np.ndarray, "*batch 3 3"]:
    """Axis-angles to matrices; NaN stays NaN."""
    return matrix_from_rotvec(np.asarray(rotvecs, float))
