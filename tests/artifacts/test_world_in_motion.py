"""The camera's path in motion.npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion, load_motion, save_motion, select_rows
from stages.artifacts.motion_shots import join_shots, split_shots
from stages.artifacts.npz import read_npz, write_npz
from stages.artifacts.world import STILL, TRAVELLING, TURNING, World
from stages.body.rotations import matrix_from_rotvec
from stages.errors import InputError
from tests.artifacts.test_motion_file import make_motion


def turned(frames: int = 5) -> tuple[Motion, World]:
    """A motion whose camera turns about y and travels along x."""
    steps = np.arange(frames)[:, None]
    world = World(
        matrix_from_rotvec(steps * np.array([0, 0.1, 0])), steps * np.array([0.2, 0, 0]), np.full(frames, TRAVELLING)
    )
    return replace(make_motion(frames), **world.as_rows()), world


def test_the_world_comes_back_from_the_file(tmp_path: Path) -> None:
    """R, t and the kind of camera are read as they were written."""
    motion, world = turned()
    save_motion(tmp_path / "m.npz", motion)
    found = load_motion(tmp_path / "m.npz").world
    np.testing.assert_allclose(found.R, world.R, atol=1e-6)
    np.testing.assert_allclose(found.t, world.t, atol=1e-6)
    assert found.camera.tolist() == [TRAVELLING] * 5


def test_a_motion_without_a_world_stands_still(tmp_path: Path) -> None:
    """A motion of an earlier emosh reads as one of a still camera."""
    save_motion(tmp_path / "m.npz", make_motion())
    motion = load_motion(tmp_path / "m.npz")
    assert motion.camera is None
    assert motion.world.camera.tolist() == [STILL] * 5
    np.testing.assert_array_equal(motion.world.R, np.tile(np.eye(3), (5, 1, 1)))
    assert not motion.world.t.any()
    assert not motion.world.moves.any()


def test_chosen_rows_and_shots_keep_their_world() -> None:
    """Rows, shots and joined shots have the world of their rows."""
    motion, world = turned()
    np.testing.assert_array_equal(select_rows(motion, slice(1, 3)).world.R, world.R[1:3])
    again = join_shots(split_shots(replace(motion, shot=np.array([0, 0, 1, 1, 1]))))
    np.testing.assert_array_equal(again.world.t, world.t)


def test_points_of_a_turning_camera_stand_still_in_the_world() -> None:
    """A point that stands in the world is found there again from each camera."""
    _, world = turned()
    point = np.array([0.3, -0.2, 4.0])
    seen = (point - world.t)[:, None] @ world.R
    np.testing.assert_allclose(world.points(seen)[:, 0], np.tile(point, (5, 1)), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("emosh_world_R", None, "'emosh_world_R' is missing from the camera's path"),
        ("emosh_camera", None, "'emosh_camera' is missing from the camera's path"),
        ("emosh_world_R", np.diag([1.0, 1.0, -1.0]), "'emosh_world_R' is no rotation at row 3"),
        ("emosh_world_R", 0.9 * np.eye(3), "'emosh_world_R' is no rotation at row 3"),
        ("emosh_world_R", np.full((3, 3), np.nan), "'emosh_world_R' is not finite at row 3"),
        ("emosh_world_t", np.array([0, 0, 1e9]), r"'emosh_world_t' is 1e\+09 at row 3"),
        ("emosh_camera", "walking", "'emosh_camera' is no kind of camera at row 3"),
    ],
)
def test_a_wrong_world_is_refused(tmp_path: Path, name: str, value: object, said: str) -> None:
    """The error names the array and the row."""
    motion, _ = turned()
    save_motion(tmp_path / "m.npz", motion)
    arrays = read_npz(tmp_path / "m.npz")
    if value is None:
        del arrays[name]
    else:
        arrays[name][3] = value
    write_npz(tmp_path / "m.npz", arrays)
    with pytest.raises(InputError, match=said):
        load_motion(tmp_path / "m.npz")


def test_a_turning_camera_moves_and_an_unknown_one_does_not() -> None:
    """`moves` is true for rows whose camera turns or travels."""
    kinds = np.array([STILL, TURNING, TRAVELLING, "unknown"])
    assert replace(World.still(4), camera=kinds).moves.tolist() == [False, True, True, False]
