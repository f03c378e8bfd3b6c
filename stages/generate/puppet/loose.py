"""Thin things before a plain background that belong to a person and are not in the matte: glasses in a hand, hair.

A segmentation network misses them, and they would stay in the air when the person moves. Before a plain background (a
wall, a studio) they stand out: the background is a smooth function of the place, and they are not. Before any other
background nothing is found.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.raster.masks import dilate, keep_touching

FITTED_SIDE = 256
PLAIN, PLAIN_SHARE = 14.0, 0.7
"""A background is plain if this share of it is within this distance (RGB, 0 to 255) of a smooth function."""
OTHER, LEAST_OTHER = 4.0, 10.0
"""A pixel that is lighter or darker than its surroundings and the smooth background by this many times the background's
median distance from smooth, but not less than the second, is another thing."""
THIN_CM = 1.0
"""Things of up to this width are found. A shadow on a wall is broader."""
JOIN_CM = 4.0
"""Pieces this near to each other or to the person hang together."""


def thin_things(
    rgb: UInt8[np.ndarray, "height width 3"], alpha: Float[np.ndarray, "height width"], centimetre_px: float
) -> Bool[np.ndarray, "height width"]:
    """Mask of the thin pieces outside the matte that hang together with the person.

    alpha: the person's matte. centimetre_px: a centimetre at the person, in pixels.
    """
    person = alpha > 0.02
    behind = plain_background(rgb, dilate(person, centimetre_px))
    if behind is None or not person.any():
        return np.zeros(alpha.shape, bool)
    away = np.abs(rgb.astype(np.float32) - behind).max(2)
    light = np.where(person, behind.mean(2), rgb.mean(2)).astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(THIN_CM * centimetre_px / 2)) + 1,) * 2)
    line = np.maximum(
        cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, disc), cv2.morphologyEx(light, cv2.MORPH_TOPHAT, disc)
    )
    other = max(LEAST_OTHER, OTHER * float(np.median(away[~person])))
    pieces = (away > other) & (line > other) & ~person
    joined = keep_touching(dilate(pieces, JOIN_CM * centimetre_px / 2) | person, person)
    return pieces & joined


def plain_background(
    rgb: UInt8[np.ndarray, "height width 3"], person: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"] | None:
    """A cubic function of the place, fitted to what is outside `person` (least squares, reweighted); None if the
    background is not plain."""
    height, width = person.shape
    scale = min(1.0, FITTED_SIDE / max(height, width))
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    outside = cv2.resize(person.astype(np.float32), size, interpolation=cv2.INTER_AREA) < 0.01
    if outside.sum() < 400:
        return None
    terms = _terms(size)
    known, colours = terms[outside.ravel()], small[outside]
    weight, coefficients = np.ones(len(known)), np.zeros((terms.shape[1], 3))
    for _ in range(12):
        system = known * weight[:, None]
        coefficients = np.linalg.solve(system.T @ known + 1e-3 * np.eye(known.shape[1]), system.T @ colours)
        weight = 1.0 / (1.0 + (_distance(colours, known, coefficients) / PLAIN) ** 2) ** 2
    if (_distance(colours, known, coefficients) < PLAIN).mean() < PLAIN_SHARE:
        return None
    smooth = (terms @ coefficients).reshape(size[1], size[0], 3).clip(0, 255).astype(np.float32)
    return cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)


def _distance(colours: np.ndarray, terms: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return np.linalg.norm(colours - terms @ coefficients, axis=1)


def _terms(size: tuple[int, int]) -> Float[np.ndarray, "pixels terms"]:
    """All products of x and y up to the third degree, from -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, size[1]), np.linspace(-1, 1, size[0]), indexing="ij")
    return np.stack([(x**a * y**b).ravel() for a in range(4) for b in range(4 - a)], 1)
