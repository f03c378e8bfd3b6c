"""Rotations: axioms, round trips and alignment."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from stages.body.rotations import matrix_from_rotvec, rotation_aligning, rotvec_from_matrix, skew


@pytest.fixture
def rotvecs() -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.normal(0, 1.5, (200, 3))


def test_matrices_are_rotations(rotvecs: np.ndarray) -> None:
    """R^T R = 1 and det R = 1, for any axis-angle."""
    matrices = matrix_from_rotvec(rotvecs)
    np.testing.assert_allclose(
        np.swapaxes(matrices, -1, -2) @ matrices, np.broadcast_to(np.eye(3), (200, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-12)


def test_opposite_vector_is_inverse(rotvecs: np.ndarray) -> None:
    """Turning by v and then by -v changes nothing."""
    product = matrix_from_rotvec(rotvecs) @ matrix_from_rotvec(-rotvecs)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-12)


def test_same_axis_angles_add(rotvecs: np.ndarray) -> None:
    """Turns about one axis compose by adding their angles."""
    product = matrix_from_rotvec(0.3 * rotvecs) @ matrix_from_rotvec(0.5 * rotvecs)
    np.testing.assert_allclose(product, matrix_from_rotvec(0.8 * rotvecs), atol=1e-12)


def test_axis_stays(rotvecs: np.ndarray) -> None:
    """A rotation does not move its own axis."""
    np.testing.assert_allclose(np.einsum("nab,nb->na", matrix_from_rotvec(rotvecs), rotvecs), rotvecs, atol=1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-4, 1.0, np.pi - 1e-4])
def test_round_trip(size: float) -> None:
    """Axis-angle to matrix and back is the identity up to half a turn, tiny angles included."""
    vector = size * np.array([0.6, 0.0, 0.8])
    np.testing.assert_allclose(rotvec_from_matrix(matrix_from_rotvec(vector)), vector, atol=1e-9)


def test_quarter_turn_about_z() -> None:
    """A quarter turn about z takes x to y: rotations are right-handed."""
    np.testing.assert_allclose(matrix_from_rotvec(np.array([0, 0, np.pi / 2])) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


def test_keeps_single_precision() -> None:
    """float32 in, float32 out."""
    assert matrix_from_rotvec(np.ones((4, 3), np.float32)).dtype == np.float32


def test_skew_is_the_cross_product(rotvecs: np.ndarray) -> None:
    """skew(v) w = v x w."""
    other = rotvecs[::-1]
    np.testing.assert_allclose(np.einsum("nab,nb->na", skew(rotvecs), other), np.cross(rotvecs, other))


def test_alignment_recovers_a_rotation(rotvecs: np.ndarray) -> None:
    """Kabsch finds the rotation between two copies of a point cloud that is also shifted, for any weights."""
    rotation = matrix_from_rotvec(np.array([0.4, -1.2, 0.7]))
    moved = rotvecs @ rotation.T + [1, 2, 3]
    weights = np.linspace(0.1, 2, len(rotvecs))
    np.testing.assert_allclose(rotation_aligning(rotvecs, moved, weights), rotation, atol=1e-12)


def test_alignment_never_mirrors() -> None:
    """For a mirrored point cloud the result is a rotation, not a reflection."""
    cloud = np.random.default_rng(0).normal(size=(20, 3))
    assert np.linalg.det(rotation_aligning(cloud, cloud * [-1, 1, 1], np.ones(20))) == pytest.approx(1)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 1.0, np.pi - 1e-9, 10.0])
def test_the_rotation_vector_is_scipys(size: float) -> None:
    """The shortest rotation vector is that of scipy's Rotation, at zero, near a half turn and beyond."""
    axes = np.random.default_rng(0).normal(size=(200, 3))
    matrices = matrix_from_rotvec(size * axes / np.linalg.norm(axes, axis=1, keepdims=True))
    expected = Rotation.from_matrix(matrices).as_rotvec()
    np.testing.assert_allclose(rotvec_from_matrix(matrices), expected, atol=1e-14)
