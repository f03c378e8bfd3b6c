"""Augment a reference photo: rotate, shift and crop it slightly, so that it is not always aligned with the clip."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import UInt8

from stages.encode.cache_config import CacheConfig


def augment(
    rgb: UInt8[np.ndarray, "height width 3"], config: CacheConfig, random: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture, randomly rotated and enlarged about its centre and shifted. Empty areas are black."""
    from PIL import Image

    picture = Image.fromarray(rgb)
    angle = math.radians(random.uniform(-1, 1) * config.reference_degrees)
    scale = 1 - random.uniform(0, config.reference_crop)
    shift = random.uniform(-1, 1, 2) * config.reference_shift * np.array(picture.size)
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    x, y = picture.width / 2, picture.height / 2
    inverse = (a, b, x - a * (x + shift[0]) - b * (y + shift[1]), -b, a, y + b * (x + shift[0]) - a * (y + shift[1]))
    return np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC))
