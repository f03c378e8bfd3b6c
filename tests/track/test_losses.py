"""Each term of the paper's objective: known zeros, symmetries and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from stages.track import losses

CENTRE = torch.tensor([320.0, 240.0], dtype=torch.float64)


def points(seed: int = 0, keypoints: int = 4, frames: int = 3) -> torch.Tensor:
    """Random points two metres in front of the camera."""
    random = torch.Generator().manual_seed(seed)
    spread = 0.3 * torch.randn(keypoints, frames, 3, generator=random, dtype=torch.float64)
    return spread + torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)


def seen(space: torch.Tensor) -> torch.Tensor:
    """The projected points with a focal length of 500 px."""
    return 500 * space[..., :2] / space[..., 2:] + CENTRE


ONES = torch.ones(4, 3, dtype=torch.float64)
PIXELS = seen(points(seed=9))
ROTATION = torch.linalg.qr(torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
LOW, HIGH = -0.5 * torch.ones(3, dtype=torch.float64), 0.5 * torch.ones(3, dtype=torch.float64)

FROM_FIRST_TWO = torch.eye(4, dtype=torch.float64) - torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64)
TERMS = {
    "reprojection": lambda x: losses.reprojection(x, PIXELS, ONES, 500.0, CENTRE),
    "relative_depth": lambda x: losses.relative_depth(x, 0.3 * ONES, ONES, FROM_FIRST_TWO),
    "hand_alignment": lambda x: losses.hand_alignment(x, points(seed=5), ONES, 10.0),
    "distance_from_mean": lambda x: losses.distance_from_mean(x[0], HIGH, HIGH),
    "outside_limits": lambda x: losses.outside_limits(x[0], LOW, HIGH, HIGH),
    "expression_excess": lambda x: losses.expression_excess(x[0], 0.1),
    "rotation_change": lambda x: losses.rotation_change(x[:3].transpose(0, 1), ROTATION),
    "temporal_change": lambda x: losses.temporal_change(x[0], ONES[:2, :3]),
    "vertex_change": lambda x: losses.vertex_change(x, ONES[0, :2]),
}


@pytest.mark.parametrize("name", TERMS)
def test_gradients_equal_finite_differences(name: str) -> None:
    """The gradient of every term equals finite differences."""
    assert gradcheck(TERMS[name], (points().requires_grad_(),))


def test_a_perfect_fit_costs_nothing() -> None:
    """Every term is 0 for its own target: projection, depth, hand, mean, limits, and a body at rest."""
    space = points()
    depth = space[..., 2] - space[:2, :, 2].mean(0)
    still = space[:, :1].expand(-1, 3, -1)
    values = [
        losses.reprojection(space, seen(space), ONES, 500.0, CENTRE),
        losses.relative_depth(space, depth, ONES, FROM_FIRST_TWO),
        losses.hand_alignment(space, space, ONES, 10.0),
        losses.distance_from_mean(HIGH[None], HIGH, HIGH),
        losses.outside_limits(HIGH[None], LOW, HIGH, HIGH),
        losses.expression_excess(torch.tensor([[4.0, -4.0, 0.0]]), 4.0),
        losses.rotation_change(ROTATION, ROTATION),
        losses.temporal_change(still[0], ONES[:2, :3]),
        losses.vertex_change(still, ONES[0, :2]),
    ]
    assert max(float(value.abs().max()) for value in values) < 1e-9


def test_only_an_impossible_expression_costs() -> None:
    """ReLU(|psi| - 4) is 1 at 5 and at -5, and 0 at 3.9 (paper eq. 10)."""
    psi = torch.tensor([[5.0], [-5.0], [3.9]])
    assert losses.expression_excess(psi, 4.0).tolist() == [1.0, 1.0, 0.0]


def test_hand_depth_weighs_lambda_z() -> None:
    """A hand error of 1 cm in depth costs 1 + lambda_z = 11 times as much as 1 cm sideways (paper eq. 9)."""
    space = points()
    hand = space
    off = torch.full_like(space, 0.01)
    sideways, deep = off * torch.tensor([1.0, 0, 0]), off * torch.tensor([0, 0, 1.0])
    flat = losses.hand_alignment(space + sideways, hand, ONES, 10.0)
    torch.testing.assert_close(losses.hand_alignment(space + deep, hand, ONES, 10.0), 11 * flat)


def test_a_mirrored_scene_costs_the_same() -> None:
    """Mirroring body and picture left to right changes no term of points."""
    space, mirror = points(), torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    other, target = points(seed=7), points(seed=8)
    flipped = PIXELS * mirror[:2] + torch.tensor([640.0, 0.0], dtype=torch.float64)
    here = losses.reprojection(space, PIXELS, ONES, 500.0, CENTRE)
    torch.testing.assert_close(losses.reprojection(space * mirror, flipped, ONES, 500.0, CENTRE), here)
    here = losses.hand_alignment(other, target, ONES, 10.0)
    torch.testing.assert_close(losses.hand_alignment(other * mirror, target * mirror, ONES, 10.0), here)
    here = losses.vertex_change(other, ONES[0, :2])
    torch.testing.assert_close(losses.vertex_change(other * mirror, ONES[0, :2]), here)


def test_smoothness_is_symmetric_in_time() -> None:
    """A motion and the same motion played backwards have the same smoothness."""
    space = points()
    forwards, backwards = losses.vertex_change(space, ONES[0, :2]), losses.vertex_change(space.flip(1), ONES[0, :2])
    torch.testing.assert_close(backwards, forwards.flip(0))


def test_confidence_scales_the_loss() -> None:
    """A point of half the confidence costs half; a point of confidence 0 costs nothing anywhere (paper eq. 8)."""
    space = points()
    here = losses.reprojection(space, PIXELS, ONES, 500.0, CENTRE)
    torch.testing.assert_close(losses.reprojection(space, PIXELS, 0.5 * ONES, 500.0, CENTRE), 0.5 * here)
    lost = PIXELS.clone()
    lost[2] = 1e6
    trusted = ONES.clone()
    trusted[2] = 0
    before = losses.reprojection(space, PIXELS, trusted, 500.0, CENTRE)
    torch.testing.assert_close(losses.reprojection(space, lost, trusted, 500.0, CENTRE), before)


def test_rotation_change_does_not_wrap() -> None:
    """Rotations by 179 and 181 degrees differ by 2 degrees: nothing wraps at a half turn."""
    from stages.track.adamw_body import rotation_matrices

    angles = torch.deg2rad(torch.tensor([179.0, 181.0], dtype=torch.float64))
    a, b = rotation_matrices(angles[:, None] * torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)).split(1)
    assert float(losses.rotation_change(a, b)) == pytest.approx(float(torch.deg2rad(torch.tensor(2.0))) ** 2, rel=1e-3)


def test_a_movement_of_vertices_costs_its_square() -> None:
    """Twice the movement between two frames costs four times as much (paper eq. 11: mean squared error)."""
    still = points()[:, :1].expand(-1, 3, -1)
    away = 0.01 * torch.arange(3, dtype=torch.float64)[None, :, None]
    one, two = (losses.vertex_change(still + factor * away, ONES[0, :2]) for factor in (1, 2))
    torch.testing.assert_close(two, 4 * one)
