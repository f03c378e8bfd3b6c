"""The pixels that show a person, by MediaPipe's selfie segmentation (general model, 256 x 256).

It does not separate people, and it misses people who are small in the picture unless their box is given.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.detect.crops import Box, bounding_box, cut, grown
from stages.networks.matte import read_matte
from stages.networks.opened import Networks, is_too_small

MATTE_MARGIN = 0.2
"""Margin around the box, as a share of its longer side: the network was trained on people with some background."""
PERSON = 0.5
"""Least probability of a pixel that shows a person."""
REACH_M = 0.3
"""How far from a person's fitted body a pixel of theirs may be, for hair and clothes; metres at the body's depth."""
LARGEST_INPUT = 512
"""Longer side of the picture for the network, px. It reads 256 x 256 pixels; a larger picture only costs time."""


def person_matte(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box | None = None, networks: Networks | None = None
) -> Float[np.ndarray, "height width"]:
    """Probability of a person in every pixel, 0..1, float32; 0 outside the enlarged `box` (x0, y0, x1, y1 px).

    Without `networks` the network is loaded for this picture only.
    """
    import cv2

    height, width = rgb.shape[:2]
    matte = np.zeros((height, width), np.float32)
    crop = cut(rgb, np.array([0, 0, width, height]) if box is None else grown(box, MATTE_MARGIN), LARGEST_INPUT)
    if is_too_small(crop.rgb):
        return matte
    x0, y0, x1, y1 = crop.box
    mask = read_matte(crop.rgb, networks or Networks())
    matte[y0:y1, x0:x1] = cv2.resize(mask, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_LINEAR)
    return np.clip(matte, 0, 1)


def matte_near(
    rgb: UInt8[np.ndarray, "height width 3"],
    fitted: Bool[np.ndarray, "height width"],
    metre_px: float,
    networks: Networks | None = None,
) -> Bool[np.ndarray, "height width"]:
    """The pixels that the network takes for a person, at most REACH_M from those of one fitted body; others are left
    out. There must be some of the body; `metre_px` is the length of one metre at it, in pixels."""
    from stages.raster.masks import dilate

    box = bounding_box(np.argwhere(fitted)[:, ::-1].astype(float))
    return (person_matte(rgb, box, networks) > PERSON) & dilate(fitted, REACH_M * metre_px)


def matte_at(matte: Float[np.ndarray, "height width"], rows: Float[np.ndarray, "points 2"]) -> float:
    """Mean of the matte at the points inside the picture; 0 when no point is inside."""
    height, width = matte.shape
    x, y = np.floor(rows[:, 0]).astype(int), np.floor(rows[:, 1]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return float(matte[y[inside], x[inside]].mean()) if inside.any() else 0.0
