"""The floor under made steps, and the contacts with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Bool

from benchmarks.foot_motions import MadeSteps, foot_scripts, make_steps, tracked_like
from stages.artifacts.contacts import CONTACT_PARTS
from stages.artifacts.describe import describe_npz
from stages.artifacts.floor import floor_said
from stages.artifacts.motion import MOTION, Motion, load_motion, save_motion, select_rows
from stages.artifacts.motion_shots import join_shots
from stages.artifacts.provenance import Provenance
from stages.artifacts.world import World
from stages.body.model import Body
from stages.body.rotations import matrix_from_rotvec
from stages.contacts.find import with_contacts
from stages.contacts.floor import find_floor
from stages.contacts.on_floor import floor_touches
from stages.contacts.soles import sole_vertices
from stages.contacts.surface import Person, sample_surface
from stages.errors import InputError
from tests.contacts.kneeling import kneeling
from tests.motions import standing

PITCH = np.radians(15)


@pytest.fixture(scope="module")
def steps(body: Body) -> MadeSteps:
    """A walk towards a camera that looks 15 degrees down."""
    return make_steps(body, np.zeros(10, np.float32), foot_scripts()[0], PITCH)


def down_in(motion: Motion, body: Body) -> Bool[np.ndarray, "frames 6"]:
    """Rows in which each point of the soles has a contact with the motion's floor."""
    assert motion.floor is not None
    vertices = [patch[0] for patch in sole_vertices(body)]
    found = np.zeros((len(motion), 6), bool)
    for _, touch in floor_touches(Person.of(body, motion, sample_surface(body)), motion, motion.floor[0]):
        corner = body.faces[touch.faces[0]][touch.barycentric[0].argmax()]
        found[slice(*touch.rows), vertices.index(corner)] = True
    return found


def tilt_degrees(first: np.ndarray, second: np.ndarray) -> float:
    """Angle between two floors."""
    return float(np.degrees(np.arccos(np.clip(first[:3] @ second[:3], -1, 1))))


def test_the_floor_under_a_walk_is_found(body: Body, steps: MadeSteps) -> None:
    """Within 1 degree and 5 cm of the true one, under a camera that looks 15 degrees down; every row holds it."""
    floor = find_floor(steps.motion, body)
    assert tilt_degrees(floor[0], steps.floor) < 1.0
    assert abs(floor[0, 3] - steps.floor[3]) < 0.05
    assert (floor == floor[0]).all()


def test_heels_and_toes_touch_when_they_are_down(body: Body, steps: MadeSteps) -> None:
    """In 95 of 100 rows the found contacts are the known ones, heel and toe apart."""
    found = down_in(with_contacts(steps.motion, body), body)
    assert (found[:, :4] == steps.down).mean() > 0.95
    assert not found[:, 4:].any()


def test_noise_of_tracking_hides_few_steps(body: Body, steps: MadeSteps) -> None:
    """With a tracker's noise, floor within 6 degrees, precision and recall of rows above 0.8."""
    noisy = with_contacts(tracked_like(steps.motion, seed=5), body)
    assert noisy.floor is not None
    assert tilt_degrees(noisy.floor[0], steps.floor) < 6
    found = down_in(noisy, body)[:, :4]
    both = (found & steps.down).sum()
    assert both / found.sum() > 0.8
    assert both / steps.down.sum() > 0.8


def test_a_moving_camera_does_not_move_the_floor(body: Body, steps: MadeSteps) -> None:
    """Seen by a camera that turns and travels, with its world, the same steps give the same contacts."""
    frames = len(steps.motion)
    turn = matrix_from_rotvec(np.stack([np.zeros(frames), 0.2 * np.sin(np.arange(frames) / 20), np.zeros(frames)], -1))
    path = np.stack([0.01 * np.arange(frames), np.zeros(frames), np.zeros(frames)], -1)
    moved = seen_from(steps.motion, body, World(turn, path, np.full(frames, "travelling")))
    still = with_contacts(steps.motion, body)
    found = with_contacts(moved, body)
    assert still.floor is not None
    assert found.floor is not None
    np.testing.assert_allclose(found.floor[0], still.floor[0], atol=0.03)
    assert (down_in(found, body) == down_in(still, body)).mean() > 0.97


def seen_from(motion: Motion, body: Body, world: World) -> Motion:
    """The same movement in the frame of other cameras."""
    from stages.body.model import motion_template
    from stages.body.rotations import rotvec_from_matrix

    pelvis = (body.J_regressor @ motion_template(body, motion))[0]
    back = np.swapaxes(world.R, -1, -2)
    poses = motion.poses.copy()
    poses[:, :3] = rotvec_from_matrix(back @ matrix_from_rotvec(poses[:, :3].astype(np.float64)))
    trans = (back @ (motion.trans + pelvis - world.t)[..., None])[..., 0] - pelvis
    return replace(motion, poses=poses, trans=trans.astype(np.float32), **world.as_rows())


def test_knees_touch_the_floor_of_who_kneels(body: Body) -> None:
    """Standing for a second, then upright on both knees: the knees touch in the second half, not in the first."""
    found = with_contacts(kneeling(body), body)
    assert found.contacts is not None
    assert {"shin to floor", "foot to floor"} <= set(found.contacts.kinds())
    knees = down_in(found, body)[:, 4:]
    assert knees[35:].all()
    assert not knees[:28].any()


def test_no_floor_where_no_feet_are_seen(body: Body) -> None:
    """A half body has no floor and no contact with one, and `inspect` says so."""
    found = with_contacts(standing(body, 30), body)
    assert found.floor is not None
    assert np.isnan(found.floor).all()
    assert found.contacts is not None
    assert CONTACT_PARTS.index("floor") not in found.contacts.parts
    assert floor_said(found.floor) == "not found"


@pytest.mark.parametrize(("source", "doubtful"), [("estimated", True), ("assumed", True), ("given", False)])
def test_a_floor_under_an_estimated_focal_length_is_called_doubtful(
    body: Body, steps: MadeSteps, tmp_path: Path, source: str, doubtful: bool
) -> None:
    """A wrong focal length puts person and floor at a wrong distance; one that is given does not."""
    found = replace(steps.motion, floor=find_floor(steps.motion, body))
    path = tmp_path / "steps.npz"
    save_motion(path, replace(found, provenance=Provenance("track", notes={"focal_source": source})))
    said = describe_npz(path, {MOTION.kind: MOTION}).figures["floor"]
    assert said.endswith(f"; doubtful, because the focal length is {source}") == doubtful
    assert said.startswith("1.29 m below the camera, leans 15 degrees")


def test_feet_that_never_rest_have_no_floor(body: Body, steps: MadeSteps) -> None:
    """Somebody who falls past the camera stands on nothing."""
    trans = steps.motion.trans[:30].copy()
    trans[:, 1] += 0.05 * np.arange(30) - 1.0
    motion = replace(select_rows(steps.motion, slice(0, 30)), trans=trans)
    assert np.isnan(find_floor(motion, body)).all()


def test_each_shot_has_a_floor_of_its_own(body: Body, steps: MadeSteps) -> None:
    """Two shots with different cameras keep two planes, through a file too."""
    level = make_steps(body, np.zeros(10, np.float32), foot_scripts()[3])
    found = with_contacts(join_shots([level.motion, steps.motion]), body)
    assert found.floor is not None
    assert tilt_degrees(found.floor[0], level.floor) < 3
    assert tilt_degrees(found.floor[-1], steps.floor) < 3
    assert found.floor[0, 2] > -0.1 > found.floor[-1, 2]


def test_a_floor_survives_the_file_and_damage_is_named(body: Body, steps: MadeSteps, tmp_path: Path) -> None:
    """What is saved is loaded; a normal of another length is refused in one line."""
    motion = with_contacts(select_rows(steps.motion, slice(0, 40)), body)
    save_motion(tmp_path / "m.npz", motion)
    loaded = load_motion(tmp_path / "m.npz")
    assert motion.floor is not None
    assert loaded.floor is not None
    np.testing.assert_array_equal(loaded.floor, motion.floor)
    with pytest.raises(InputError, match="'emosh_floor' is no plane at row 3"):
        save_motion(tmp_path / "n.npz", replace(motion, floor=damaged(motion.floor)))


def damaged(floor: np.ndarray) -> np.ndarray:
    """With a normal that is too long in row 3."""
    floor = floor.copy()
    floor[3, :3] *= 2
    return floor
