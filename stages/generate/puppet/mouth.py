"""What an open mouth shows: a dark cavity, a tongue, two curved rows of teeth, upper on the head, lower on the jaw."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from stages.body.model import JOINT_NAMES
from stages.generate.puppet.texture import Paint
from stages.generate.puppet.view import View

COLUMNS, ROWS = 25, 5
COLOURS = {"cavity": (44.0, 15.0, 15.0), "tongue": (88.0, 36.0, 36.0), "teeth": (225.0, 215.0, 200.0)}
OPEN_SHARE = 0.04
"""A mouth is open from this gap on, as a share of the face's width: then its own teeth are in the photo."""


@dataclass
class Plates:
    """Both rows of teeth: points bound rigidly to the head and the jaw."""

    rest: Float[np.ndarray, "points 3"]
    joint: Int[np.ndarray, "points 1"]
    faces: Int[np.ndarray, "faces 3"]
    paint: Paint
    alpha: Float[np.ndarray, "points"]


def inner_colour(what: str) -> Float[np.ndarray, "3"]:
    """Colours of what no photo of a closed mouth shows."""
    return np.array(COLOURS[what], np.float32)


def build_plates(
    view: View,
    rest: dict[int, np.ndarray],
    colours: np.ndarray,
    landmarks: Float[np.ndarray, "478 2"] | None,
) -> Plates:
    """Rows of teeth fitted between the mouth's corners, 10 and 13 mm behind the lips."""
    left, right, upper, lower = (rest[index] for index in (308, 78, 13, 14))
    half = 0.46 * float(np.linalg.norm(left - right))
    centre = np.array([(left[0] + right[0]) / 2, (upper[1] + lower[1]) / 2, max(upper[2], lower[2])])
    points, faces, joint, fill = [], [], [], []
    light = _brightness(view)
    for name, back, top, bottom in (("head", 0.010, 0.008, -0.0035), ("jaw", 0.013, -0.001, -0.009)):
        across, down = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(0, 1, ROWS))
        height = top + (bottom - top) * down
        edge = down if name == "head" else 1 - down
        curve = back + 0.016 * across**2
        start = sum(len(block) for block in points)
        points.append(np.stack([centre[0] + half * across, centre[1] + height, centre[2] - curve], -1).reshape(-1, 3))
        tone = (1 - 0.45 * across**2) * (0.78 + 0.22 * edge) * (1 - 0.10 * (np.arange(COLUMNS) % 3 == 0))
        fill.append((tone[..., None] * inner_colour("teeth") * light).reshape(-1, 3))
        joint.append(np.full((ROWS * COLUMNS, 1), JOINT_NAMES.index(name), np.int32))
        faces.append(_strip() + start)
    place = np.concatenate(points).astype(np.float32)
    paint, alpha = _paint(view, place, np.concatenate(joint), np.concatenate(fill), colours, landmarks)
    return Plates(place, np.concatenate(joint), np.concatenate(faces).astype(np.int32), paint, alpha)


def _strip() -> np.ndarray:
    row, column = np.mgrid[: ROWS - 1, : COLUMNS - 1]
    corner = (row * COLUMNS + column).ravel()
    first = np.stack([corner, corner + 1, corner + COLUMNS], 1)
    return np.concatenate([first, np.stack([corner + 1, corner + COLUMNS + 1, corner + COLUMNS], 1)])


def _brightness(view: View) -> float:
    """The photo's light, from the face's brightness in the middle of the picture."""
    skin = view.rig.body.sets["face_skin"]
    x, y = view.points[skin, 0].astype(int), view.points[skin, 1].astype(int)
    height, width = view.photo.shape[:2]
    tone = np.median(view.photo[y.clip(0, height - 1), x.clip(0, width - 1)].max(1))
    return float(np.clip(0.45 + 0.5 * tone / 200.0, 0.5, 1.0))


def _paint(
    view: View, place: np.ndarray, joint: np.ndarray, fill: np.ndarray, colours: np.ndarray,
    landmarks: np.ndarray | None,
) -> tuple[Paint, np.ndarray]:  # fmt: skip
    """Where the photo's mouth is open, the teeth it shows are projected onto the plates."""
    transform = view.transforms[joint[:, 0]]
    camera = (transform[..., :3] @ place[..., None])[..., 0] + transform[..., 3]
    uv = (camera @ view.K.T)[:, :2] / camera[:, 2:]
    share = np.zeros((len(place), 2), np.float32)
    ring = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
    if landmarks is not None and np.isfinite(landmarks[list(ring)]).all():
        polygon = landmarks[list(ring)].astype(np.float32)
        width = np.linalg.norm(landmarks[454] - landmarks[234])
        gap = np.linalg.norm(landmarks[13] - landmarks[14])
        if gap > OPEN_SHARE * width:
            distance = [cv2.pointPolygonTest(polygon.reshape(-1, 1, 2), (float(x), float(y)), True) for x, y in uv]
            share[:, 0] = np.clip(np.array(distance) / max(0.25 * gap, 1.0), 0.0, 1.0)
            seen = share[:, 0] > 0.6
            if seen.any():
                x, y = uv[seen, 0].astype(int), uv[seen, 1].astype(int)
                height, wide = colours.shape[:2]
                bright = colours[y.clip(0, height - 1), x.clip(0, wide - 1)]
                if bright.max(1).mean() > 110:
                    fill = fill * np.clip(np.percentile(bright, 75, axis=0) / np.maximum(fill.max(0), 1), 0.6, 1.15)
                else:
                    share[:] = 0.0
    uv = np.ascontiguousarray(uv, np.float32)
    return Paint(uv, uv.copy(), share, fill.astype(np.float32)), np.ones(len(place), np.float32)
