"""Independent measurements of whether Holistic's pose is a person, and the person who is followed.

MediaPipe gives furniture a visibility of 0.99 (clip d9, frames 52 to 58), so its own confidence is not enough.
Columns as in `observations.EVIDENCE`. They are measured here while the frame is in memory; `gates` decides.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stages.detect.look import Look, look_distance
from stages.detect.matte import matte_at
from stages.detect.observations import EVIDENCE

BODY_CHAINS = ((11, 13, 15), (12, 14, 16), (11, 12), (23, 24), (11, 23, 25, 27), (12, 24, 26, 28), (7, 8))
"""Chains of pose points along which the matte is sampled."""
VISIBLE = 0.5
"""Least visibility of both ends of a limb that is sampled."""
FACE_NOSE = 1
FACE_TOP, FACE_CHIN = 10, 152


@dataclass(frozen=True)
class Company:
    """The usual look of the person who is followed, and of everybody else in the shot."""

    own: Look
    others: tuple[Look, ...]

    def like_another(self, look: Look) -> float:
        """How much nearer a look is to another person's than to the own one; NaN where they cannot be compared."""
        others = [apart for other in self.others if np.isfinite(apart := look_distance(other, look))]
        return look_distance(self.own, look) - min(others) if others else np.nan


def evidence_of(
    matte: Float[np.ndarray, "height width"] | None,
    found: dict[str, Float[np.ndarray, "points 3"]],
    expected: tuple[Float[np.ndarray, "2"], float] | None,
    like_another: float,
) -> Float[np.ndarray, "4"]:
    """One row of `observations.EVIDENCE`, from the frame's matte, its landmarks, and the head's expected centre and
    height in px."""
    row = np.full(len(EVIDENCE), np.nan, np.float32)
    pose, face = found.get("pose"), found.get("face")
    if pose is None:
        return row
    if matte is not None:
        row[0] = matte_at(matte, limb_samples(pose))
    if face is not None:
        height = float(np.linalg.norm(face[FACE_TOP, :2] - face[FACE_CHIN, :2]))
        row[1] = np.linalg.norm(face[FACE_NOSE, :2] - pose[0, :2]) / max(height, 1e-6)
    if expected is not None:
        centre, size = expected
        row[2] = np.linalg.norm(pose[:11, :2].mean(0) - centre) / max(size, 1e-6)
    row[3] = like_another
    return row


def limb_samples(pose: Float[np.ndarray, "33 3"]) -> Float[np.ndarray, "samples 2"]:
    """Points along the limbs whose ends are visible; the shoulder points when no limb is."""
    rows = []
    for chain in BODY_CHAINS:
        for a, b in itertools.pairwise(chain):
            if min(pose[a, 2], pose[b, 2]) >= VISIBLE:
                rows += [(1 - t) * pose[a, :2] + t * pose[b, :2] for t in (0.2, 0.5, 0.8)]
    return np.array(rows) if rows else pose[[11, 12], :2]
