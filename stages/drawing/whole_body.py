"""The body's keypoints as Wan-Animate's preprocess names them: 20 of the body and 21 per hand.

Points are in pixels of the drawn picture, with confidence 1 (drawn) or 0. It is 0 outside the picture, for a hand that
was not measured, and for a point of the head that the head itself hides. This follows Wan-Video/Wan2.2,
`pose2d_utils.py` and `utils.py` of wan/modules/animate/preprocess; that code detects the points in the driving video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stages.body.model import Body
from stages.drawing.frames import PosedFrame, View
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
LOOK_PX = 384
"""Height in pixels of the small depth picture."""


@dataclass(frozen=True)
class WholeBody:
    """One frame's points: x, y in pixels, confidence."""

    body: Float[np.ndarray, "20 3"]
    left_hand: Float[np.ndarray, "21 3"]
    right_hand: Float[np.ndarray, "21 3"]


def point_finder(body: Body, view: View, raster: str = "numba") -> Callable[[PosedFrame], WholeBody]:
    """Returns a function: posed frame of the view -> its points."""
    draw = rasterizer(raster)

    def points(frame: PosedFrame) -> WholeBody:
        named = frame.keypoints
        limbs = np.array([np.mean([named[name] for name in names], 0) for names in BODY_POINTS])
        drawn = inside(limbs, view) & frame.seen["body"]
        heads = list(HEAD_POINTS)
        behind = _depth_behind_surface(limbs[heads], frame.screen, body, draw, view.width, view.height)
        drawn[heads] &= behind <= np.array(list(HEAD_POINTS.values()))
        left, right = (
            np.array([named[f"{side}_hand_{number:02d}"] for number in range(21)]) for side in ("left", "right")
        )
        return WholeBody(
            _with_confidence(limbs, drawn),
            _with_confidence(left, inside(left, view) & frame.seen["left_hand"]),
            _with_confidence(right, inside(right, view) & frame.seen["right_hand"]),
        )

    return points


def _with_confidence(
    points: Float[np.ndarray, "points 3"], drawn: Bool[np.ndarray, "points"]
) -> Float[np.ndarray, "points 3"]:
    return np.concatenate([points[:, :2], drawn[:, None]], 1).astype(np.float32)


def inside(points: Float[np.ndarray, "points 3"], view: View) -> Bool[np.ndarray, "points"]:
    """Whether points are in front of the camera and in the part of the picture that the motion's own picture fills."""
    x, y, z = points.T
    left, top, right, bottom = view.window
    return (x >= left) & (y >= top) & (x < right) & (y < bottom) & (z > 0)


def _depth_behind_surface(points, screen, body: Body, draw, width: int, height: int) -> Float[np.ndarray, "points"]:
    """Metres that each point is behind the body's surface, from a small depth picture; -inf beside the body."""
    scale = min(1.0, LOOK_PX / height)
    small = max(1, round(width * scale)), max(1, round(height * scale))
    depth = draw((screen * [scale, scale, 1]).astype(np.float32), body.faces, *small).depth
    column = np.clip((points[:, 0] * scale).astype(int), 0, small[0] - 1)
    row = np.clip((points[:, 1] * scale).astype(int), 0, small[1] - 1)
    return points[:, 2] - depth[row, column]
