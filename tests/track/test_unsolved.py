"""`--solver none`: the detector's estimates as they are, roughly right, and nothing fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.motions import joint, standing
from tests.track.synthetic import observe
from tests.track.test_fit import aligned_error_mm

NONE = TrackConfig(solver="none")
FINGERS = ("index1", "index2", "middle1", "middle2", "ring1", "ring2", "pinky1", "pinky2")


@pytest.fixture(scope="module")
def truth(body: Body) -> Motion:
    """Twelve frames in which the mouth opens, the left eye closes and the left hand makes a fist."""
    motion = standing(body, 12, seed=3, size=(640, 640))
    motion.poses[:, joint("jaw")][:, 0] = np.linspace(0, 0.3, 12)
    motion.expression[:, body.expression_names.index("eyeBlinkLeft")] = np.linspace(0, 1, 12)
    for name in FINGERS:
        motion.poses[:, joint(f"left_{name}")][:, 2] = np.linspace(0, -1.2, 12)
    return replace(motion, betas=0.3 * motion.betas, head_betas=0.3 * motion.head_betas)


@pytest.fixture(scope="module")
def found(body: Body, truth: Motion) -> Motion:
    """What is made of exact points."""
    return fit(observe(body, truth), body, NONE)


def test_hands_mouth_and_eyelids_follow_the_detector(body: Body, truth: Motion, found: Motion) -> None:
    """Hand shapes within 6 mm; jaw and blink rise with the truth; the right eye stays open."""
    rows = {side: [body.keypoint_names.index(f"{side}_hand_{n:02d}") for n in range(21)] for side in ("left", "right")}
    ours, theirs = (keypoints_from(body, motion_template(body, m), pose_motion(body, m)) for m in (found, truth))
    for chosen in rows.values():
        assert np.mean([aligned_error_mm(a[chosen], b[chosen]) for a, b in zip(ours, theirs, strict=True)]) < 6
    jaws = [motion.poses[:, joint("jaw")][:, 0] for motion in (found, truth)]
    assert np.corrcoef(*jaws)[0, 1] > 0.98
    assert abs(jaws[0][-1] - jaws[1][-1]) < 0.1
    left, right = (found.expression[:, body.expression_names.index(f"eyeBlink{side}")] for side in ("Left", "Right"))
    assert left[-1] - left[0] > 0.5
    assert right.max() < 0.2


def test_nothing_is_fitted(body: Body, truth: Motion, found: Motion) -> None:
    """The shape is the mean one, a fit lies nearer to the points, and the face is put where the points are."""
    assert not found.betas.any()
    assert found.head_scale == 1.0
    fitted = fit(observe(body, truth), body)
    assert found.error_px[:, 0].mean() > 1.5 * fitted.error_px[:, 0].mean()
    assert found.error_px[:, 1].mean() < 0.1 * found.face_height_px.mean()
    assert found.provenance.notes["focal_source"] == "assumed"


def test_a_hand_that_is_not_seen_lies_between_its_neighbours(body: Body, truth: Motion, found: Motion) -> None:
    """Fingers of a gap of three frames are on the line between the frames beside it."""
    observations = observe(body, truth)
    observations.left_hand[5:8] = np.nan
    observations.found[5:8, 2] = False
    filled = fit(observations, body, NONE)
    finger = joint("left_middle1")
    line = np.linspace(found.poses[4, finger], found.poses[8, finger], 5)[1:-1]
    np.testing.assert_allclose(filled.poses[5:8, finger], line, atol=1e-5)
    assert filled.valid[5:8, 2].tolist() == [False] * 3
