"""The body's keypoints as Wan-Animate's preprocess names them: 20 of the body, 21 per hand, and the face box.

Points are in pixels of the motion's picture, with confidence 1 (drawn) or 0. It is 0 outside the picture, for a hand
that was not measured, and for a point of the head that the head itself hides. This follows Wan-Video/Wan2.2,
`pose2d_utils.py` and `utils.py` of wan/modules/animate/preprocess; that code detects the points in the driving video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.motion import PARTS, Motion
from stages.body.camera import project
from stages.body.model import Body, keypoints_from, motion_template, pose_body
from stages.raster.rasterizer import rasterizer

BODY_POINTS = (
    ("pose_00",), ("pose_11", "pose_12"), ("pose_12",), ("pose_14",), ("pose_16",), ("pose_11",), ("pose_13",),
    ("pose_15",), ("pose_24",), ("pose_26",), ("pose_28",), ("pose_23",), ("pose_25",), ("pose_27",), ("face_468",),
    ("face_473",), ("pose_08",), ("pose_07",), ("pose_31",), ("pose_32",),
)  # fmt: skip
"""Nose, neck, right arm, left arm, right leg, left leg, right and left eye, right and left ear, left and right toe.

Each is the mean of its named points: the neck there is the middle of the shoulders.
"""
HEAD_POINTS = {0: 0.03, 14: 0.03, 15: 0.03, 16: 0.1, 17: 0.1}
"""Point (nose, eyes, ears) -> how far behind the surface at its pixel it may be and still count as visible, metres.

Seen from the front, an ear is up to 8 cm behind the cheek at its pixel; in profile, the hidden ear is 14 cm behind.
"""
JAW = (127, 234, 93, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 323, 454, 356)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
FACE_POINTS = tuple(f"face_{number:03d}" for number in (*JAW, *BROWS))
"""The outermost of the 68 face points: the jaw from eye to eye and the brows. Only their bounding box is used."""
FACE_AREA = 1.3
"""Area of the face box over that of the points' bounding box; three quarters of the added height are above."""
LOOK_PX = 384
"""Height in pixels of the small depth picture."""
ROWS_AT_ONCE = 8


@dataclass(frozen=True)
class WholeBody:
    """One frame's points (x, y in pixels, confidence), and the posed body for drawing the face."""

    body: Float[np.ndarray, "20 3"]
    left_hand: Float[np.ndarray, "21 3"]
    right_hand: Float[np.ndarray, "21 3"]
    face_box: tuple[int, int, int, int]
    """left, right, top, bottom in pixels, cut to the picture; empty if the face is outside the picture."""
    vertices: Float[np.ndarray, "vertices 3"]
    """The posed body in the camera frame, metres."""
    screen: Float[np.ndarray, "vertices 3"]
    """The same vertices projected: x, y in pixels, z in metres."""


def whole_bodies(motion: Motion, body: Body, rows: Int[np.ndarray, "picked"]) -> Iterator[WholeBody]:
    """The points of the given rows, in that order; a row that is repeated directly is posed only once."""
    draw = rasterizer("numba")
    template = motion_template(body, motion)
    distinct = np.unique(rows)
    made: dict[int, WholeBody] = {}
    for row in rows.tolist():
        if row not in made:
            first = int(np.searchsorted(distinct, row))
            some = distinct[first : first + ROWS_AT_ONCE]
            posed = pose_body(
                body, template, motion.poses[some], motion.trans[some], motion.expression[some], motion.head_scale
            )
            points = project(keypoints_from(body, template, posed), motion.K[some])
            screens = project(posed.vertices, motion.K[some])
            made = {
                int(each): _points_of_row(motion, body, draw, int(each), *parts)
                for each, *parts in zip(some, points, posed.vertices, screens, strict=True)
            }
        yield made[row]


def face_box(points: Float[np.ndarray, "points 2"], width: int, height: int) -> tuple[int, int, int, int]:
    """left, right, top, bottom of Wan-Animate's face crop: FACE_AREA times the points' box, cut to the picture."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    grown = np.sqrt(FACE_AREA) - 1
    sideways, up = (right - left) * grown / 2, (bottom - top) * grown / 4
    return (
        int(max(left - sideways, 0)),
        int(min(right + sideways, width)),
        int(max(top - 3 * up, 0)),
        int(min(bottom + up, height)),
    )


def _points_of_row(motion: Motion, body: Body, draw, row: int, points, vertices, screen) -> WholeBody:
    width, height = motion.image_size
    named = dict(zip(body.keypoint_names, points, strict=True))
    seen: dict[str, bool] = dict(zip(PARTS, motion.valid[row].tolist(), strict=True))
    limbs = np.array([np.mean([named[name] for name in names], 0) for names in BODY_POINTS])
    drawn = _inside(limbs, width, height) & seen["body"]
    heads = list(HEAD_POINTS)
    behind = _depth_behind_surface(limbs[heads], screen, body, draw, width, height)
    drawn[heads] &= behind <= np.array(list(HEAD_POINTS.values()))
    left, right = (np.array([named[f"{side}_hand_{number:02d}"] for number in range(21)]) for side in ("left", "right"))
    face = np.array([named[name][:2] for name in FACE_POINTS])
    return WholeBody(
        body=_with_confidence(limbs, drawn),
        left_hand=_with_confidence(left, _inside(left, width, height) & seen["left_hand"]),
        right_hand=_with_confidence(right, _inside(right, width, height) & seen["right_hand"]),
        face_box=face_box(face, width, height),
        vertices=vertices,
        screen=screen,
    )


def _with_confidence(
    points: Float[np.ndarray, "points 3"], drawn: Bool[np.ndarray, "points"]
) -> Float[np.ndarray, "points 3"]:
    return np.concatenate([points[:, :2], drawn[:, None]], 1).astype(np.float32)


def _inside(points: Float[np.ndarray, "points 3"], width: int, height: int) -> Bool[np.ndarray, "points"]:
    x, y, z = points.T
    return (x >= 0) & (y >= 0) & (x < width) & (y < height) & (z > 0)


def _depth_behind_surface(points, screen, body: Body, draw, width: int, height: int) -> Float[np.ndarray, "points"]:
    """Metres that each point is behind the body's surface, from a small depth picture; -inf beside the body."""
    scale = min(1.0, LOOK_PX / height)
    small = max(1, round(width * scale)), max(1, round(height * scale))
    depth = draw((screen * [scale, scale, 1]).astype(np.float32), body.faces, *small).depth
    column = np.clip((points[:, 0] * scale).astype(int), 0, small[0] - 1)
    row = np.clip((points[:, 1] * scale).astype(int), 0, small[1] - 1)
    return points[:, 2] - depth[row, column]
