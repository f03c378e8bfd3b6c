"""The line drawing of the hybrid condition map: limbs, fingers and face of the posed body (paper eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.body.model import JOINT_NAMES, PART_NAMES, Body
from stages.render_cond.draw import draw_dot, draw_line
from stages.render_cond.palette import BONES, FACE_LINES, FINGERS, JOINT_DOTS, WHITE

BONE_HALF_WIDTH_PX = 3.2
"""For a picture 512 pixels high. Bones and dots grow with the picture; one-pixel lines do not."""
WAIST_SHARE = 0.17
"""Point where torso and hip lines meet, as a share of the way from mid-hips to neck, as in the paper's maps.

The pelvis joint itself lies 9 cm away from it.
"""
FINGER_TOLERANCE_M = 0.03
FACE_TOLERANCE_M = 0.008
BONE_TOLERANCE_M = 0.05


@dataclass(frozen=True)
class Canvas:
    """The picture to draw on, and for each pixel the depth (metres) and body part (-1: none) of the surface."""

    rgb: UInt8[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]
    part: Int[np.ndarray, "height width"]

    @property
    def scale(self) -> float:
        """Height of the picture divided by 512 pixels."""
        return self.depth.shape[0] / 512


def draw_key_lines(
    canvas: Canvas, body: Body, joints: Float[np.ndarray, "55 3"], keypoints: Float[np.ndarray, "keypoints 3"]
) -> None:
    """Draw limbs, fingers and face into the canvas. `joints` and `keypoints`: x, y in pixels and z in metres."""
    named = dict(zip(body.keypoint_names, keypoints, strict=True))
    _draw_limbs(canvas, joints)
    for side in ("left", "right"):
        _draw_fingers(canvas, side, named)
    _draw_face(canvas, named)


def _draw_limbs(canvas: Canvas, joints: Float[np.ndarray, "55 3"]) -> None:
    joints = _with_waist(joints)
    half_width = max(0.5, BONE_HALF_WIDTH_PX * canvas.scale)
    seen_through: dict[str, int] = {}
    for bone in BONES:
        mask = _part_mask(*bone.parts)
        for name in (bone.start, bone.end):
            seen_through[name] = seen_through.get(name, 0) | mask
        start, end = (joints[JOINT_NAMES.index(name)] for name in (bone.start, bone.end))
        _draw_line(canvas, start, end, bone.colour, BONE_TOLERANCE_M, mask, half_width)
    for name, colour in JOINT_DOTS.items():
        dot = joints[JOINT_NAMES.index(name)]
        _draw_dot(canvas, dot, colour, BONE_TOLERANCE_M, seen_through[name], round(2 * canvas.scale))


def _with_waist(joints: Float[np.ndarray, "55 3"]) -> Float[np.ndarray, "55 3"]:
    """The joints with the pelvis moved up to the place where the paper's maps draw it."""
    left, right, neck = (joints[JOINT_NAMES.index(name)] for name in ("left_hip", "right_hip", "neck"))
    drawn = joints.copy()
    drawn[JOINT_NAMES.index("pelvis")] = (1 - WAIST_SHARE) * (left + right) / 2 + WAIST_SHARE * neck
    return drawn


def _draw_fingers(canvas: Canvas, side: str, named: dict[str, Float[np.ndarray, "3"]]) -> None:
    points = [named[f"{side}_hand_{number:02d}"] for number in range(21)]
    for chain, colours in FINGERS.items():
        for a, b, colour in zip(chain[:-1], chain[1:], colours, strict=True):
            _draw_line(canvas, points[a], points[b], colour, FINGER_TOLERANCE_M, 0, 0.5)
    for point in points[1:]:
        _draw_dot(canvas, point, WHITE, FINGER_TOLERANCE_M, 0, max(1, round(canvas.scale)))


def _draw_face(canvas: Canvas, named: dict[str, Float[np.ndarray, "3"]]) -> None:
    for line in FACE_LINES:
        points = [named[f"face_{number:03d}"] for number in line.points]
        following = points[1:] + points[:1] if line.closed else points[1:]
        for start, end in zip(points, following, strict=False):
            _draw_line(canvas, start, end, line.colour, FACE_TOLERANCE_M, 0, 0.5)


def _part_mask(*parts: str) -> int:
    """Bit mask of part numbers."""
    return sum(1 << PART_NAMES.index(part) for part in parts)


def _draw_line(canvas, start, end, colour, tolerance, mask, half_width) -> None:
    draw_line(canvas.rgb, canvas.depth, canvas.part, start, end, colour, tolerance, mask, half_width)


def _draw_dot(canvas, centre, colour, tolerance, mask, radius) -> None:
    draw_dot(canvas.rgb, canvas.depth, canvas.part, centre, colour, tolerance, mask, radius)
