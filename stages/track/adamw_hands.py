"""Hands in the paper's solver: which are valid at a step, and what the others are held to (paper 0.C.2, eq. 9).

A hand is valid while the box around its projected points lies in the picture and matches the box of the detected ones.
An invalid hand has no 3-D alignment. Where another tracker knows it (the paper's HaMeR), its 2-D targets are the
projections of that smoothed hand, with little weight: a hand that has left the picture is held outside it, whatever the
detector reports inside. Without such a prior it has no targets: held to the first guess, whose arms come from the
detector alone, the arm over the face of clip d5 was 83 % of the face height off, and 22 % without.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stages.track import losses

ROOM = 0.5
"""Boxes are enlarged by this share of their size on each side before they are matched."""


@dataclass(frozen=True)
class HandCheck:
    """Limits of the check. The paper gives no values."""

    inside: float
    """Least share of the projected box that lies in the picture."""
    match: float
    """Least IoU of the enlarged projected box with the enlarged detected one."""
    image_size: Float[Tensor, "2"]


@dataclass(frozen=True)
class Hand:
    """The targets of one hand. Keypoints or vertices are the first axis, frames the second."""

    rows: slice
    """Rows of its keypoints among all points of the body."""
    pixels: Float[Tensor, "keypoints frames 2"]
    per_pixel: Float[Tensor, "keypoints frames"]
    held_pixels: Float[Tensor, "keypoints frames 2"]
    """Projections of the smoothed first guess."""
    held_per_pixel: Float[Tensor, "keypoints frames"]
    """0 where no other tracker knows the hand."""
    seen: Bool[Tensor, "frames"]
    """Whether there are detected points that the gates accept."""
    observed: Float[Tensor, "keypoints frames 3"]
    """Detected keypoints relative to the wrist, metres."""
    per_metre: Float[Tensor, "keypoints frames"]
    vertex_rows: slice | None = None
    """Rows of its vertices among all points, where another tracker knows the hand."""
    vertices: Float[Tensor, "vertices frames 3"] | None = None
    """Vertices of that tracker's hand relative to its wrist, metres."""
    vertices_per_metre: Float[Tensor, "vertices frames"] | None = None
    """0 in frames in which that tracker has no hand."""

    def terms(
        self,
        points: Float[Tensor, "points frames 3"],
        check: HandCheck,
        focal_px: float,
        centre_px: Float[Tensor, "2"],
        lambda_z: float,
    ) -> tuple[Float[Tensor, "frames"], Float[Tensor, "frames"]]:
        """Reprojection (eq. 8) and 3-D alignment (eq. 9) per frame, with the check made at these points."""
        own = points[self.rows]
        with torch.no_grad():
            valid = is_valid(losses.project(own, focal_px, centre_px), self.pixels, self.seen, check)
        flat = losses.reprojection(
            own,
            torch.where(valid[:, None], self.pixels, self.held_pixels),
            torch.where(valid, self.per_pixel, self.held_per_pixel),
            focal_px,
            centre_px,
        )
        aligned = losses.hand_alignment(own - own[:1], self.observed, self.per_metre, lambda_z)
        if self.vertex_rows is not None and self.vertices is not None and self.vertices_per_metre is not None:
            away = points[self.vertex_rows] - own[:1]
            by_vertices = losses.hand_alignment(away, self.vertices, self.vertices_per_metre, lambda_z)
            aligned = torch.where(self.vertices_per_metre.any(0), by_vertices, aligned)
        return flat, torch.where(valid, aligned, 0.0)


def is_valid(
    projected: Float[Tensor, "keypoints frames 2"],
    detected: Float[Tensor, "keypoints frames 2"],
    seen: Bool[Tensor, "frames"],
    check: HandCheck,
) -> Bool[Tensor, "frames"]:
    """Frames in which the hand was detected, its projected box lies in the picture and matches the detected box."""
    low, high = projected.amin(0), projected.amax(0)
    zero = torch.zeros_like(low)
    inside = _area(torch.maximum(low, zero), torch.minimum(high, check.image_size))
    shown = inside >= check.inside * _area(low, high)
    (low, high), (other_low, other_high) = _enlarged(low, high), _enlarged(detected.amin(0), detected.amax(0))
    both = _area(torch.maximum(low, other_low), torch.minimum(high, other_high))
    union = _area(low, high) + _area(other_low, other_high) - both
    return seen & shown & (both >= check.match * union)


def _area(low: Float[Tensor, "frames 2"], high: Float[Tensor, "frames 2"]) -> Float[Tensor, "frames"]:
    return (high - low).clamp(min=0).prod(-1)


def _enlarged(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    room = ROOM * (high - low)
    return low - room, high + room
