"""DWPose's picture of a person: 18 body points, 68 of the face and 21 per hand, on black.

Colours, widths and order are those of DWPose's own drawing (IDEA-Research/DWPose, ControlNet annotator `util.py`:
draw_bodypose, draw_handpose, draw_facepose), which OpenPose-driven models were trained on: limbs at 60 % as ellipses
of 4 pixels, joints as discs over them, hands as lines around the colour circle with blue discs, white face points.
"""

from __future__ import annotations

import colorsys

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.drawings import DrawingOptions, Painter
from stages.drawing.frames import PosedFrame, View
from stages.drawing.skeleton import COLOURS, FINGERS
from stages.drawing.whole_body import inside, point_finder

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Pairs of the 18 points, in the order they are drawn."""
BODY_POINTS = 18
STICK_PX, HAND_LINE_PX, DOT_PX, FACE_DOT_PX = 4, 2, 4, 3
"""At 512 pixels of height; they grow with the picture."""
HAND_RGB, FACE_RGB = (0, 0, 255), (255, 255, 255)
FACE_68 = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""MediaPipe's landmarks at the 68 points of iBUG: jaw, brows, nose, eyes, outer and inner lips, in that order."""
FACE_NAMES = tuple(f"face_{number:03d}" for number in FACE_68)


def painter(motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
    """Draws the points that the tracker saw and that the head does not hide."""
    whole = point_finder(body, view, options.rasterizer)
    scale = min(view.width, view.height) / 512

    def paint(frame: PosedFrame) -> UInt8[np.ndarray, "height width 3"]:
        points = whole(frame)
        picture = np.zeros((view.height, view.width, 3), np.uint8)
        draw_body(picture, points.body[:BODY_POINTS], scale)
        for hand in (points.left_hand, points.right_hand):
            draw_hand(picture, hand, scale)
        if frame.seen["face"]:
            face = np.array([frame.keypoints[name] for name in FACE_NAMES])
            facing = points.body[[0, 14, 15], 2].any()  # the nose or an eye is not hidden by the head
            draw_face(picture, face[inside(face, view)] if facing else face[:0], scale)
        return picture

    return paint


def draw_body(picture: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "18 3"], scale: float) -> None:
    """Limbs at 60 % with discs over them, in place."""
    import cv2

    drawn = points[:, 2] > 0.5
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if drawn[start] and drawn[end]:
            along = points[start, :2] - points[end, :2]
            middle = (points[start, :2] + points[end, :2]) / 2
            axes = int(np.hypot(*along) / 2), _px(STICK_PX, scale)
            angle = int(np.degrees(np.arctan2(along[1], along[0])))
            outline = cv2.ellipse2Poly((int(middle[0]), int(middle[1])), axes, angle, 0, 360, 1)
            cv2.fillConvexPoly(picture, np.asarray(outline), [int(0.6 * value) for value in colour])
    for point, shown, colour in zip(points, drawn, COLOURS, strict=False):
        if shown:
            cv2.circle(picture, (int(point[0]), int(point[1])), _px(DOT_PX, scale), colour, thickness=-1)


def draw_hand(picture: UInt8[np.ndarray, "height width 3"], hand: Float[np.ndarray, "21 3"], scale: float) -> None:
    """Twenty lines around the colour circle with blue discs, in place."""
    import cv2

    drawn = hand[:, 2] > 0.5
    for number, (start, end) in enumerate(FINGERS):
        if drawn[start] and drawn[end]:
            rgb = [255 * value for value in colorsys.hsv_to_rgb(number / len(FINGERS), 1, 1)]
            first, last = ((int(hand[k, 0]), int(hand[k, 1])) for k in (start, end))
            cv2.line(picture, first, last, rgb, thickness=_px(HAND_LINE_PX, scale))
    for point in hand[drawn]:
        cv2.circle(picture, (int(point[0]), int(point[1])), _px(DOT_PX, scale), HAND_RGB, thickness=-1)


def draw_face(
    picture: UInt8[np.ndarray, "height width 3"], points: Float[np.ndarray, "points 3"], scale: float
) -> None:
    """White discs, in place."""
    import cv2

    for point in points:
        cv2.circle(picture, (int(point[0]), int(point[1])), _px(FACE_DOT_PX, scale), FACE_RGB, thickness=-1)


def _px(size: int, scale: float) -> int:
    return max(1, round(size * scale))
