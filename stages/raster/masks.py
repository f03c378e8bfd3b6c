"""Masks as regions of pixels: grown, shrunk, and cut to the regions that touch another mask."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool


def keep_touching(mask: np.ndarray, seeds: np.ndarray) -> Bool[np.ndarray, "height width"]:
    """The connected components of `mask` that share a pixel with `seeds`."""
    count, found = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    labels: np.ndarray = np.array(found)
    if count <= 1 or not (mask & seeds).any():
        return mask
    kept = np.zeros(count, bool)
    kept[np.unique(labels[seeds & mask])] = True
    kept[0] = False
    return kept[labels]


def erode(mask: np.ndarray, radius: float) -> Bool[np.ndarray, "height width"]:
    """Pixels more than `radius` inside the mask; the border of the picture is not an edge."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] > radius


def without_thin(mask: np.ndarray, radius: float) -> Bool[np.ndarray, "height width"]:
    """The mask without what is thinner than twice `radius` (morphological opening)."""
    return dilate(erode(mask, radius), radius)


def dilate(mask: np.ndarray, radius: float) -> Bool[np.ndarray, "height width"]:
    """Pixels at most `radius` from the mask."""
    if not mask.any():
        return mask.astype(bool)
    return cv2.distanceTransform((~mask.astype(bool)).astype(np.uint8), cv2.DIST_L2, 5) <= radius
