"""Semantic colours: the colour of a vertex is its position in the canonical T-pose, lightly shaded."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.body.model import Body

AMBIENT, DIFFUSE = 0.32, 0.52
INNER_MOUTH = 0.5
"""Factor on the colours inside the mouth, so that an open mouth is visible."""
LIGHT = np.array([0.0, -0.35, -0.94], np.float32)
"""Direction towards the light in the OpenCV camera frame: at the camera, slightly above it."""


def semantic_rgb(body: Body) -> Float[np.ndarray, "vertices 3"]:
    """Canonical coordinates of the mean template as RGB in [0, 1]: x (to the person's left), y (up), z (forward).

    Coordinates are scaled to the bounding box of the mean template, so the colour of a vertex does not depend on the
    person's shape (paper 3.3).
    """
    low, high = body.v_template.min(0), body.v_template.max(0)
    rgb = ((body.v_template - low) / (high - low)).astype(np.float32)
    inside = body.sets["mouth_cavity"] | body.sets["tongue"] | body.sets["teeth"]
    return np.where(inside[:, None], INNER_MOUTH * rgb, rgb)


def shade(
    rgb: Float[np.ndarray, "vertices 3"], normals: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Colours under ambient light and one diffuse light; `normals` have unit length, in the camera frame."""
    return rgb * (AMBIENT + DIFFUSE * np.maximum(normals @ LIGHT, 0))[:, None]
