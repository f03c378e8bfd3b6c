"""The puppet's compiled triangle loops and its compositing."""

from __future__ import annotations

import numpy as np
import pytest

from stages.generate.puppet.compose import composite_over, merge_layers
from stages.generate.puppet.draw import draw_grid, draw_mesh, skin_points

SIDE = 40


def picture() -> np.ndarray:
    """A smooth RGBA texture, opaque."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.stack([4 * x, 4 * y, 2 * (x + y), np.full_like(x, 255)], -1).astype(np.uint8)


def lattice(step: int) -> tuple[np.ndarray, np.ndarray]:
    """A grid over the picture: points with depth 1, triangles clockwise on screen."""
    count = SIDE // step + 1
    y, x = np.mgrid[:count, :count] * float(step)
    points = np.stack([x.ravel(), y.ravel(), np.ones(count * count)], 1).astype(np.float32)
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    first = np.stack([corner, corner + 1, corner + count], 1)
    second = np.stack([corner + 1, corner + count + 1, corner + count], 1)
    return points, np.concatenate([first, second]).astype(np.int32)


def empty() -> tuple[np.ndarray, np.ndarray]:
    """A cleared colour and depth buffer."""
    return np.zeros((SIDE, SIDE, 4), np.uint8), np.full((SIDE, SIDE), np.inf, np.float32)


def test_a_sheet_that_has_not_moved_is_the_photo() -> None:
    """A grid drawn at its own place gives the texture, to one grey level."""
    points, faces = lattice(5)
    colour, depth = empty()
    draw_grid(points, faces, points[:, :2].copy(), np.ones(len(points), np.float32), picture(), colour, depth)
    assert np.abs(colour[1:-1, 1:-1].astype(int) - picture()[1:-1, 1:-1]).max() <= 1
    assert np.isfinite(depth).all()


def test_a_transparent_sheet_hides_nothing() -> None:
    """A sheet with opacity 0 writes neither colour nor depth."""
    points, faces = lattice(5)
    colour, depth = empty()
    draw_grid(points, faces, points[:, :2].copy(), np.zeros(len(points), np.float32), picture(), colour, depth)
    assert not colour.any()
    assert np.isinf(depth).all()


def test_invalid_points_draw_nothing() -> None:
    """Points that are not finite or behind the camera do not change the buffers."""
    for value in (np.nan, -1.0):
        points, faces = lattice(10)
        uv = points[:, :2].copy()
        points[:, 2 if value < 0 else 0] = value
        colour, depth = empty()
        draw_grid(points, faces, uv, np.ones(len(points), np.float32), picture(), colour, depth)
        assert not colour.any()


def test_the_mesh_kernel_agrees_with_the_slow_twin() -> None:
    """Random triangles in three-way colour: compiled loop and per-pixel numpy differ by at most one grey level."""
    rng = np.random.default_rng(4)
    points = rng.uniform(0, SIDE, (30, 3)).astype(np.float32)
    points[:, 2] = rng.uniform(1, 3, 30)
    faces = rng.integers(0, 30, (25, 3)).astype(np.int32)
    uv, mirrored = (rng.uniform(2, SIDE - 2, (30, 2)).astype(np.float32) for _ in range(2))
    share = rng.dirichlet((1, 1, 1), 30)[:, :2].astype(np.float32)
    fill = rng.uniform(0, 255, (30, 3)).astype(np.float32)
    colour, depth = empty()
    alpha = np.ones(30, np.float32)
    draw_mesh(points, faces, uv, mirrored, share, fill, alpha, False, picture()[..., :3].copy(), colour, depth)
    expected, reached = slow_mesh(points, faces, uv, mirrored, share, fill, picture()[..., :3])
    assert np.array_equal(np.isfinite(depth), np.isfinite(reached))
    assert np.abs(colour[..., :3].astype(int) - expected).max() <= 1


def slow_mesh(points, faces, uv, mirrored, share, fill, texture):
    """A simple version: every triangle tests every pixel."""
    from scipy.ndimage import map_coordinates

    def look(at: np.ndarray) -> np.ndarray:
        return np.stack(
            [map_coordinates(texture[..., k].astype(float), [at[1:] - 0.5, at[:1] - 0.5], order=1)[0] for k in range(3)]
        )

    colour, depth = np.zeros((SIDE, SIDE, 3), int), np.full((SIDE, SIDE), np.inf)
    for face in faces:
        corners = np.concatenate([points[face, :2].T.astype(float), np.ones((1, 3))])
        if abs(np.linalg.det(corners)) < 1e-9:
            continue
        inverse = np.linalg.inv(corners)
        for y in range(SIDE):
            for x in range(SIDE):
                weights = inverse @ [x + 0.5, y + 0.5, 1.0]
                z = weights @ points[face, 2]
                if (weights < 0).any() or z >= depth[y, x]:
                    continue
                mine, other = weights @ share[face]
                value = (1 - mine - other) * (weights @ fill[face])
                value = value + mine * look(weights @ uv[face]) + other * look(weights @ mirrored[face])
                colour[y, x], depth[y, x] = value.round(), z
    return colour, depth


def test_skinning_with_one_joint_is_that_joint() -> None:
    """A point with weight 1 on one joint follows the transform of that joint."""
    rng = np.random.default_rng(1)
    transforms = rng.normal(size=(55, 3, 4)).astype(np.float32)
    rest = rng.normal(size=(7, 3)).astype(np.float32)
    joints = np.arange(7, dtype=np.int32)[:, None]
    out = np.empty_like(rest)
    skin_points(rest, joints, np.ones((7, 1), np.float32), transforms, out)
    expected = np.einsum("nab,nb->na", transforms[:7, :, :3], rest) + transforms[:7, :, 3]
    assert np.allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("nearest", [0, 1])
def test_the_nearer_layer_is_visible(nearest: int) -> None:
    """Of two opaque layers the one with less depth is visible, in any order."""
    colour = np.zeros((2, 4, 4, 4), np.uint8)
    colour[0], colour[1] = (200, 0, 0, 255), (0, 200, 0, 255)
    depth = np.full((2, 4, 4), 2.0, np.float32)
    depth[nearest] = 1.0
    out = np.empty((4, 4, 4), np.float32)
    boxes = np.array([[0, 0, 4, 4]] * 2)
    merge_layers(colour, depth, np.zeros(2, np.float32), 0.008, boxes, out)
    assert out[0, 0, nearest] == 200
    assert out[0, 0, 3] == 1.0


def test_where_nothing_is_drawn_the_background_stays() -> None:
    """An empty puppet over a background gives the unchanged background."""
    back = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    out = np.empty_like(back)
    composite_over(np.zeros((9, 9, 4), np.float32), back, out)
    assert np.array_equal(out, back)
