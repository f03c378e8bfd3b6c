"""A turned square of a picture: what a landmark network reads, and where its points lie in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

Points = Float[np.ndarray, "points axes"]


@dataclass(frozen=True)
class Region:
    """Centre and side in px. `angle` is in radians, clockwise in the picture; at 0 the square stands upright."""

    centre: Float[np.ndarray, "2"]
    side: float
    angle: float = 0.0

    @property
    def axes(self) -> Float[np.ndarray, "2 2"]:
        """Rows: the square's own x and y in the picture, unit vectors."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])

    def scaled(self, scale: float, up: float = 0.0) -> Region:
        """The square moved by `up` of its side along its own -y, then scaled."""
        return Region(self.centre - up * self.side * self.axes[1], self.side * scale, self.angle)

    def cut(
        self, rgb: UInt8[np.ndarray, "height width 3"], pixels: int, zero_outside: bool = False
    ) -> UInt8[np.ndarray, "pixels pixels 3"]:
        """The square as a picture of `pixels` a side. Outside the picture its border is repeated, or is black."""
        import cv2

        columns = self.axes.T * self.side / pixels
        start = self.centre - columns @ np.full(2, pixels / 2)
        border = cv2.BORDER_CONSTANT if zero_outside else cv2.BORDER_REPLICATE
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(rgb, np.column_stack([columns, start]), (pixels, pixels), flags=flags, borderMode=border)

    def to_picture(self, points: Points) -> Points:
        """Points whose first two axes are 0..1 in the square, in px of the picture; a third axis is scaled alike."""
        moved = np.array(points, np.float64)
        moved[:, :2] = (moved[:, :2] - 0.5) * self.side @ self.axes + self.centre
        moved[:, 2:] *= self.side
        return moved

    def to_own(self, points: Points) -> Float[np.ndarray, "points 2"]:
        """Points of the picture along the square's own axes, px from its centre."""
        return (points[:, :2] - self.centre) @ self.axes.T


def whole(rgb: UInt8[np.ndarray, "height width 3"]) -> Region:
    """The smallest upright square around the picture."""
    height, width = rgb.shape[:2]
    return Region(np.array([width / 2, height / 2]), float(max(height, width)))


def angle_of(start: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"], target_degrees: float) -> float:
    """The angle of a square in which the vector from `start` to `end` points to `target_degrees`, counter-clockwise
    from its x axis (90: up), between -pi and pi."""
    dx, dy = end - start
    angle = np.radians(target_degrees) - np.arctan2(-dy, dx)
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def around_box(points: Points, angle: float) -> Region:
    """A square whose centre is that of the points' upright box, and whose side is the longer side of the box."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    return Region((low + high) / 2, float((high - low).max()), angle)


def around_turned_box(points: Points, angle: float) -> Region:
    """A square with the centre and the longer side of the points' box along the turned axes."""
    turned = Region(np.zeros(2), 1.0, angle)
    own = turned.to_own(points)
    low, high = own.min(0), own.max(0)
    return Region((low + high) / 2 @ turned.axes, float((high - low).max()), angle)


def around_circle(centre: Float[np.ndarray, "2"], edge: Float[np.ndarray, "2"], target_degrees: float) -> Region:
    """A square around the circle with that centre through `edge`, turned so that `edge` lies towards the target."""
    return Region(np.array(centre), 2 * float(np.linalg.norm(edge - centre)), angle_of(centre, edge, target_degrees))


def follows(
    before: Region, points: Points, now: Region, *, degrees: float, shift: float, scale: float, margin: float
) -> bool:
    """True when `before`, made from the points of the frame before, may be used instead of `now`.

    They differ by no more than `degrees`, `shift` and `scale` (shares of the side of `now`), and all points lie within
    `now` with its side changed by the share `margin`. As in mediapipe/modules/holistic_landmark, RoiTrackingCalculator.
    """
    turn = (before.angle - now.angle + np.pi) % (2 * np.pi) - np.pi
    moved = np.abs(now.to_own(before.centre[None])[0])
    inside = np.abs(now.to_own(points)) < now.side * (1 + margin) / 2
    return bool(
        abs(turn) <= np.radians(degrees)
        and np.all(moved <= shift * now.side)
        and abs(before.side - now.side) <= scale * now.side
        and inside.all()
    )
