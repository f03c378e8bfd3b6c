"""Where people are in a picture, coarsely: what the camera's movement must not be measured on. Pixels of the source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Capsule = tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"], float]
"""Two ends and the radius, px."""
TRUNK_RADIUS, LEG_RADIUS, ARM_RADIUS, HEAD_RADIUS = 0.45, 0.35, 0.3, 0.5
"""Radii against the width of the shoulders, clothes and hair included."""
TORSO_PER_SHOULDERS = 0.7
"""Width of the shoulders against the length of the trunk, for people seen from the side."""
TRUNK = ((11, 12), (11, 23), (12, 24), (23, 24), (11, 24), (12, 23))
LEGS = ((23, 25), (25, 27), (27, 31), (24, 26), (26, 28), (28, 32))
ARMS = ((11, 13), (13, 15), (15, 19), (12, 14), (14, 16), (16, 20))
SHOULDERS, HIPS = (11, 12), (23, 24)
FOREHEAD, CHIN, HAIR_UP, FACE_RADIUS = 10, 152, 0.28, 0.8
"""Rows of the face, the middle of the head on the way from forehead to chin, and its radius against that way."""


@dataclass(frozen=True)
class Covered:
    """Boxes x0, y0, x1, y1 and capsules that hold people."""

    boxes: tuple[Float[np.ndarray, "4"], ...] = ()
    capsules: tuple[Capsule, ...] = ()


def person_capsules(
    pose: Float[np.ndarray, "33 columns"], face: Float[np.ndarray, "478 columns"] | None = None
) -> tuple[Capsule, ...]:
    """The capsules of one person from MediaPipe's 33 points (x, y first), and the face's 478 where it is seen, px."""
    at = np.asarray(pose[:, :2], float)
    shoulders, hips = at[list(SHOULDERS)], at[list(HIPS)]
    trunk = float(np.linalg.norm(shoulders.mean(0) - hips.mean(0)))
    size = max(float(np.linalg.norm(shoulders[0] - shoulders[1])), TORSO_PER_SHOULDERS * trunk)
    parts = [(pairs, radius * size)
             for pairs, radius in ((TRUNK, TRUNK_RADIUS), (LEGS, LEG_RADIUS), (ARMS, ARM_RADIUS))]  # fmt: skip
    found = [(at[a], at[b], radius) for pairs, radius in parts for a, b in pairs]
    head = at[:11].mean(0)
    if face is not None:
        top, chin = (np.asarray(face[row, :2], float) for row in (FOREHEAD, CHIN))
        middle, height = top + HAIR_UP * (chin - top), float(np.linalg.norm(chin - top))
        found.append((middle, middle, FACE_RADIUS * height))
    return (*found, (head, head, HEAD_RADIUS * size), (head, shoulders.mean(0), ARM_RADIUS * size))
