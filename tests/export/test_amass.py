"""Export to AMASS: upright, on the floor, at a whole frame rate."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stages.artifacts.motion import BODY_PARTS
from stages.body.camera import UPRIGHT
from stages.body.model import Body, motion_template, pose_body, pose_motion
from stages.body.rotations import matrix_from_rotvec
from stages.errors import InputError
from stages.export.amass import to_amass
from stages.export.upright import upright
from tests.motions import standing


def test_turning_the_parameters_turns_the_vertices(body: Body) -> None:
    """Posing the upright parameters gives the camera-space vertices with y and z turned, to 0.01 mm."""
    motion = standing(body, 3, seed=4)
    poses, trans = upright(motion, body)
    posed = pose_body(body, motion_template(body, motion), poses.astype(np.float32), trans, motion.expression)
    expected = pose_motion(body, motion).vertices @ UPRIGHT.T.astype(np.float32)
    np.testing.assert_allclose(posed.vertices, expected, atol=1e-5)


def test_the_person_stands_on_the_floor_head_up(body: Body) -> None:
    """The lowest vertex of the clip is at height 0 and the head is above the pelvis."""
    motion = standing(body, 3, seed=5)
    arrays = to_amass(motion, body)
    template = motion_template(body, motion)
    posed = pose_body(body, template, arrays["poses"], arrays["trans"], arrays["expression"])
    assert posed.vertices[..., 1].min() == pytest.approx(0, abs=1e-4)
    assert (posed.joints[:, 15, 1] > posed.joints[:, 0, 1] + 0.3).all()


def test_the_record_says_how_sure_the_tracker_was(body: Body) -> None:
    """The medians of the expected errors of frames with a body, and nothing where no fit says them."""
    motion = standing(body, 3)
    motion.valid[0, 0] = False
    expected = np.tile(np.arange(8.0, dtype=np.float32), (3, 1)) + np.array([[900], [10], [12]], np.float32)
    expected[:, 4] = np.nan
    told = replace(motion, expected_mm=expected, expected_px=expected)
    record = json.loads(str(to_amass(told, body)["emosh_provenance"]))
    assert record["notes"]["expected_mm"] == {
        name: 11 + row for row, name in enumerate(BODY_PARTS) if name != "left_leg"
    }  # fmt: skip
    assert "expected_mm" not in json.loads(str(to_amass(motion, body)["emosh_provenance"]))["notes"]


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_the_frame_rate_becomes_whole_and_the_length_stays(body: Body, fps: Fraction) -> None:
    """At 60 a second the clip lasts as long as before, within one frame, and the rate is a whole number."""
    times = np.arange(10) / float(fps)
    motion = replace(standing(body, 10), fps=fps, pts_seconds=times, duration_seconds=float(10 / fps))
    arrays = to_amass(motion, body, 60)
    assert float(arrays["mocap_frame_rate"]) == 60
    assert len(arrays["trans"]) / 60 == pytest.approx(motion.duration_seconds, abs=1 / 60)
    assert len({len(arrays[key]) for key in ("trans", "poses", "expression", "emosh_valid")}) == 1


def test_samples_between_rows_turn_half_way(body: Body) -> None:
    """At twice the rate every second sample is a row of the source and the others lie half a turn between."""
    motion = standing(body, 4)
    arrays = to_amass(motion, body, 50)
    poses = arrays["poses"].reshape(-1, 55, 3)
    np.testing.assert_allclose(poses[::2][:, 1:], motion.poses.reshape(-1, 55, 3)[:, 1:], atol=1e-5)
    first, middle, last = (matrix_from_rotvec(poses[row, 18].astype(float)) for row in (2, 3, 4))
    np.testing.assert_allclose(first.T @ middle, middle.T @ last, atol=1e-5)


def test_uneven_frame_times_are_evened_out(body: Body) -> None:
    """A variable frame rate is sampled by the rows' own times, not by their numbers."""
    motion = standing(body, 3)
    trans = np.array([[0, 0, 2], [1, 0, 2], [2, 0, 2]], np.float32)
    motion = replace(motion, trans=trans, pts_seconds=np.array([0, 0.9, 1.0]), duration_seconds=1.0)
    x = to_amass(motion, body, 10)["trans"][:, 0]
    assert x[5] - x[0] == pytest.approx(5 / 9, abs=1e-4)


def test_a_photo_is_one_frame(body: Body) -> None:
    """A photo's motion gives one pose at the photo's nominal rate."""
    photo = replace(standing(body, 1), duration_seconds=0.0)
    assert len(to_amass(photo, body)["poses"]) == 1


def test_another_body_is_refused(body: Body) -> None:
    """A motion fitted on another body file is refused by name."""
    with pytest.raises(InputError, match="fitted on body"):
        to_amass(replace(standing(body, 1), body_sha256="0" * 64), body)
