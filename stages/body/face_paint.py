"""A face in plain colours, lit from the front, that a face detector recognises: skin, eyes, lips and brows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.body.model import Body
from stages.raster.rasterizer import Fragments

SKIN, WHITE, IRIS, PUPIL = (214, 165, 138), (240, 238, 234), (92, 62, 40), (12, 10, 10)
LIP, BROW, MOUTH, GROUND = (176, 92, 92), (78, 54, 40), (70, 28, 28), (200, 204, 208)
IRIS_RADIUS, PUPIL_RADIUS = 0.50, 0.2
"""As shares of the eyeball's radius; the iris is about 12 mm wide."""
UPPER_BROWS = {"left": (336, 296, 334, 293, 300), "right": (107, 66, 105, 63, 70)}
LOWER_BROWS = {"left": (276, 283, 282, 295, 285), "right": (46, 53, 52, 65, 55)}
LIPS_OUTSIDE = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INSIDE = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
"""MediaPipe's contours of brows and lips, as closed loops of landmark numbers."""


@dataclass(frozen=True)
class FacePaint:
    """One colour (0 to 255) per vertex; eyes are painted per pixel, by the distance from the eyeball's axis."""

    colors: Float[np.ndarray, "vertices 3"]
    eye_offset: Float[np.ndarray, "vertices 3"]
    """Offset from the eyeball's centre, in radii; nan outside the eyeballs."""

    @staticmethod
    def without_lips_and_brows(body: Body) -> FacePaint:
        """Skin, mouth and eyes only."""
        colors = np.tile(np.array(SKIN, float), (len(body.v_template), 1))
        colors[body.sets["mouth_cavity"] | body.sets["tongue"]] = MOUTH
        offset = np.full_like(colors, np.nan)
        for side in ("left", "right"):
            ball = body.v_template[body.sets[f"{side}_eyeball"]]
            centre, size = (ball.min(0) + ball.max(0)) / 2, np.ptp(ball, 0)
            offset[body.sets[f"{side}_eyeball"]] = (ball - centre) / (size[1] / 2)
        return FacePaint(colors, offset)

    @staticmethod
    def from_landmarks(body: Body, template: np.ndarray, landmarks: Float[np.ndarray, "landmarks 3"]) -> FacePaint:
        """Skin, mouth and eyes, with lips and brows inside the contours of the landmarks."""
        base = FacePaint.without_lips_and_brows(body)
        colors = base.colors.copy()
        lips, brows = lips_and_brows(body, template, landmarks)
        colors[lips] = LIP
        colors[brows["left"] | brows["right"]] = BROW
        return FacePaint(colors, base.eye_offset)


def lips_and_brows(
    body: Body, template: np.ndarray, landmarks: Float[np.ndarray, "landmarks 3"]
) -> tuple[Bool[np.ndarray, "vertices"], dict[str, Bool[np.ndarray, "vertices"]]]:
    """Skin vertices of a template with open mouth: between the contours of the lips, and inside each brow's contour."""
    front = template[:, 2] > landmarks[:, 2].min()
    skin = front & body.sets["face_skin"]
    outer = inside_polygon(template, landmarks[list(LIPS_OUTSIDE)])
    lips = skin & outer & ~inside_polygon(template, landmarks[list(LIPS_INSIDE)])
    brows = {
        side: skin & inside_polygon(template, landmarks[[*UPPER_BROWS[side], *LOWER_BROWS[side]]])
        for side in UPPER_BROWS
    }
    return lips, brows


def inside_polygon(points: Float[np.ndarray, "points 3"], polygon: Float[np.ndarray, "corners 3"]) -> np.ndarray:
    """Whether each point lies inside the polygon, by the even-odd rule in the x, y plane."""
    x, y = points[:, 0, None], points[:, 1, None]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    crosses = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return (crosses & (x < at)).sum(1) % 2 == 1


def paint_face(
    body: Body, vertices: Float[np.ndarray, "vertices 3"], paint: FacePaint, fragments: Fragments
) -> tuple[Float[np.ndarray, "vertices 3"], UInt8[np.ndarray, "height width 3"]]:
    """Vertex normals in the camera frame, and the lit picture."""
    normals = vertex_normals(vertices, body.faces)
    light = np.array([0.25, -0.5, -0.83])
    shade = 0.45 + 0.55 * np.clip(normals @ light, 0, 1)
    seen = fragments.face >= 0
    picture = np.empty((*seen.shape, 3))
    picture[:] = GROUND
    corners = body.faces[fragments.face[seen]]
    weights = fragments.barycentric[seen]
    color = np.einsum("pk,pkc->pc", weights, paint.colors[corners])
    offset = np.einsum("pk,pkc->pc", weights, paint.eye_offset[corners])
    eye, away = np.isfinite(offset[:, 0]), np.linalg.norm(offset[:, :2], axis=1)
    color[eye] = WHITE
    color[eye & (away < IRIS_RADIUS)] = IRIS
    color[eye & (away < PUPIL_RADIUS)] = PUPIL
    picture[seen] = color * np.einsum("pk,pk->p", weights, shade[corners])[:, None]
    return normals, np.clip(picture, 0, 255).astype(np.uint8)


def vertex_normals(vertices: Float[np.ndarray, "vertices 3"], faces: np.ndarray) -> Float[np.ndarray, "vertices 3"]:
    """Unit normals, weighted by area; they point outwards when faces are counter-clockwise seen from outside.

    In double precision, unlike `stages.raster.shading`: the bytes of a baked body depend on it.
    """
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(vertices)) for axis in range(3)], -1
    )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
