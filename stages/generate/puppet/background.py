"""The background behind the person: the photo, filled in where the person covers it.

Where the person's outline stays where it is in the photo, the photo itself is the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.compiled import njit
from stages.generate.puppet.nearest import nearest_marked
from stages.generate.puppet.patches import fill_from_patches

MOTION_REDUCTION = 8
"""Motion of the outline is measured on a picture this many times smaller."""


@dataclass
class Backdrop:
    """The background at the size of the result."""

    photo: UInt8[np.ndarray, "height width 3"]
    plate: UInt8[np.ndarray, "height width 3"]
    """The photo with the person and a margin around them filled in."""
    alpha: Float[np.ndarray, "height width"]
    """Opacity of the person in the photo."""

    def background_for(self, opacity: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
        """The background for a person drawn with this opacity.

        The photo is used where the outline nearby has not moved. It keeps details that a matte does not contain: single
        hairs and the shadow. Where the outline moves, it fades to the filled background.
        """
        height, width = opacity.shape
        small = max(2, width // MOTION_REDUCTION), max(2, height // MOTION_REDUCTION)
        moved = cv2.resize(np.abs(opacity - self.alpha), small, interpolation=cv2.INTER_AREA)
        moved = cv2.resize(cv2.blur(cv2.blur(moved, (5, 5)), (5, 5)), (width, height), interpolation=cv2.INTER_LINEAR)
        keep = np.clip(1.0 - (moved - 0.015) / 0.04, 0.0, 1.0) * np.clip(1.0 - (self.alpha - 0.02) / 0.3, 0.0, 1.0)
        return mix(self.photo, self.plate, keep)


@njit(fastmath=True, nogil=True)
def mix(one, other, share):
    """share * one + (1 - share) * other, as uint8 (H, W, 3)."""
    out = np.empty_like(one)
    for y in range(one.shape[0]):
        for x in range(one.shape[1]):
            for k in range(3):
                value = share[y, x] * one[y, x, k] + (1.0 - share[y, x]) * other[y, x, k]
                out[y, x, k] = np.uint8(value + 0.5)
    return out


def fill_hole(
    rgb: UInt8[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "height width"],
    sources: Bool[np.ndarray, "height width"] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """The photo with `hole` filled; pixels outside the hole are unchanged.

    sources: pixels that may be copied into the hole, for example not those of other people; all without it, or where
    they are too few. A photo with next to nothing outside the hole gets its colours there, smoothed.
    """
    if not hole.any():
        return rgb.copy()
    if hole.all():
        return np.broadcast_to(rgb.reshape(-1, 3).mean(0), rgb.shape).astype(np.uint8)
    for usable in (sources, None):
        filled = fill_from_patches(rgb, hole, usable)
        if filled is not None:
            return filled
    _, rows, columns = nearest_marked(~hole)
    smooth = cv2.GaussianBlur(rgb[rows, columns], (0, 0), 0.03 * max(hole.shape))
    return np.where(hole[..., None], smooth, rgb)
