"""Text and watermarks drawn over a clip: how many letters stand in a row and stay, while the picture goes on.

Nothing is read, and no network is needed: what counts is shapes of a letter's proportions and one brightness, of like
height, on one line. Text that belongs to the scene counts too where the camera never moves. Chosen here; what it finds
and misses: `benchmarks.curate_text`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

SIDE = 480
"""The shorter side that frames are made small to."""
EVERY = 8
"""One frame of so many is looked at."""
STROKES = (9, 25)
"""Strokes thinner than so many pixels stand out from what is around them."""
CONTRAST, UNSTEADY = 12.0, 0.15
"""Least difference from what is around, of 255, and most temporal deviation of the pixels, as a share of that."""


@dataclass
class StillText:
    """Frames so far, added up."""

    count: int = 0
    looked: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(()))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def see(self, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
        """The clip's next frame."""
        import cv2

        self.count += 1
        if (self.count - 1) % EVERY:
            return
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, SIDE / min(grey.shape))
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        self.looked += 1
        self.total = self.total + small
        self.squares = self.squares + small * small

    def letters(self) -> int:
        """How many there are in the longest row. Needs a frame."""
        mean = self.total / self.looked
        spread = np.sqrt(np.maximum(self.squares / self.looked - mean * mean, 0))
        return max(_longest_row(_shapes(side * mean, spread, width)) for side in (1, -1) for width in STROKES)


def _shapes(
    picture: Float[np.ndarray, "height width"], spread: Float[np.ndarray, "height width"], stroke: int
) -> Float[np.ndarray, "shapes 4"]:
    """Middle x, lower edge, height and contrast, in order of x, of what is brighter than its surroundings and might be
    a letter: upright, neither a dot nor a block, of one brightness and steady."""
    import cv2

    above = cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, np.ones((stroke, stroke)))
    mask = (above > CONTRAST) & (above > 0.5 * cv2.dilate(above, np.ones((15, 15))))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    left, top, width, height, area = boxes.T.astype(float)

    def averages(values: np.ndarray) -> np.ndarray:
        return np.bincount(labels.ravel(), values.ravel(), count) / area

    contrast = averages(above)
    uneven = np.sqrt(np.maximum(averages(above * above) - contrast**2, 0))
    filled = area / (width * height)
    likely = (height >= 5) & (height <= 80) & (width >= 0.12 * height) & (width <= 1.6 * height) & (filled > 0.15)
    likely &= (filled < 0.72) | (width < 0.45 * height)
    likely &= (uneven < 0.4 * contrast) & (averages(spread) < UNSTEADY * contrast)
    likely[0] = False  # what is not marked
    found = np.stack([left + width / 2, top + height, height, contrast], 1)[likely]
    return found[np.argsort(found[:, 0], kind="stable")]


def _longest_row(shapes: Float[np.ndarray, "shapes 4"]) -> int:
    """Most shapes of which each is the next one's neighbour: near it, on its line, of like height and contrast."""
    x, base, height, contrast = shapes.T
    longest = np.ones(len(shapes), int)
    for at in range(1, len(shapes)):
        taller = np.maximum(height[:at], height[at])
        apart = x[at] - x[:at]
        near = (apart > 0.2 * height[at]) & (apart < 2 * taller) & (abs(base[at] - base[:at]) < 0.15 * taller + 1)
        near &= taller < 1.6 * np.minimum(height[:at], height[at])
        near &= abs(contrast[at] - contrast[:at]) < 0.2 * np.maximum(contrast[at], contrast[:at])
        longest[at] += max(longest[:at][near], default=0)
    return int(longest.max(initial=0))
