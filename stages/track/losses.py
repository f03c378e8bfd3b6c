"""The terms of the paper's objective (eq. 7 to 11) as pure functions in torch: one unweighted value per frame.

Points have the shape (keypoints, frames, 3), in the camera frame, metres. Residuals are divided by their sigmas, so
that a weight of 1 for every term is the balance of the Gauss-Newton fit. `adamw` weights and reduces them once.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

NEAR_M = 0.1


def project(
    points: Float[Tensor, "keypoints frames 3"], focal_px: float, centre_px: Float[Tensor, "2"]
) -> Float[Tensor, "keypoints frames 2"]:
    """The points in the picture, pixels. Points nearer than NEAR_M, or behind the camera, count as NEAR_M away."""
    return focal_px * points[..., :2] / points[..., 2:].clamp(min=NEAR_M) + centre_px


def reprojection(
    points: Float[Tensor, "keypoints frames 3"],
    pixels: Float[Tensor, "keypoints frames 2"],
    per_pixel: Float[Tensor, "keypoints frames"],
    focal_px: float,
    centre_px: Float[Tensor, "2"],
) -> Float[Tensor, "frames"]:
    """L2D: |x| + |y| to the observed pixel, times confidence / sigma (paper eq. 8, L1 as in EHM-Tracker)."""
    return ((project(points, focal_px, centre_px) - pixels).abs().sum(-1) * per_pixel).sum(0)


def relative_depth(
    points: Float[Tensor, "keypoints frames 3"],
    depth: Float[Tensor, "depths frames"],
    per_metre: Float[Tensor, "depths frames"],
    differences: Float[Tensor, "depths keypoints"],
) -> Float[Tensor, "frames"]:
    """Differences of depth between keypoints against the observed ones, L1."""
    return ((differences @ points[..., 2] - depth).abs() * per_metre).sum(0)


def hand_alignment(
    points: Float[Tensor, "keypoints frames 3"],
    hand: Float[Tensor, "keypoints frames 3"],
    per_metre: Float[Tensor, "keypoints frames"],
    lambda_z: float,
) -> Float[Tensor, "frames"]:
    """L3D (eq. 9): a hand's points against the known ones, relative to the wrist: |x| + |y| + |z| + `lambda_z` |z|."""
    away = (points - hand).abs()
    return ((away.sum(-1) + lambda_z * away[..., 2]) * per_metre).sum(0)


def distance_from_mean(
    columns: Float[Tensor, "frames columns"],
    mean: Float[Tensor, "... columns"],
    sigma: Float[Tensor, "... columns"],
) -> Float[Tensor, "frames"]:
    """Squared distance from the mean. A column with an infinite sigma has no weight."""
    return (((columns - mean) / sigma) ** 2).sum(1)


def outside_limits(
    columns: Float[Tensor, "frames columns"],
    lower: Float[Tensor, "columns"],
    upper: Float[Tensor, "columns"],
    sigma: Float[Tensor, "columns"],
) -> Float[Tensor, "frames"]:
    """Soft limits: squared distance outside [lower, upper]."""
    outside = torch.relu(lower - columns) + torch.relu(columns - upper)
    return ((outside / sigma) ** 2).sum(1)


def expression_excess(psi: Float[Tensor, "frames expression"], bound: float) -> Float[Tensor, "frames"]:
    """ReLU(|psi| - bound): penalises expressions that no face can make (paper eq. 10; bound 4)."""
    return torch.relu(psi.abs() - bound).sum(1)


def rotation_change(now: Float[Tensor, "frames 3 3"], then: Float[Tensor, "frames 3 3"]) -> Float[Tensor, "frames"]:
    """2 - 2 cos of the angle between two rotations. It is the squared angle for small angles and never wraps."""
    return 0.5 * ((now - then) ** 2).sum((1, 2))


def temporal_change(
    columns: Float[Tensor, "frames columns"], sigma: Float[Tensor, "links columns"]
) -> Float[Tensor, "links"]:
    """Squared difference of neighbouring frames (eq. 11)."""
    return (((columns[1:] - columns[:-1]) / sigma) ** 2).sum(1)


def vertex_change(points: Float[Tensor, "keypoints frames 3"], sigma: Float[Tensor, "links"]) -> Float[Tensor, "links"]:
    """Mean over points of the squared difference of neighbouring frames (eq. 11: body vertices)."""
    return ((points[:, 1:] - points[:, :-1]) ** 2).sum(-1).mean(0) / sigma**2
