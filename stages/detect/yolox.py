"""People's boxes by YOLOX-l, as DWPose ships it (IDEA-Research/DWPose, onnx branch, annotator/dwpose/onnxdet.py).

Letterboxed to 640x640 on grey at the picture's top left, BGR, 0..255; cells of strides 8, 16 and 32; class 0 is person.
Boxes are x0, y0, x1, y1 in pixels of the picture that was given.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.detect.onnx_network import BOX_SIDE, OnnxNetwork

STRIDES = (8, 16, 32)
GREY = 114
SURE = 0.3
"""Objectness times class below which a box is dropped."""
SAME = 0.45
"""Overlap above which the less sure of two boxes is dropped."""


def people_boxes(rgb: UInt8[np.ndarray, "height width 3"], network: OnnxNetwork) -> Float[np.ndarray, "people 4"]:
    """Everybody's box, the surest first; none where nobody is."""
    picture, ratio = letterboxed(rgb)
    rows = decoded(network.run(picture)[0][0])
    scores = rows[:, 4] * rows[:, 5]
    rows, scores = rows[scores > SURE], scores[scores > SURE]
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1) / ratio
    return boxes[suppressed(boxes, scores)]


def letterboxed(rgb: UInt8[np.ndarray, "height width 3"]) -> tuple[Float[np.ndarray, "1 3 640 640"], float]:
    """The network's picture, and pixels of it per pixel of the source."""
    import cv2

    height, width = rgb.shape[:2]
    ratio = min(BOX_SIDE / height, BOX_SIDE / width)
    inside = (int(width * ratio), int(height * ratio))
    canvas = np.full((BOX_SIDE, BOX_SIDE, 3), GREY, np.uint8)
    canvas[: inside[1], : inside[0]] = cv2.resize(rgb, inside, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)[None], np.float32), ratio


def decoded(rows: Float[np.ndarray, "8400 85"]) -> Float[np.ndarray, "8400 85"]:
    """Centre and size in pixels of the letterbox, from offsets in and logarithms of cells."""
    corners, strides = cells()
    rows = rows.copy()
    rows[:, :2] = (rows[:, :2] + corners) * strides
    rows[:, 2:4] = np.exp(rows[:, 2:4]) * strides
    return rows


def cells() -> tuple[Int[np.ndarray, "8400 2"], Int[np.ndarray, "8400 1"]]:
    """Column and row of every cell, and its stride."""
    corners, strides = [], []
    for stride in STRIDES:
        count = BOX_SIDE // stride
        y, x = np.divmod(np.arange(count * count), count)
        corners.append(np.stack([x, y], 1))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(corners), np.concatenate(strides)


def suppressed(boxes: Float[np.ndarray, "boxes 4"], scores: Float[np.ndarray, "boxes"]) -> list[int]:
    """Rows to keep, the surest first: greedy suppression. Areas count whole pixels, as in the original."""
    order, kept = list(np.argsort(-scores, kind="stable")), []
    area = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
    while order:
        best, rest = order[0], np.array(order[1:], int)
        kept.append(int(best))
        sides = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2]) + 1
        both = np.clip(sides, 0, None).prod(1)
        order = list(rest[both <= SAME * (area[best] + area[rest] - both)])
    return kept
