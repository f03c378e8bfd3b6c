"""The pictures that protocol `emosh` compares: centred on a black square, all of one size, RGB in [0, 1].

This follows the paper's 0.B.4, which pads to each method's size, crops back and compares at one square size. The black
bars are equal in both pictures and improve every figure. `content_area` says where the picture without them lies.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.errors import InputError

Rgb = UInt8[np.ndarray, "_ _ 3"]
"""Two pictures of this type may differ in size."""
SHAPE_TOLERANCE = 0.01
CUBIC_REACH = 2
"""Source pixels on each side that cubic enlargement reads."""


def padded_square(rgb: Rgb, size: int) -> Float[np.ndarray, "size size 3"]:
    """Pad to a square with black, centred, and resize; RGB in [0, 1]."""
    height, width = rgb.shape[:2]
    side = max(height, width)
    padded = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = rgb
    return resized(padded, size, size).astype(np.float32) / np.float32(255)


def content_area(width: int, height: int, size: int) -> tuple[slice, slice]:
    """Rows and columns of the square that show only the picture; pixels blended with the bars are left out."""
    side, reach = max(width, height), 0 if size <= max(width, height) else CUBIC_REACH
    spans = []
    for length in (height, width):
        first = (side - length) // 2
        edges = (first + reach, first + length - reach) if length < side else (0, side)
        spans.append(slice(-(-edges[0] * size // side), edges[1] * size // side))
    return spans[0], spans[1]


def at_truth_size(result: Rgb, width: int, height: int, where: str) -> Rgb:
    """A result's frame at the truth's size: a repeated last column or row is cut off, any other frame is resized.

    A file with even sides repeats one column or row where the truth's side is odd.
    Raises InputError when the aspect ratios differ by more than 1 %: then the frames do not show the same picture.
    """
    rows, columns = result.shape[:2]
    if (columns, rows) == (width + width % 2, height + height % 2):
        return result[:height, :width]
    if abs(columns * height / (rows * width) - 1) > SHAPE_TOLERANCE:
        raise InputError(
            f"{where} is {columns}x{rows} but the truth is {width}x{height}: they cannot show the same picture; "
            "compare videos of one aspect ratio (for emosh generate: --framing ref with a frame of the truth)"
        )
    return resized(result, width, height)


def nearest_shape(width: int, height: int, sizes: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """The (width, height) of `sizes` whose aspect ratio is nearest."""
    return min(sizes, key=lambda size: abs(np.log(size[0] / size[1] * height / width)))


def padded_to(rgb: Rgb, width: int, height: int) -> Rgb:
    """The whole picture, centred on black, `width` x `height`: what `crop_back` undoes (0.B.4)."""
    rows, columns = rgb.shape[:2]
    scale = min(width / columns, height / rows)
    inner = min(width, max(1, round(columns * scale))), min(height, max(1, round(rows * scale)))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    padded = np.zeros((height, width, 3), np.uint8)
    padded[top : top + inner[1], left : left + inner[0]] = resized(rgb, *inner)
    return padded


def crop_back(result: Rgb, width: int, height: int) -> Rgb:
    """The part of a result that shows the truth, resized to `width` x `height`.

    The method was given the truth padded to the result's shape, centred (0.B.4).
    """
    rows, columns = result.shape[:2]
    scale = min(columns / width, rows / height)
    inner = min(columns, max(1, round(width * scale))), min(rows, max(1, round(height * scale)))
    left, top = (columns - inner[0]) // 2, (rows - inner[1]) // 2
    return resized(result[top : top + inner[1], left : left + inner[0]], width, height)


def resized(rgb: Rgb, width: int, height: int) -> Rgb:
    """The picture resized: by area to shrink, cubic to enlarge; the same array if the size does not change."""
    import cv2

    if rgb.shape[:2] == (height, width):
        return rgb
    kernel = cv2.INTER_AREA if rgb.shape[0] > height else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(rgb), (width, height), interpolation=kernel)
