"""The pictures that protocol `emosh` compares: padded with black to a square, centred, at one size, in [0, 1].

After the paper's 0.B.4, which pads to each method's size, crops back and compares at one square size. The bars are
equal in both pictures and lift every figure, so `content` says where the picture without them lies.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.errors import InputError

Rgb = UInt8[np.ndarray, "_ _ 3"]
"""Two of them may have two sizes."""
SHAPE_TOLERANCE = 0.01
CUBIC_REACH = 2
"""Source pixels on either side that growing by cubic reads."""


def square(rgb: Rgb, size: int) -> Float[np.ndarray, "size size 3"]:
    """Pad to a square with black, centred, and resize; RGB in [0, 1]."""
    height, width = rgb.shape[:2]
    side = max(height, width)
    padded = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = rgb
    return resized(padded, size, size).astype(np.float32) / np.float32(255)


def content(width: int, height: int, size: int) -> tuple[slice, slice]:
    """Rows and columns of the square that hold picture alone; pixels blended with the bars are left out."""
    side, reach = max(width, height), 0 if size <= max(width, height) else CUBIC_REACH
    spans = []
    for length in (height, width):
        first = (side - length) // 2
        edges = (first + reach, first + length - reach) if length < side else (0, side)
        spans.append(slice(-(-edges[0] * size // side), edges[1] * size // side))
    return spans[0], spans[1]


def like_truth(result: Rgb, width: int, height: int, where: str) -> Rgb:
    """A result's frame at the truth's size: the repeated column or row of an even-sized file cut off, else resized.

    Raises InputError when its shape differs by more than 1 %: then it does not show the same picture.
    """
    rows, columns = result.shape[:2]
    if (columns, rows) == (width + width % 2, height + height % 2):
        return result[:height, :width]
    if abs(columns * height / (rows * width) - 1) > SHAPE_TOLERANCE:
        raise InputError(
            f"{where} is {columns}x{rows}, the truth {width}x{height}: they do not show the same picture; "
            "compare videos of one shape (for emosh generate: --framing ref with a frame of the truth)"
        )
    return resized(result, width, height)


def crop_back(result: Rgb, width: int, height: int) -> Rgb:
    """What of a result shows a truth of `width` x `height` that was padded, centred, to the result's shape (0.B.4)."""
    rows, columns = result.shape[:2]
    scale = min(columns / width, rows / height)
    inner = min(columns, max(1, round(width * scale))), min(rows, max(1, round(height * scale)))
    left, top = (columns - inner[0]) // 2, (rows - inner[1]) // 2
    return resized(result[top : top + inner[1], left : left + inner[0]], width, height)


def resized(rgb: Rgb, width: int, height: int) -> Rgb:
    """By area when shrinking, cubic when growing; the same array when nothing changes."""
    import cv2

    if rgb.shape[:2] == (height, width):
        return rgb
    kernel = cv2.INTER_AREA if rgb.shape[0] > height else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=kernel)
