"""The pinhole camera."""

from __future__ import annotations

import numpy as np

from stages.body.camera import NEAR_M, default_intrinsics, project, resize_intrinsics


def test_a_point_straight_ahead_is_at_the_centre() -> None:
    """A point on the optical axis projects to the centre of the picture, at its own depth."""
    K = default_intrinsics(640, 480)
    np.testing.assert_allclose(project(np.array([[0, 0, 2.5]]), K), [[320, 240, 2.5]])


def test_x_grows_to_the_right_and_y_downwards() -> None:
    """The offset from the centre is the offset in metres times focal length over depth."""
    K = default_intrinsics(640, 480)
    x, y, _ = project(np.array([[0.1, 0.2, 2.0]]), K)[0]
    np.testing.assert_allclose([x, y], [320 + 800 * 0.05, 240 + 800 * 0.1], rtol=1e-6)


def test_size_falls_with_depth() -> None:
    """At twice the distance the size is half."""
    K = default_intrinsics(100, 100)
    near, far = (project(np.array([[-0.5, 0, z], [0.5, 0, z]]), K) for z in (2.0, 4.0))
    np.testing.assert_allclose(np.ptp(near[:, 0]), 2 * np.ptp(far[:, 0]))


def test_one_camera_per_frame() -> None:
    """A batch of frames takes a batch of cameras."""
    points = np.random.default_rng(0).uniform(1, 2, (3, 5, 3))
    K = np.stack([default_intrinsics(100 * n, 80) for n in (1, 2, 3)])
    one_by_one = np.stack([project(row, camera) for row, camera in zip(points, K, strict=True)])
    np.testing.assert_allclose(project(points, K), one_by_one)


def test_behind_the_camera_stays_finite() -> None:
    """A point behind the camera keeps its depth and projects as if it were on the near plane."""
    K = default_intrinsics(100, 100)
    x, y, z = project(np.array([[0.1, 0, -1.0]]), K)[0]
    np.testing.assert_allclose([x, y, z], [50 + K[0, 0] * 0.1 / NEAR_M, 50, -1.0], rtol=1e-6)


def test_resizing_the_picture_resizes_the_projection() -> None:
    """Projecting with resized intrinsics equals projecting first and resizing the pixels after."""
    K = default_intrinsics(640, 480)
    point = np.array([[0.3, -0.2, 1.7]])
    direct = project(point, resize_intrinsics(K, 0.5, 2.0))
    np.testing.assert_allclose(direct, project(point, K) * [0.5, 2.0, 1.0], rtol=1e-6)
