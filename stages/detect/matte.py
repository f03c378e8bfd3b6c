"""Which pixels are a person, by MediaPipe's selfie segmentation (general model, 256 x 256).

It says person, not which person, and loses people who are small in the picture: give it their box.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.detect.crops import Box, cut, grown
from stages.detect.networks import Networks, is_too_small

MATTE_MARGIN = 0.2
"""The network was trained on people with some room around them."""
LARGEST_INPUT = 512
"""It reads 256 x 256 pixels; more only costs time."""


def person_matte(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box | None = None, networks: Networks | None = None
) -> Float[np.ndarray, "height width"]:
    """Share of person in every pixel, 0..1 float32; zero outside `box` (x0, y0, x1, y1 px; grown a little first).

    Without `networks` the network is loaded for this one picture.
    """
    if networks is None:
        with Networks() as own:
            return person_matte(rgb, box, own)
    import cv2

    height, width = rgb.shape[:2]
    matte = np.zeros((height, width), np.float32)
    crop = cut(rgb, np.array([0, 0, width, height]) if box is None else grown(box, MATTE_MARGIN), LARGEST_INPUT)
    if is_too_small(crop.rgb):
        return matte
    x0, y0, x1, y1 = crop.box
    mask = networks.run("matte", crop.rgb).segmentation_mask
    matte[y0:y1, x0:x1] = cv2.resize(mask, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_LINEAR)
    return np.clip(matte, 0, 1)


def matte_at(matte: Float[np.ndarray, "height width"], rows: Float[np.ndarray, "points 2"]) -> float:
    """Mean of the matte at those points that lie inside the picture; 0 when none does."""
    height, width = matte.shape
    x, y = np.floor(rows[:, 0]).astype(int), np.floor(rows[:, 1]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return float(matte[y[inside], x[inside]].mean()) if inside.any() else 0.0
