"""Retargeting: the driver's movement, the reference's body, the head at the same height."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.model import Body, pose_motion
from stages.errors import InputError
from stages.retarget.config import RetargetConfig
from stages.retarget.retarget import retarget
from stages.retarget.scripted import scripted_motion
from tests.motions import joint, standing


def test_onto_itself_changes_nothing(body: Body) -> None:
    """A motion retargeted to its own shape is the same motion, and the report has no changes."""
    driver = standing(body, seed=1)
    target, report = retarget(driver, driver, body)
    np.testing.assert_allclose(target.trans, driver.trans, atol=1e-6)
    np.testing.assert_array_equal(target.poses, driver.poses)
    assert report.height_ratio == pytest.approx(1.0)
    assert report.hand_hand_change_max_cm == pytest.approx(0.0, abs=1e-4)


def test_shape_comes_from_the_reference_and_all_else_from_the_driver(body: Body) -> None:
    """Eq. 3: betas of the reference; pose, expression and camera of the driver."""
    driver, reference = standing(body, 4, seed=1), standing(body, 1, seed=2)
    target, _ = retarget(driver, reference, body)
    np.testing.assert_array_equal(target.betas, reference.betas)
    np.testing.assert_array_equal(target.head_betas, reference.head_betas)
    for name in ("poses", "expression", "K", "pts_seconds"):
        np.testing.assert_array_equal(getattr(target, name), getattr(driver, name))


def test_the_head_keeps_its_height(body: Body) -> None:
    """0.B.5: one constant offset keeps the head's mean y in frame 0 the same before and after the swap."""
    driver, reference = standing(body, 4, seed=1), standing(body, 1, seed=2)
    target, report = retarget(driver, reference, body)
    head = body.part_vertices("head")
    before, after = (pose_motion(body, motion).vertices[0, head, 1].mean() for motion in (driver, target))
    assert after == pytest.approx(before, abs=1e-5)
    shift = target.trans - driver.trans
    assert np.ptp(shift, axis=0).max() < 1e-6
    assert shift[0, 1] == pytest.approx(report.head_offset_y_m, abs=1e-6)
    assert abs(report.height_ratio - 1) > 0.005


def test_no_disentangle_keeps_the_drivers_body(body: Body) -> None:
    """With disentangle off the shape and the translation are the driver's."""
    driver, reference = standing(body, seed=1), standing(body, 1, seed=2)
    target, _ = retarget(driver, reference, body, RetargetConfig(disentangle=False))
    np.testing.assert_array_equal(target.betas, driver.betas)
    np.testing.assert_allclose(target.trans, driver.trans, atol=1e-6)


def test_the_report_measures_faces_outside_the_picture(body: Body) -> None:
    """The share of frames with the face in the picture is 0 for a head outside the picture, and 1 inside."""
    driver = standing(body, seed=None)
    out = replace(driver, trans=driver.trans - np.array([0, 0.5, 0], np.float32))
    _, report = retarget(out, driver, body)
    assert report.face_in_frame_before == 0.0
    _, report = retarget(driver, driver, body)
    assert report.face_in_frame_before == 1.0


def test_the_report_measures_hands_in_centimetres(body: Body) -> None:
    """The reported change of the hand distance is that of the joints of both motions."""
    driver, reference = standing(body, 3, seed=1), standing(body, 1, seed=5)
    target, report = retarget(driver, reference, body)
    distances = []
    for motion in (driver, target):
        joints = pose_motion(body, motion).joints
        distances.append(np.linalg.norm(joints[:, 20] - joints[:, 21], axis=-1) * 100)
    assert report.hand_hand_change_mean_cm == pytest.approx(np.abs(distances[1] - distances[0]).mean(), rel=1e-3)


def test_unseen_hands_keep_the_drivers_scale(body: Body) -> None:
    """A reference without valid hands does not change the driver's hand scale."""
    driver = replace(standing(body), hand_scale=1.1)
    reference = replace(standing(body, 1), hand_scale=0.9)
    hidden = replace(reference, valid=np.array([[True, True, False, False]]))
    assert retarget(driver, reference, body)[0].hand_scale == 0.9
    assert retarget(driver, hidden, body)[0].hand_scale == 1.1


@pytest.mark.parametrize("seen", [(True, False, True, True), (False, True, True, True)])
def test_an_unseen_head_or_body_keeps_the_drivers_head_scale(body: Body, seen: tuple[bool, ...]) -> None:
    """A reference without a valid body or face does not change the driver's head scale."""
    driver = replace(standing(body), head_scale=1.05)
    reference = replace(standing(body, 1), head_scale=0.95)
    hidden = replace(reference, valid=np.array([seen]))
    assert retarget(driver, reference, body)[0].head_scale == 0.95
    assert retarget(driver, hidden, body)[0].head_scale == 1.05


@pytest.mark.parametrize("role", ["driving", "reference"])
def test_a_motion_of_another_body_is_an_input_error(body: Body, role: str) -> None:
    """The error for a motion fitted on another body names the motion and both bodies."""
    driver, reference = standing(body), standing(body, 1)
    foreign = replace(driver if role == "driving" else reference, body_model="ehm", body_sha256="f" * 64)
    pair = (foreign, reference) if role == "driving" else (driver, foreign)
    with pytest.raises(InputError, match=rf"{role} motion was fitted on body 'ehm'.*'open'"):
        retarget(*pair, body)


def test_scripted_motion_starts_in_the_photo_and_moves(body: Body) -> None:
    """The scripted motion starts in the photo's pose, turns the head, opens the mouth and closes the eyes."""
    reference = standing(body, 1)
    script = scripted_motion(reference, body)
    assert len(script) == 100
    np.testing.assert_allclose(script.poses[0], reference.poses[0], atol=1e-5)
    assert np.ptp(script.poses[:, joint("head")][:, 1]) > 0.3
    assert np.ptp(script.poses[:, joint("jaw")][:, 0]) > 0.1
    assert script.expression[:, body.expression_names.index("eyeBlinkLeft")].max() > 0.9
