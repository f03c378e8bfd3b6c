"""The rasterisers agree with each other and with geometry."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from stages.errors import InputError
from stages.raster.rasterizer import Fragments, rasterizer
from stages.raster.shading import interpolate, interpolate_averaged, vertex_normals


def random_triangles(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles of all sizes, partly outside the picture, some behind the camera."""
    random = np.random.default_rng(seed)
    centre = random.uniform(-10, 74, (count, 1, 2))
    corners = centre + random.normal(size=(count, 3, 2)) * random.uniform(1, 30, (count, 1, 1))
    z = random.uniform(-0.5, 4, (count, 1, 1)) + random.uniform(0, 0.5, (count, 3, 1))
    return np.concatenate([corners, z], -1).reshape(-1, 3).astype(np.float32), np.arange(3 * count).reshape(-1, 3)


def assert_same(a: Fragments, b: Fragments) -> None:
    """Equal up to rounding at shared edges."""
    same = a.face == b.face
    assert same.mean() > 0.999
    np.testing.assert_allclose(a.depth[same], b.depth[same], rtol=1e-4)
    np.testing.assert_allclose(a.barycentric[same], b.barycentric[same], atol=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_numba_equals_its_slow_twin(seed: int) -> None:
    """The compiled loop and the numpy loop draw the same picture."""
    points, faces = random_triangles(seed)
    assert_same(rasterizer("numba")(points, faces, 64, 48), rasterizer("numpy")(points, faces, 64, 48))


@pytest.mark.skipif(importlib.util.find_spec("pytorch3d") is None, reason="pytorch3d is not installed")
def test_pytorch3d_equals_the_slow_twin() -> None:
    """pytorch3d and the numpy loop draw the same picture."""
    points, faces = random_triangles(0)
    points[:, 2] = np.abs(points[:, 2]) + 0.2
    assert_same(rasterizer("pytorch3d")(points, faces, 64, 48), rasterizer("numpy")(points, faces, 64, 48))


@pytest.mark.skipif(importlib.util.find_spec("pytorch3d") is not None, reason="pytorch3d is installed")
def test_missing_pytorch3d_is_a_one_line_error() -> None:
    """Without pytorch3d the error names the rasteriser to use instead."""
    with pytest.raises(InputError, match="rasterizer=numba"):
        rasterizer("pytorch3d")(*random_triangles(0), 64, 48)


def test_an_unknown_name_lists_the_rasterisers() -> None:
    """The error for a misspelt rasteriser lists the known names."""
    with pytest.raises(InputError, match="numba, numpy, pytorch3d"):
        rasterizer("nunba")


def test_interpolated_positions_are_pixel_centres() -> None:
    """Camera-space x and y interpolated on the surface, divided by interpolated z, are the pixel's centre."""
    points, faces = random_triangles(3)
    fragments = rasterizer("numba")(points, faces, 64, 48)
    space = np.concatenate([points[:, :2] * points[:, 2:], points[:, 2:]], -1)
    found = interpolate(fragments, faces, space)
    y, x = np.nonzero(fragments.face >= 0)
    assert len(x) > 500
    np.testing.assert_allclose(found[y, x, 0] / found[y, x, 2], x + 0.5, atol=0.02)
    np.testing.assert_allclose(found[y, x, 1] / found[y, x, 2], y + 0.5, atol=0.02)
    np.testing.assert_allclose(found[y, x, 2], fragments.depth[y, x], rtol=1e-3)


def test_averaging_is_the_mean_of_pixels() -> None:
    """Supersampled interpolation equals the block mean of plain interpolation."""
    points, faces = random_triangles(4)
    fragments = rasterizer("numba")(points, faces, 64, 48)
    colours = np.random.default_rng(0).random((len(points), 3)).astype(np.float32)
    blocks = interpolate(fragments, faces, colours).reshape(24, 2, 32, 2, 3).mean((1, 3))
    np.testing.assert_allclose(interpolate_averaged(fragments, faces, colours, 2), blocks, atol=1e-5)


def test_a_triangle_through_the_camera_is_not_drawn() -> None:
    """A corner behind the camera leaves no pixel, no NaN and no error."""
    points = np.array([[0, 0, 1], [60, 0, 1], [0, 40, -1]], np.float32)
    fragments = rasterizer("numba")(points, np.array([[0, 1, 2]]), 64, 48)
    assert (fragments.face == -1).all()
    assert np.isinf(fragments.depth).all()


def test_sphere_normals_point_outwards() -> None:
    """On a tetrahedron around the origin every vertex normal is the vertex's own direction."""
    vertices = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    np.testing.assert_allclose(vertex_normals(vertices, faces), vertices / np.sqrt(3), atol=1e-6)
