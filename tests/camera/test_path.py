"""What a camera does and its path, from points of known scenes."""

from __future__ import annotations

import numpy as np
import pytest

from stages.artifacts.world import STILL, TRAVELLING, TURNING, UNKNOWN
from stages.body.rotations import rotvec_from_matrix
from stages.camera.background import Background
from stages.camera.focal import turned_focal
from stages.camera.path import CameraPath, camera_path
from tests.camera.scenes import FOCAL, SIZE, about, followed

FRAMES = 40
STEPS = np.arange(FRAMES)
STAYS = np.zeros((FRAMES, 3))


def path_of(segments: list, focal_px: float = FOCAL) -> CameraPath:
    """The path of a shot of FRAMES frames."""
    return camera_path(segments, 0, FRAMES, SIZE, 1.0, focal_px)


def degrees_off(path: CameraPath, R: np.ndarray) -> float:
    """Largest rotation error, degrees; R is the identity in the first frame."""
    return float(np.degrees(np.linalg.norm(rotvec_from_matrix(path.R.swapaxes(-1, -2) @ R), axis=-1)).max())


def test_a_still_camera_is_still() -> None:
    """Noise of 0.3 px and people who walk past are no movement."""
    path = path_of(followed(about(1, 0.0 * STEPS), STAYS, noise_px=0.3, moving=0.3))
    assert path.kind == STILL
    np.testing.assert_array_equal(path.R, np.tile(np.eye(3), (FRAMES, 1, 1)))


def test_a_still_camera_with_points_that_wander_is_still() -> None:
    """40 points that a strong compression moves by 3 px show no turn, and a pan of 4 degrees moves them all."""
    noisy = {"noise_px": 3.0, "points": 40}
    assert path_of(followed(about(1, 0.0 * STEPS), STAYS, **noisy)).kind == STILL
    assert path_of(followed(about(1, 0.1 * STEPS), STAYS, **noisy)).kind != STILL


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pan_tilt_and_roll_are_found(axis: int) -> None:
    """20 degrees in 40 frames are found within 0.05 degrees, with two key frames and a fifth of the points astray."""
    R = about(axis, 0.5 * STEPS)
    path = path_of(followed(R, STAYS, (0, 20), moving=0.2))
    assert path.kind == TURNING
    assert degrees_off(path, R) < 0.05
    assert not path.place.any()


def test_zoom_is_no_step_forward() -> None:
    """A focal length that grows by half is found within 0.2 %, and the camera does not turn."""
    zoom = np.exp(0.4 * STEPS / FRAMES)
    path = path_of(followed(about(1, 0.0 * STEPS), STAYS, (0, 20), zoom=zoom))
    assert path.kind == TURNING
    np.testing.assert_allclose(path.zoom, zoom, rtol=2e-3)
    assert degrees_off(path, np.tile(np.eye(3), (FRAMES, 1, 1))) < 0.05


@pytest.mark.parametrize("direction", [(0.02, 0.0, 0.0), (0.0, 0.0, 0.03), (0.015, 0.0, 0.015)])
def test_a_travelling_camera_is_found_up_to_its_unit(direction: tuple[float, float, float]) -> None:
    """The way is found within 2 % of its length, and the turn within 0.2 degrees, over three key frames."""
    R, t = about(1, 0.2 * STEPS), STEPS[:, None] * np.array(direction)
    path = path_of(followed(R, t, (0, 15, 30), moving=0.2))
    assert path.kind == TRAVELLING
    unit = (path.place * t).sum() / (path.place**2).sum()
    assert np.linalg.norm(unit * path.place - t, axis=1).max() < 0.02 * np.linalg.norm(t[-1])
    assert degrees_off(path, R) < 0.2


@pytest.mark.parametrize("grows", [0.4, -0.3])
@pytest.mark.parametrize("direction", [(0.02, 0.0, 0.0), (0.015, 0.0, 0.015)])
def test_a_zoom_on_the_way_is_told_from_the_way(direction: tuple[float, float, float], grows: float) -> None:
    """A camera that pans, travels and zooms: the way is found within 4 % of its length, the zoom within 1 %."""
    R, t, zoom = about(1, 0.2 * STEPS), STEPS[:, None] * np.array(direction), np.exp(grows * STEPS / FRAMES)
    path = path_of(followed(R, t, (0, 15, 30), zoom=zoom, moving=0.2))
    assert path.kind == TRAVELLING
    unit = (path.place * t).sum() / (path.place**2).sum()
    assert np.linalg.norm(unit * path.place - t, axis=1).max() < 0.04 * np.linalg.norm(t[-1])
    assert degrees_off(path, R) < 0.2
    np.testing.assert_allclose(path.zoom, zoom, rtol=0.01)


def test_a_travelling_camera_that_does_not_zoom_has_one_focal_length() -> None:
    """A step forward is no zoom: the zoom is 1 in every frame, exactly."""
    path = path_of(followed(about(1, 0.2 * STEPS), STEPS[:, None] * np.array([0.0, 0.0, 0.03]), (0, 20), moving=0.2))
    assert path.kind == TRAVELLING
    np.testing.assert_array_equal(path.zoom, 1.0)


def test_a_last_key_frame_with_one_frame_is_no_obstacle() -> None:
    """A segment that is too short for depths takes those of the one before."""
    R, t = about(1, 0.2 * STEPS), STEPS[:, None] * np.array([0.02, 0, 0])
    path = path_of(followed(R, t, (0, 20, FRAMES - 2)))
    unit = (path.place * t).sum() / (path.place**2).sum()
    assert path.kind == TRAVELLING
    assert np.linalg.norm(unit * path.place - t, axis=1).max() < 0.02 * np.linalg.norm(t[-1])


def test_too_few_points_are_unknown() -> None:
    """Without points in most frames nothing is told."""
    segments = followed(about(1, 0.5 * STEPS), STAYS, points=5)
    path = path_of(segments)
    assert path.kind == UNKNOWN
    assert not path.place.any()


def test_a_turn_gives_the_focal_length() -> None:
    """A pan of 20 degrees gives it within 2 %; one of half a degree does not, nor does a still camera."""
    shot = slice(0, FRAMES)
    found = turned_focal(Background(tuple(followed(about(1, 0.5 * STEPS), STAYS)), 1.0), shot, SIZE)
    assert found == pytest.approx(FOCAL, rel=0.02)
    for degrees in (0.02, 0.0):
        small = Background(tuple(followed(about(1, degrees * STEPS), STAYS)), 1.0)
        assert turned_focal(small, shot, SIZE) is None
