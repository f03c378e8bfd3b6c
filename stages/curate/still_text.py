"""Subtitles and watermarks over a clip: how many letters in a row stay in place while the picture changes.

No text is read and no network is needed. Letters are shapes with the proportions of a letter and even brightness, of
similar height, on one line. If the camera never moves, text in the scene counts too. The method was chosen here;
`benchmarks.curate_text` shows what it finds and misses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8

SIDE = 480
"""Frames are shrunk until their shorter side has this many pixels."""
EVERY = 8
"""Every eighth frame is used."""
STROKES = (9, 25)
"""Kernel sizes in pixels: strokes thinner than the kernel stand out from their surroundings."""
CONTRAST, UNSTEADY = 12.0, 0.15
"""Least contrast to the surroundings (of 255), and largest standard deviation over time as a share of the contrast."""


@dataclass
class StillText:
    """Sums over the frames so far; `letters` gives the count."""

    count: int = 0
    sampled: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(()))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def add_frame(self, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
        """Add the clip's next frame; every EVERY-th frame is used."""
        import cv2

        self.count += 1
        if (self.count - 1) % EVERY:
            return
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, SIDE / min(grey.shape))
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        self.sampled += 1
        self.total = self.total + small
        self.squares = self.squares + small * small

    def letters(self) -> int:
        """Number of letters in the longest row. At least one frame must have been added."""
        mean = self.total / self.sampled
        spread = np.sqrt(np.maximum(self.squares / self.sampled - mean * mean, 0))
        return max(_longest_row(_shapes(side * mean, spread, width)) for side in (1, -1) for width in STROKES)


def _shapes(
    picture: Float[np.ndarray, "height width"], spread: Float[np.ndarray, "height width"], stroke: int
) -> Float[np.ndarray, "shapes 4"]:
    """Middle x, lower edge, height and contrast of each shape that may be a letter, sorted by x.

    Such a shape is brighter than its surroundings, upright, neither a dot nor a block, evenly bright, and steady over
    time. `spread` is the standard deviation of each pixel over time.
    """
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
    likely[0] = False  # component 0 is the background
    found = np.stack([left + width / 2, top + height, height, contrast], 1)[likely]
    return found[np.argsort(found[:, 0], kind="stable")]


def _longest_row(shapes: Float[np.ndarray, "shapes 4"]) -> int:
    """Length of the longest row of shapes, each near the next, on one line, of similar height and contrast."""
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
