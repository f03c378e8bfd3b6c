"""Every other tracker's opinion in one form: joint rotations per row, NaN where it has none, laid over a clip.

Rotations are SMPL-X's local ones (flat hands), the root's and the wrists' own orientations those in the OpenCV camera
(x right, y down, z forward). Knows nothing of files (readers.py) nor of how a fit uses it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES
from stages.body.rotations import matrix_from_rotvec
from stages.detect.observations import Observations
from stages.errors import InputError

BODY_JOINTS = slice(0, 21)
"""Of the 54 joints behind the root: SMPL's body without hands."""
JAW, EYES = JOINT_NAMES.index("jaw") - 1, slice(22, 24)
EXPRESSIONS = 50
HANDS = {"left": slice(24, 39), "right": slice(39, 54)}


@dataclass(frozen=True)
class Prior:
    """Rows of another tracker. Everything may be NaN."""

    format: str
    root: Float[np.ndarray, "rows 3 3"]
    """Orientation of the pelvis in the camera."""
    joints: Float[np.ndarray, "rows 54 3"]
    """Local axis-angles of smplx's joints 1 to 54."""
    wrists: Float[np.ndarray, "rows 2 3 3"]
    """Left and right wrist in the camera, for hand trackers that know no arm."""
    eyelids: Float[np.ndarray, "rows 2"]
    """Left and right, 0 open to 1 shut."""
    expression: Float[np.ndarray, "rows 50"]
    """FLAME's first 50 coefficients; they mean something on the ehm body only."""
    frame_index: Int[np.ndarray, "rows"] | None = None
    """The source frame of each row, where the file says it."""
    fps: float | None = None
    """Rows a second, where the file says it."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.root)

    @property
    def per_row(self) -> dict[str, np.ndarray]:
        """The arrays that have a row each."""
        return {name: getattr(self, name) for name in ("root", "joints", "wrists", "eyelids", "expression")}


def blank(format: str, rows: int, frame_index: np.ndarray | None = None, fps: float | None = None) -> Prior:
    """A prior without any opinion, to be filled."""
    return Prior(
        format, np.full((rows, 3, 3), np.nan), np.full((rows, 54, 3), np.nan), np.full((rows, 2, 3, 3), np.nan),
        np.full((rows, 2), np.nan), np.full((rows, EXPRESSIONS), np.nan), frame_index, fps,
    )  # fmt: skip


def aligned(prior: Prior, observations: Observations, name: str) -> Prior:
    """One row per frame of the clip: by frame number if the file has them, by count if it has as many rows, else by
    time (nearest row in rotations, never across more than one row's duration).

    Raises InputError where none of the three is possible.
    """
    frames = len(observations)
    rows = _rows(prior, observations, name)
    known = (rows >= 0) & (rows < len(prior))
    if not known.any():
        raise InputError(f"{name} has no row for any frame of the clip; is it of another clip?")
    laid = blank(prior.format, frames, np.arange(frames), prior.fps)
    for key, value in prior.per_row.items():
        laid.per_row[key][known] = value[rows[known]]
    return laid


def _rows(prior: Prior, observations: Observations, name: str) -> Int[np.ndarray, "frames"]:
    """For each frame of the clip the row that speaks of it, -1 for none."""
    frames = len(observations)
    if prior.frame_index is not None:
        place = {int(frame): row for row, frame in enumerate(prior.frame_index)}
        return np.array([place.get(int(frame), -1) for frame in observations.frame_index])
    if len(prior) == frames:
        return np.arange(frames)
    if prior.fps:
        return np.round(observations.pts_seconds * prior.fps).astype(int)
    raise InputError(
        f"{name} has {len(prior)} rows and neither frame numbers nor a rate, but the clip has {frames} frames; "
        "give a prior made from this very clip"
    )


def merged(priors: list[Prior]) -> Prior:
    """Several aligned priors as one: where two speak of the same joint, the later is believed."""
    names = "+".join(dict.fromkeys(prior.format for prior in priors))
    both = blank(names, len(priors[0]), priors[0].frame_index)
    for prior in priors:
        for key, value in prior.per_row.items():
            np.copyto(both.per_row[key], value, where=np.isfinite(value))
    return both


def share_known(prior: Prior) -> dict[str, float]:
    """Per group of joints, the share of rows with an opinion: what the motion's provenance records."""
    finite = np.isfinite(prior.joints).all(-1)
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
