"""Wan-Animate's skeleton on black.

Colours, widths and order are those of Wan-Video/Wan2.2's `human_visualization.py`, `draw_aapose_new` with "v2" sticks:
limbs are ellipses at 60 % brightness, joints are discs over them, hands are lines in rainbow colours with blue discs.
"""

from __future__ import annotations

import colorsys

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.drawings import DrawingOptions, Painter
from stages.drawing.frames import PosedFrame, View
from stages.drawing.whole_body import WholeBody, point_finder

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17), (13, 18), (10, 19),
)  # fmt: skip
"""Pairs of body points, in the order they are drawn."""
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255),
    (255, 0, 255), (255, 0, 170), (255, 0, 85), (200, 200, 0), (100, 100, 0),
)  # fmt: skip
"""Colours of the points in order, and of the limbs in order at 60 % brightness."""
FINGERS = tuple((finger * 4 + part if part else 0, finger * 4 + part + 1) for finger in range(5) for part in range(4))
HAND_RGB = (0, 0, 255)


def painter(motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
    """Draws the points that the tracker saw and that the head does not hide."""
    whole = point_finder(body, view, options.rasterizer)

    def paint(frame: PosedFrame) -> UInt8[np.ndarray, "height width 3"]:
        return draw_skeleton(whole(frame), view.width, view.height)

    return paint


def draw_skeleton(frame: WholeBody, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """The limbs between the 20 body points, the points, and both hands, on black."""
    import cv2

    picture = np.zeros((height, width, 3), np.uint8)
    thick = max(min(width, height) // 200 - 1, 1)
    points, drawn = frame.body[:, :2], frame.body[:, 2] > 0.5
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if drawn[start] and drawn[end]:
            _limb(picture, points[start], points[end], colour, thick)
    for point, shown, colour in zip(points, drawn, COLOURS, strict=True):
        if shown:
            cv2.circle(picture, _pixel(point), thick, colour, thickness=-1)
    for hand in (frame.left_hand, frame.right_hand):
        _hand(picture, hand, max(thick // 2, 1))
    return picture


def _limb(picture: np.ndarray, start: np.ndarray, end: np.ndarray, colour: tuple[int, int, int], thick: int) -> None:
    import cv2

    middle, along = (start + end) / 2, start - end
    angle = int(np.degrees(np.arctan2(along[1], along[0])))
    outline = cv2.ellipse2Poly(_pixel(middle), (int(np.hypot(*along) / 2), thick), angle, 0, 360, 1)
    cv2.fillConvexPoly(picture, np.asarray(outline), [int(0.6 * value) for value in colour])


def _hand(picture: np.ndarray, hand: Float[np.ndarray, "21 3"], thick: int) -> None:
    import cv2

    drawn = (hand[:, 2] > 0.5) & (hand[:, :2].astype(int) > 0).all(1)
    for number, (start, end) in enumerate(FINGERS):
        if drawn[start] and drawn[end]:
            rgb = [255 * value for value in colorsys.hsv_to_rgb(number / len(FINGERS), 1, 1)]
            cv2.line(picture, _pixel(hand[start]), _pixel(hand[end]), rgb, thickness=thick)
    for point in hand[drawn]:
        cv2.circle(picture, _pixel(point), thick, HAND_RGB, thickness=-1)


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])
