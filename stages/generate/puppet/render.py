"""Draw one frame: pose the puppet, draw its layers, composite them over the background."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from stages.body.camera import project
from stages.generate.puppet.background import Backdrop
from stages.generate.puppet.compose import composite_over, merge_layers
from stages.generate.puppet.draw import draw_grid, draw_mesh, skin_points
from stages.generate.puppet.face import Face
from stages.generate.puppet.hands import pose_change, sheet_and_mesh_opacity
from stages.generate.puppet.layers import Layer, fade_stretched
from stages.generate.puppet.near_arms import flatten_arms, posed_neck
from stages.generate.puppet.texture import Paint
from stages.generate.puppet.view import Rig

BIAS_M = {"underlay": 0.035, "head": -0.004, "left_hand": -0.006, "right_hand": -0.006, "hands": -0.004, "face": -0.02}
"""Metres added to the depth of a layer: the body mesh is behind the sheets, the face in front of the head's sheet."""
SOFT_M = 0.008


@dataclass
class Puppet:
    """Everything that is the same in all frames."""

    rig: Rig
    underlay: Int[np.ndarray, "faces 3"]
    hands: dict[str, Int[np.ndarray, "_ 3"]]
    """Triangles of each hand's mesh; a hand visible neither in the photo nor in the motion is missing."""
    outside_matte: Bool[np.ndarray, "vertices"]
    """Vertices that lie clearly outside the person in the photo."""
    photo_transforms: Float[np.ndarray, "55 3 4"]
    paint: Paint
    colours: UInt8[np.ndarray, "height width 3"]
    layers: list[Layer]
    face: Face
    backdrop: Backdrop
    size: tuple[int, int]
    """Width and height at which the layers are drawn."""
    focal: float
    """Focal length of the photo's camera at the drawing size, in pixels."""
    depth_share: float = 1.0
    """The depth of arms before the trunk, as a share of the true one (`flatten_arms`)."""
    buffers: dict[str, np.ndarray] = field(default_factory=dict)


def draw_frame(
    puppet: Puppet,
    poses: Float[np.ndarray, "165"],
    trans: Float[np.ndarray, "3"],
    expression: Float[np.ndarray, "expression"],
    K: Float[np.ndarray, "3 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture of one motion row. K projects to pixels of the drawing size."""
    transforms = puppet.rig.transforms(poses, trans)
    offsets = puppet.rig.offsets(poses, expression)
    colour, depth, boxes, merged = _buffers(puppet)
    vertices = puppet.rig.skin(offsets, transforms)
    neck, share = posed_neck(puppet.rig, transforms), puppet.depth_share
    points = project(flatten_arms(vertices, puppet.rig.arm_share, neck, share), K).astype(np.float32)
    bias = np.zeros(len(colour), np.float32)
    fill = puppet.paint.shaded(vertices, puppet.rig.body.faces)
    _draw_body(puppet, puppet.underlay, points, fill, 1.0, colour[0], depth[0])
    boxes[0], bias[0] = _box(points, puppet.size), BIAS_M["underlay"]
    sheets = {}
    for name, faces in puppet.hands.items():
        sheets[name], mesh = sheet_and_mesh_opacity(pose_change(name, transforms, puppet.photo_transforms))
        if not any(layer.name == name for layer in puppet.layers):
            mesh = 1.0
        _draw_body(puppet, faces, points, fill, mesh, colour[1], depth[1])
    boxes[1], bias[1] = _box(points, puppet.size), BIAS_M["hands"]
    for row, layer in enumerate(puppet.layers, start=2):
        bias[row] = BIAS_M.get(layer.name, 0.0)
        opacity = sheets.get(layer.name, 1.0)
        posed = flatten_arms(layer.pose(offsets, transforms), layer.arm_share, neck, share)
        boxes[row] = _draw_layer(puppet, layer, opacity, posed, K, colour[row], depth[row])
    bias[-1] = BIAS_M["face"]
    boxes[-1] = _draw_face(puppet, puppet.face, points, transforms, K, colour[-1], depth[-1])
    merge_layers(colour, depth, bias, SOFT_M, boxes, merged)
    height, width = puppet.backdrop.alpha.shape
    front = merged
    if (width, height) != puppet.size:
        front = cv2.resize(merged, (width, height), interpolation=cv2.INTER_AREA)
    out = np.empty((height, width, 3), np.uint8)
    composite_over(front, puppet.backdrop.background_for(front[..., 3]), out)
    return out


def _buffers(puppet: Puppet) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Colour, depth, boxes and merged picture, reused for every frame. Colour is cleared inside the boxes."""
    count = 3 + len(puppet.layers)
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


def _draw_body(
    puppet: Puppet, faces: np.ndarray, points: np.ndarray, fill: np.ndarray, opacity: float, colour: np.ndarray,
    depth: np.ndarray,
) -> None:  # fmt: skip
    paint = puppet.paint
    alpha = np.full(len(points), opacity, np.float32)
    draw_mesh(points, faces, paint.uv, paint.uv_mirror, paint.share, fill, alpha, True, puppet.colours, colour, depth)


def _draw_layer(
    puppet: Puppet, layer: Layer, opacity: float, posed: np.ndarray, K: np.ndarray, colour: np.ndarray,
    depth: np.ndarray,
) -> np.ndarray:  # fmt: skip
    points = project(posed, K).astype(np.float32)
    near = float(np.median(points[:, 2]))
    step = layer.step * (K[0, 0] / max(near, 0.05)) / (puppet.focal / layer.depth)
    if opacity <= 0.0:
        return np.zeros(4, np.int64)
    alpha = np.empty(len(points), np.float32)
    fade_stretched(points, layer.faces, step, opacity * layer.opacity, alpha)
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
    teeth = face.teeth
    placed = np.empty_like(teeth.rest)
    skin_points(teeth.rest, teeth.joint, np.ones((len(placed), 1), np.float32), transforms, placed)
    teeth_points = project(placed, K).astype(np.float32)
    draw_mesh(
        teeth_points, teeth.faces, teeth.paint.uv, teeth.paint.uv_mirror, teeth.paint.share, teeth.paint.fill,
        teeth.alpha, False, puppet.colours, colour, depth,
    )  # fmt: skip
    return _box(points[np.unique(face.faces)], puppet.size)


def _box(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """x0, y0, x1, y1 of finite points, clipped to the picture."""
    low = np.nan_to_num(points[:, :2].min(0), nan=0.0).clip(0, size) - 2
    high = np.nan_to_num(points[:, :2].max(0), nan=max(size)).clip(0, size) + 3
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, size)
    return np.array([x0, y0, x1, y1]).astype(np.int64)
