"""The pinhole camera."""

from __future__ import annotations

import numpy as np

from stages.body.camera import NEAR_M, default_intrinsics, project, resized


def test_axis_meets_the_centre() -> None:
    """A point straight ahead lands on the picture's centre at its own depth."""
    K = default_intrinsics(640, 480)
    np.testing.assert_allclose(project(np.array([[0, 0, 2.5]]), K), [[320, 240, 2.5]])


def test_right_is_right_and_down_is_down() -> None:
    """x grows to the right and y downwards, by focal length over depth."""
    K = default_intrinsics(640, 480)
    x, y, _ = project(np.array([[0.1, 0.2, 2.0]]), K)[0]
    np.testing.assert_allclose([x, y], [320 + 800 * 0.05, 240 + 800 * 0.1], rtol=1e-6)


def test_size_falls_with_depth() -> None:
    """Twice as far is half as large."""
    K = default_intrinsics(100, 100)
    near, far = (project(np.array([[-0.5, 0, z], [0.5, 0, z]]), K) for z in (2.0, 4.0))
    np.testing.assert_allclose(np.ptp(near[:, 0]), 2 * np.ptp(far[:, 0]))


def test_one_camera_a_frame() -> None:
    """A batch of frames takes a batch of cameras."""
    points = np.random.default_rng(0).uniform(1, 2, (3, 5, 3))
    K = np.stack([default_intrinsics(100 * n, 80) for n in (1, 2, 3)])
    one_by_one = np.stack([project(row, camera) for row, camera in zip(points, K, strict=True)])
    np.testing.assert_allclose(project(points, K), one_by_one)


def test_behind_the_camera_stays_finite() -> None:
    """A point behind the camera keeps its depth and projects as if it stood at the near plane."""
    K = default_intrinsics(100, 100)
    x, y, z = project(np.array([[0.1, 0, -1.0]]), K)[0]
    np.testing.assert_allclose([x, y, z], [50 + K[0, 0] * 0.1 / NEAR_M, 50, -1.0], rtol=1e-6)


def test_resizing_the_picture_resizes_the_projection() -> None:
    """Projecting with resized intrinsics is projecting and then resizing."""
    K = default_intrinsics(640, 480)
    point = np.array([[0.3, -0.2, 1.7]])
    direct = project(point, resized(K, 0.5, 2.0))
    np.testing.assert_allclose(direct, project(point, K) * [0.5, 2.0, 1.0], rtol=1e-6)
