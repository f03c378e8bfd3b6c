"""One frame: pose everything, draw the layers, put them over the background."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from stages.body.camera import project
from stages.generate.puppet.compose import merge_layers, over
from stages.generate.puppet.draw import draw_grid, draw_mesh, skin
from stages.generate.puppet.face import Face
from stages.generate.puppet.layers import Layer, fade_stretched
from stages.generate.puppet.texture import Paint
from stages.generate.puppet.view import Rig

UNDERLAY_M, HEAD_M, FACE_M = 0.012, -0.004, -0.02
"""Metres added to the depth of the mesh under the sheets, of the head's sheet and of the face."""
SOFT_M = 0.008


@dataclass
class Puppet:
    """Everything that does not change from frame to frame."""

    rig: Rig
    underlay: np.ndarray
    paint: Paint
    colours: UInt8[np.ndarray, "height width 3"]
    layers: list[Layer]
    face: Face | None
    plate: UInt8[np.ndarray, "height width 3"]
    """Background at the result's size."""
    alpha: Float[np.ndarray, "height width"]
    """The person's matte in the photo, at the result's size."""
    size: tuple[int, int]
    """Width and height the layers are drawn in."""
    focal: float
    """Of the photo's camera at the drawing size, pixels."""
    buffers: dict[str, np.ndarray] = field(default_factory=dict)


def draw_frame(
    puppet: Puppet,
    poses: Float[np.ndarray, "165"],
    trans: Float[np.ndarray, "3"],
    expression: Float[np.ndarray, "expression"],
    K: Float[np.ndarray, "3 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture of one row. K projects to the drawing size."""
    transforms = puppet.rig.transforms(poses, trans)
    offsets = puppet.rig.offsets(poses, expression)
    colour, depth, boxes, merged = _buffers(puppet)
    vertices = puppet.rig.skin(offsets, transforms)
    points = project(vertices, K).astype(np.float32)
    _draw_underlay(puppet, points, colour[0], depth[0])
    boxes[0] = _box(points, puppet.size)
    bias = np.zeros(len(colour), np.float32)
    bias[0] = UNDERLAY_M
    for row, layer in enumerate(puppet.layers, start=1):
        bias[row] = HEAD_M if layer.name == "head" else 0.0
        boxes[row] = _draw_layer(puppet, layer, offsets, transforms, K, colour[row], depth[row])
    if puppet.face is not None:
        bias[-1] = FACE_M
        boxes[-1] = _draw_face(puppet, puppet.face, points, transforms, K, colour[-1], depth[-1])
    merge_layers(colour, depth, bias, SOFT_M, boxes, merged)
    height, width = puppet.plate.shape[:2]
    front = (
        merged if (width, height) == puppet.size else cv2.resize(merged, (width, height), interpolation=cv2.INTER_AREA)
    )
    out = np.empty_like(puppet.plate)
    over(front, puppet.plate, out)
    return out


def _buffers(puppet: Puppet) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reused from frame to frame; colour is only valid where depth is finite, so opacity alone is cleared."""
    count = 2 + len(puppet.layers)
    width, height = puppet.size
    if not puppet.buffers:
        puppet.buffers["colour"] = np.zeros((count, height, width, 4), np.uint8)
        puppet.buffers["depth"] = np.empty((count, height, width), np.float32)
        puppet.buffers["boxes"] = np.zeros((count, 4), np.int64)
        puppet.buffers["merged"] = np.empty((height, width, 4), np.float32)
    colour, depth, boxes = puppet.buffers["colour"], puppet.buffers["depth"], puppet.buffers["boxes"]
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        colour[row, y0:y1, x0:x1] = 0
    depth.fill(np.inf)
    boxes[:] = 0
    return colour, depth, boxes, puppet.buffers["merged"]


def _draw_underlay(puppet: Puppet, points: np.ndarray, colour: np.ndarray, depth: np.ndarray) -> None:
    paint = puppet.paint
    opaque = np.ones(len(points), np.float32)
    draw_mesh(
        points, puppet.underlay, paint.uv, paint.uv_mirror, paint.share, paint.fill, opaque, True,
        puppet.colours, colour, depth,
    )  # fmt: skip


def _draw_layer(
    puppet: Puppet, layer: Layer, offsets: np.ndarray, transforms: np.ndarray, K: np.ndarray,
    colour: np.ndarray, depth: np.ndarray,
) -> np.ndarray:  # fmt: skip
    points = project(layer.pose(offsets, transforms), K).astype(np.float32)
    near = float(np.median(points[:, 2]))
    step = layer.step * (K[0, 0] / max(near, 0.05)) / (puppet.focal / layer.depth)
    alpha = np.empty(len(points), np.float32)
    fade_stretched(points, layer.faces, step, layer.opacity, alpha)
    draw_grid(points, layer.faces, layer.uv, alpha, layer.texture, colour, depth)
    return _box(points, puppet.size)


def _draw_face(
    puppet: Puppet, face: Face, points: np.ndarray, transforms: np.ndarray, K: np.ndarray,
    colour: np.ndarray, depth: np.ndarray,
) -> np.ndarray:  # fmt: skip
    paint = face.paint
    pushed = points.copy()
    pushed[:, 2] += face.back
    draw_mesh(
        pushed, face.faces, paint.uv, paint.uv_mirror, paint.share, paint.fill, face.alpha, True,
        puppet.colours, colour, depth,
    )  # fmt: skip
    plates = face.plates
    placed = np.empty_like(plates.rest)
    skin(plates.rest, plates.joint, np.ones((len(placed), 1), np.float32), transforms, placed)
    teeth = project(placed, K).astype(np.float32)
    draw_mesh(
        teeth, plates.faces, plates.paint.uv, plates.paint.uv_mirror, plates.paint.share, plates.paint.fill,
        plates.alpha, False, puppet.colours, colour, depth,
    )  # fmt: skip
    return _box(points[np.unique(face.faces)], puppet.size)


def _box(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """x0, y0, x1, y1 of finite points, clipped to the picture."""
    low = np.nan_to_num(points[:, :2].min(0), nan=0.0).clip(0, size) - 2
    high = np.nan_to_num(points[:, :2].max(0), nan=max(size)).clip(0, size) + 3
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, size)
    return np.array([x0, y0, x1, y1]).astype(np.int64)
