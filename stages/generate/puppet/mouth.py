"""The inside of an open mouth: dark cavity, tongue, two curved rows of teeth (upper on the head, lower on the jaw)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES
from stages.generate.puppet.texture import LUMA, Paint
from stages.generate.puppet.view import View

COLUMNS, ROWS = 25, 5
COLOURS = {"cavity": (44.0, 15.0, 15.0), "tongue": (88.0, 36.0, 36.0), "teeth": (225.0, 215.0, 200.0)}
COLOURED = 0.15
"""Saturation of skin from which a photo has its full colours; a grey photo has none."""
OPEN_SHARE = 0.04
"""Gap between the lips, as a share of the face's width, from which the mouth counts as open in the photo."""

INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
"""MediaPipe's ring along the inside of the lips."""


@dataclass
class Teeth:
    """Both rows of teeth: points bound rigidly to head and jaw."""

    rest: Float[np.ndarray, "points 3"]
    joint: Int[np.ndarray, "points 1"]
    faces: Int[np.ndarray, "faces 3"]
    paint: Paint
    alpha: Float[np.ndarray, "points"]


def inner_colour(name: str, skin: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """Colour of cavity, tongue or teeth, which a photo of a closed mouth does not show; grey as far as the skin is."""
    colour = np.array(COLOURS[name], np.float32)
    share = float(np.clip(np.ptp(skin) / max(float(skin.max()), 1.0) / COLOURED, 0.0, 1.0))
    return share * colour + (1.0 - share) * (colour @ LUMA)


def build_teeth(
    view: View,
    rest: dict[int, np.ndarray],
    colours: np.ndarray,
    landmarks: Float[np.ndarray, "478 2"] | None,
    skin: Float[np.ndarray, "3"],
) -> Teeth:
    """Rows of teeth fitted between the mouth's corners, 10 and 13 mm behind the lips. skin: the face's colour."""
    left, right, upper, lower = (rest[index] for index in (308, 78, 13, 14))
    bright = shows_teeth(colours, landmarks)
    half = 0.46 * float(np.linalg.norm(left - right))
    centre = np.array([(left[0] + right[0]) / 2, (upper[1] + lower[1]) / 2, max(upper[2], lower[2])])
    points, faces, joint, fill = [], [], [], []
    light = _brightness(view)
    edge_up, edge_down = (-0.0035, -0.001) if bright else hidden_edges(view, upper, lower, float(centre[1]))
    rows = ("head", 0.010, edge_up + 0.011, edge_up), ("jaw", 0.013, edge_down, edge_down - 0.009)
    for name, back, top, bottom in rows:
        across, down = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(0, 1, ROWS))
        height = top + (bottom - top) * down
        edge = down if name == "head" else 1 - down
        curve = back + 0.016 * across**2
        start = sum(len(block) for block in points)
        points.append(np.stack([centre[0] + half * across, centre[1] + height, centre[2] - curve], -1).reshape(-1, 3))
        tone = (1 - 0.45 * across**2) * (0.78 + 0.22 * edge) * (1 - 0.10 * (np.arange(COLUMNS) % 3 == 0))
        fill.append((tone[..., None] * inner_colour("teeth", skin) * light).reshape(-1, 3))
        joint.append(np.full((ROWS * COLUMNS, 1), JOINT_NAMES.index(name), np.int32))
        faces.append(_grid_triangles() + start)
    place = np.concatenate(points).astype(np.float32)
    paint, alpha = _paint(view, place, np.concatenate(joint), np.concatenate(fill), colours, landmarks)
    return Teeth(place, np.concatenate(joint), np.concatenate(faces).astype(np.int32), paint, alpha)


def shows_teeth(colours: np.ndarray, landmarks: np.ndarray | None) -> bool:
    """Whether the mouth in the photo is open and its inside is bright."""
    if landmarks is None:
        return False
    gap = np.linalg.norm(landmarks[13] - landmarks[14])
    if gap < OPEN_SHARE * np.linalg.norm(landmarks[454] - landmarks[234]):
        return False
    mask = np.zeros(colours.shape[:2], np.uint8)
    cv2.fillPoly(mask, [landmarks[list(INNER_LIPS)].round().astype(np.int32)], (1,))
    return bool(mask.any()) and float(np.median(colours[mask > 0].max(1))) > 110


def hidden_edges(view: View, upper: np.ndarray, lower: np.ndarray, centre: float) -> tuple[float, float]:
    """Edges of both rows, in metres above the middle of the mouth, that the lips in the photo just hide."""
    vertices = view.rig.template
    near = [int(np.linalg.norm(vertices - point, axis=1).argmin()) for point in (upper, lower)]
    lips = [
        float(point[1] + view.offsets[vertex, 1]) - centre for point, vertex in zip((upper, lower), near, strict=True)
    ]
    return max(-0.0035, lips[0] + 0.0005), min(-0.001, lips[1] - 0.0005)


def _grid_triangles() -> np.ndarray:
    row, column = np.mgrid[: ROWS - 1, : COLUMNS - 1]
    corner = (row * COLUMNS + column).ravel()
    first = np.stack([corner, corner + 1, corner + COLUMNS], 1)
    return np.concatenate([first, np.stack([corner + 1, corner + COLUMNS + 1, corner + COLUMNS], 1)])


def _brightness(view: View) -> float:
    """Brightness of the photo, from the median brightness of the face."""
    skin = view.rig.body.sets["face_skin"]
    x, y = view.points[skin, 0].astype(int), view.points[skin, 1].astype(int)
    height, width = view.photo.shape[:2]
    tone = np.median(view.photo[y.clip(0, height - 1), x.clip(0, width - 1)].max(1))
    return float(np.clip(0.45 + 0.5 * tone / 200.0, 0.5, 1.0))


def _paint(
    view: View, place: np.ndarray, joint: np.ndarray, fill: np.ndarray, colours: np.ndarray,
    landmarks: np.ndarray | None,
) -> tuple[Paint, np.ndarray]:  # fmt: skip
    """Paint of the teeth; if the mouth in the photo is open, its teeth are projected onto them."""
    transform = view.transforms[joint[:, 0]]
    camera = (transform[..., :3] @ place[..., None])[..., 0] + transform[..., 3]
    uv = (camera @ view.K.T)[:, :2] / camera[:, 2:]
    share = np.zeros((len(place), 2), np.float32)
    if landmarks is not None and shows_teeth(colours, landmarks):
        polygon = landmarks[list(INNER_LIPS)].astype(np.float32)
        gap = float(np.linalg.norm(landmarks[13] - landmarks[14]))
        distance = [cv2.pointPolygonTest(polygon.reshape(-1, 1, 2), (float(x), float(y)), True) for x, y in uv]
        share[:, 0] = np.clip(np.array(distance) / max(0.25 * gap, 1.0), 0.0, 1.0)
        seen = share[:, 0] > 0.6
        if seen.any():
            height, width = colours.shape[:2]
            x, y = uv[seen, 0].astype(int).clip(0, width - 1), uv[seen, 1].astype(int).clip(0, height - 1)
            fill = fill * np.clip(np.percentile(colours[y, x], 75, axis=0) / np.maximum(fill.max(0), 1), 0.6, 1.15)
    uv = np.ascontiguousarray(uv, np.float32)
    return Paint(uv, uv.copy(), share, fill.astype(np.float32)), np.ones(len(place), np.float32)
