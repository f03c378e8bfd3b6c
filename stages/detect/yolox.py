"""People's boxes by YOLOX-l, as DWPose ships it (IDEA-Research/DWPose, onnx branch, annotator/dwpose/onnxdet.py).

The picture is scaled into the top left of a grey 640x640 square, BGR, 0..255. Cells have strides 8, 16 and 32; class 0
is person. Boxes are x0, y0, x1, y1 in pixels of the input picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.detect.onnx_network import BOX_SIDE, OnnxNetwork

STRIDES = (8, 16, 32)
GREY = 114
SCORE_MIN = 0.3
"""Least score (objectness times class probability) of a box."""
OVERLAP_MAX = 0.45
"""Overlap (IoU) above which the box with the lower score is dropped."""


def people_boxes(rgb: UInt8[np.ndarray, "height width 3"], network: OnnxNetwork) -> Float[np.ndarray, "people 4"]:
    """The box of every person, highest score first."""
    picture, ratio = letterboxed(rgb)
    rows = decoded(network.run(picture)[0][0])
    scores = rows[:, 4] * rows[:, 5]
    rows, scores = rows[scores > SCORE_MIN], scores[scores > SCORE_MIN]
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1) / ratio
    return boxes[non_maximum_suppression(boxes, scores)]


def letterboxed(rgb: UInt8[np.ndarray, "height width 3"]) -> tuple[Float[np.ndarray, "1 3 640 640"], float]:
    """The network's input, and its scale: pixels of the input per pixel of the source."""
    import cv2

    height, width = rgb.shape[:2]
    ratio = min(BOX_SIDE / height, BOX_SIDE / width)
    inside = (int(width * ratio), int(height * ratio))
    canvas = np.full((BOX_SIDE, BOX_SIDE, 3), GREY, np.uint8)
    canvas[: inside[1], : inside[0]] = cv2.resize(rgb, inside, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)[None], np.float32), ratio


def decoded(rows: Float[np.ndarray, "8400 85"]) -> Float[np.ndarray, "8400 85"]:
    """Rows with centre and size in pixels of the network's input, from cell offsets and logarithms of cell sizes."""
    corners, strides = grid_cells()
    rows = rows.copy()
    rows[:, :2] = (rows[:, :2] + corners) * strides
    rows[:, 2:4] = np.exp(rows[:, 2:4]) * strides
    return rows


def grid_cells() -> tuple[Int[np.ndarray, "8400 2"], Int[np.ndarray, "8400 1"]]:
    """Column, row and stride of every cell."""
    corners, strides = [], []
    for stride in STRIDES:
        count = BOX_SIDE // stride
        y, x = np.divmod(np.arange(count * count), count)
        corners.append(np.stack([x, y], 1))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(corners), np.concatenate(strides)


def non_maximum_suppression(boxes: Float[np.ndarray, "boxes 4"], scores: Float[np.ndarray, "boxes"]) -> list[int]:
    """Rows to keep, highest score first, by greedy suppression. Areas include the last pixel, as in the original."""
    order, kept = list(np.argsort(-scores, kind="stable")), []
    area = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
    while order:
        best, rest = order[0], np.array(order[1:], int)
        kept.append(int(best))
        sides = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2]) + 1
        both = np.clip(sides, 0, None).prod(1)
        order = list(rest[both <= OVERLAP_MAX * (area[best] + area[rest] - both)])
    return kept
