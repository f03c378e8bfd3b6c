"""Nearest points on triangles, points inside polygons, and vertex normals."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.body.face_paint import inside_polygon, vertex_normals
from stages.body.surface import closest_barycentric, closest_on_surface

numbers = st.floats(-2, 2, allow_nan=False, width=32)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
TRIANGLE = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]])


@settings(max_examples=60, deadline=None)
@given(point=vectors)
def test_no_point_of_the_triangle_is_nearer(point: np.ndarray) -> None:
    """The nearest point lies on the triangle, and no point of a fine grid over it is nearer."""
    weights = closest_barycentric(point, TRIANGLE)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(), 1)
    grid = np.array([(1 - a - b, a, b) for a in np.linspace(0, 1, 21) for b in np.linspace(0, 1 - a, 21)])
    best = np.linalg.norm(grid @ TRIANGLE - point, axis=1).min()
    assert np.linalg.norm(weights @ TRIANGLE - point) <= best + 1e-9


def test_a_point_on_the_surface_is_its_own_nearest_point() -> None:
    """The nearest point of a point on the mesh is the point itself, on a triangle that contains it."""
    generator = np.random.default_rng(0)
    axis = np.linspace(0, 1, 8)
    vertices = np.array([(x, y, 0.1 * np.sin(5 * x) * y) for x in axis for y in axis])
    corner = np.array([8 * i + j for i in range(7) for j in range(7)])
    faces = np.concatenate(
        [np.stack([corner, corner + 8, corner + 1], 1), np.stack([corner + 1, corner + 8, corner + 9], 1)]
    )
    chosen = generator.integers(0, len(faces), 40)
    weights = generator.dirichlet(np.ones(3), 40)
    points = np.einsum("pk,pkc->pc", weights, vertices[faces[chosen]])
    face, found = closest_on_surface(points, vertices, faces)
    np.testing.assert_allclose(np.einsum("pk,pkc->pc", found, vertices[faces[face]]), points, atol=1e-9)


def test_inside_a_notched_polygon() -> None:
    """The even-odd rule handles a polygon that is not convex."""
    outline = np.array([[0, 0, 0], [4, 0, 0], [4, 4, 0], [2, 1, 0], [0, 4, 0]], float)
    points = np.array([[2, 0.5, 9], [2, 2, 0], [0.5, 3, 0], [5, 1, 0]], float)
    assert inside_polygon(points, outline).tolist() == [True, False, True, False]


def test_normals_of_a_tetrahedron_point_outwards() -> None:
    """Counter-clockwise triangles give outward unit normals."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert (np.einsum("vc,vc->v", normals, vertices - vertices.mean(0)) > 0).all()
