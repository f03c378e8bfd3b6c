"""A person in the world of a camera that moves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.artifacts.world import STILL, TRAVELLING, TURNING, UNKNOWN
from stages.body.model import Body, motion_template
from stages.body.moved import moved, with_still_camera
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.camera.background import Background
from stages.camera.path import CameraPath
from stages.camera.world import level, with_world, zoomed
from tests.camera.scenes import FOCAL, MIDDLE, SIZE, about, followed
from tests.motions import standing

FRAMES = 40
STEPS = np.arange(FRAMES)
STAYS = np.zeros((FRAMES, 3))


def seen_by(body: Body, R: np.ndarray, t: np.ndarray, turns: np.ndarray | None = None) -> Motion:
    """Somebody who stands 4 m ahead of the first camera (or turns there by `turns`), as the cameras R, t see them."""
    like = standing(body, FRAMES, size=SIZE)
    K = np.tile(np.array([[FOCAL, 0, MIDDLE[0]], [0, FOCAL, MIDDLE[1]], [0, 0, 1]], np.float32), (FRAMES, 1, 1))
    trans = np.tile(np.array([[0, -0.1, 4.0]], np.float32), (FRAMES, 1))
    poses = like.poses.copy()
    if turns is not None:
        poses[:, :3] = rotvec_from_matrix(turns @ matrix_from_rotvec(poses[:, :3].astype(np.float64)))
    motion = replace(like, K=K, trans=trans, poses=poses, fps=Fraction(30), pts_seconds=STEPS / 30)
    back = R.swapaxes(-1, -2)
    poses, trans = moved(motion, body, back, -np.einsum("tij,tj->ti", back, t))
    return replace(motion, poses=poses.astype(np.float32), trans=trans.astype(np.float32))


def pelvis(motion: Motion, body: Body) -> np.ndarray:
    """The pelvis in the world."""
    place = motion.trans + body.J_regressor[0] @ motion_template(body, motion)
    return motion.world.points(place[:, None].astype(float))[:, 0]


def turned_degrees(motion: Motion) -> float:
    """How far the person turns in the world."""
    root = motion.world.R @ matrix_from_rotvec(motion.poses[:, :3].astype(np.float64))
    return float(np.degrees(np.linalg.norm(rotvec_from_matrix(root[-1] @ root[0].T))))


def test_a_pan_moves_nobody(body: Body) -> None:
    """Somebody who stands while the camera pans by 20 degrees stays within 5 mm, and the camera is level."""
    R = about(1, 0.5 * STEPS)
    motion = with_world(seen_by(body, R, STAYS), body, Background(tuple(followed(R, STAYS, (0, 20))), 1.0))
    assert set(motion.world.camera) == {TURNING}
    assert np.ptp(pelvis(motion, body), axis=0).max() < 0.005
    np.testing.assert_allclose(motion.world.R[0], np.eye(3), atol=0.01)


def test_a_camera_that_goes_round_is_no_person_who_turns(body: Body) -> None:
    """The person's picture is the same in both: 40 degrees of turn. The background tells who turned."""
    R, stands = about(1, 1.0 * STEPS), np.array([0, 0, 4.0])
    t = stands - R @ stands
    round_about = seen_by(body, R, t)
    turning = seen_by(body, np.tile(np.eye(3), (FRAMES, 1, 1)), STAYS, about(1, -1.0 * STEPS))
    difference = matrix_from_rotvec(round_about.poses[:, :3]) - matrix_from_rotvec(turning.poses[:, :3])
    assert np.abs(difference).max() < 1e-5
    still_wall = followed(np.tile(np.eye(3), (FRAMES, 1, 1)), STAYS)
    found = {
        name: with_world(motion, body, Background(tuple(segments), 1.0))
        for name, motion, segments in (
            ("camera", round_about, followed(R, t, (0, 20), moving=0.1)),
            ("person", turning, still_wall),
        )
    }
    assert set(found["camera"].world.camera) == {TRAVELLING}
    assert set(found["person"].world.camera) == {STILL}
    assert turned_degrees(found["camera"]) < 0.5
    assert turned_degrees(found["person"]) == pytest.approx(39, abs=0.01)


def test_the_unit_of_a_travelling_camera_comes_from_standing_feet(body: Body) -> None:
    """A camera that travels 0.8 m past somebody who stands has travelled 0.8 m within 3 %."""
    R, t = about(1, 0.2 * STEPS), STEPS[:, None] * np.array([0.02, 0, 0])
    motion = with_world(seen_by(body, R, t), body, Background(tuple(followed(R, t, (0, 20))), 1.0))
    way = np.linalg.norm(motion.world.t[-1] - motion.world.t[0])
    assert way == pytest.approx(np.linalg.norm(t[-1]), rel=0.03)
    assert np.ptp(pelvis(motion, body), axis=0).max() < 0.03


def test_a_zoom_moves_nobody(body: Body) -> None:
    """Somebody who stands while the focal length grows by half was fitted with one length; in the world they stand."""
    zoom = np.exp(0.4 * STEPS / FRAMES)
    still = np.tile(np.eye(3), (FRAMES, 1, 1))
    motion = seen_by(body, still, STAYS)
    middle = body.J_regressor[0] @ motion_template(body, motion)
    place = motion.trans + middle
    typical = np.exp(np.log(zoom).mean())
    place[:, 2] *= typical / zoom
    K = motion.K * np.array([[typical, 1, 1], [1, typical, 1], [1, 1, 1]], np.float32)
    fitted = replace(motion, K=K, trans=(place - middle).astype(np.float32))
    found = with_world(fitted, body, Background(tuple(followed(still, STAYS, (0, 20), zoom=zoom)), 1.0))
    np.testing.assert_allclose(found.K[:, 0, 0], FOCAL * zoom, rtol=3e-3)
    assert np.ptp(pelvis(found, body), axis=0).max() < 0.02


def test_zoomed_keeps_the_place_in_the_picture() -> None:
    """The pelvis is projected to where it was."""
    path = CameraPath(TURNING, np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3)), np.array([1.0, 2.0]), FOCAL)
    K = np.tile(np.array([[FOCAL, 0, 320], [0, FOCAL, 240], [0, 0, 1.0]]), (2, 1, 1))
    trans, middle = np.array([[0.3, 0.2, 3.0], [0.3, 0.2, 3.0]]), np.array([0, 0.1, 0])
    changed, moved_to = zoomed(path, K, trans, middle)
    want, got = (np.einsum("tij,tj->ti", each, place + middle) for each, place in ((K, trans), (changed, moved_to)))
    np.testing.assert_allclose(got[:, :2] / got[:, 2:], want[:, :2] / want[:, 2:])
    assert moved_to[1, 2] == pytest.approx(2 * moved_to[0, 2])


def test_gravity_is_found_from_a_tilted_pan() -> None:
    """A pan about an axis that leans 10 degrees ahead of the first camera is level in the world."""
    lean = about(0, np.array([10.0]))[0]
    cameras = lean @ about(1, np.linspace(0, 60, 30))
    upright = level(lean.T @ cameras)
    axis = rotvec_from_matrix((lean.T @ cameras)[-1] @ (lean.T @ cameras)[0].T)
    down = upright @ (axis / np.linalg.norm(axis))
    assert np.degrees(np.arccos(abs(down[1]))) < 2


def test_without_background_the_camera_is_unknown(body: Body) -> None:
    """A clip of which nothing was followed has the world of a still camera, and says so; a photo stands still."""
    still = np.tile(np.eye(3), (FRAMES, 1, 1))
    motion = with_world(seen_by(body, still, STAYS), body, None)
    assert set(motion.world.camera) == {UNKNOWN}
    np.testing.assert_array_equal(motion.world.R, still)


def test_a_still_camera_sees_what_the_first_one_saw(body: Body) -> None:
    """After a pan is taken out, somebody who stands is in the same place in every row, with the first K."""
    R = about(1, 0.5 * STEPS)
    motion = replace(seen_by(body, R, STAYS), world_R=R, world_t=STAYS, camera=np.full(FRAMES, TURNING))
    drawn = with_still_camera(motion, body)
    assert np.ptp(drawn.trans, axis=0).max() < 1e-5
    turned = matrix_from_rotvec(drawn.poses[:, :3].astype(np.float64))
    assert np.ptp(turned, axis=0).max() < 1e-5
    np.testing.assert_allclose(drawn.trans[0], motion.trans[0], atol=1e-6)
    assert drawn.valid.all()
