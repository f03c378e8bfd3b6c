"""A synthetic body that is posed, projected and fitted is recovered; unseen parts stay plausible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.summary import summarize
from tests.motions import joint, standing
from tests.track.synthetic import observe


@pytest.fixture(scope="module")
def truth(body: Body) -> Motion:
    """Twelve frames of a random person whose head turns, whose mouth opens and whose left eye closes."""
    motion = standing(body, 12, seed=3, size=(640, 640))
    turn = np.linspace(-0.3, 0.3, 12)
    motion.poses[:, joint("head")][:, 1] = turn
    motion.poses[:, joint("jaw")][:, 0] = np.linspace(0, 0.3, 12)
    motion.expression[:, body.expression_names.index("eyeBlinkLeft")] = np.linspace(0, 1, 12)
    return replace(motion, betas=0.5 * motion.betas, head_betas=0.7 * motion.head_betas)


def aligned_error_mm(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean distance after the best similarity transform (Umeyama 1991), millimetres."""
    a, b = ours - ours.mean(0), theirs - theirs.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * np.diag(sign)).sum() / (a**2).sum()
    return float(np.linalg.norm(scale * a @ (u @ sign @ vt).T - b, axis=-1).mean() * 1000)


def test_exact_keypoints_recover_the_body(body: Body, truth: Motion) -> None:
    """Without noise: head, hands and upper body within the limits after alignment; mouth and blink are followed."""
    found = fit(observe(body, truth), body)
    ours, theirs = (pose_motion(body, motion).vertices for motion in (found, truth))
    limits = {
        ("head",): 3.0,
        ("left_hand",): 6.0,
        ("right_hand",): 6.0,
        ("torso", "head", "left_arm", "right_arm"): 40.0,
    }
    for parts, limit in limits.items():
        chosen = body.part_vertices(*parts)
        errors = [aligned_error_mm(a[chosen], b[chosen]) for a, b in zip(ours, theirs, strict=True)]
        assert np.mean(errors) < limit, parts
    jaw = joint("jaw")
    assert np.corrcoef(found.poses[:, jaw][:, 0], truth.poses[:, jaw][:, 0])[0, 1] > 0.98
    blink = body.expression_names.index("eyeBlinkLeft")
    assert found.expression[-1, blink] - found.expression[0, blink] > 0.6


def test_reprojection_is_close_and_reported(body: Body, truth: Motion) -> None:
    """The stored error is the distance of the fitted keypoints from the observed ones, and it is small."""
    observations = observe(body, truth, noise=1.0)
    found = fit(observations, body)
    summary = summarize(found)
    assert summary.error_face is not None
    assert summary.error_body is not None
    assert summary.error_face < 0.012
    assert summary.error_body < 0.06
    points = project(keypoints_from(body, motion_template(body, found), pose_motion(body, found)), found.K)
    lip = body.keypoint_names.index("face_013")
    distance = np.linalg.norm(points[:, lip, :2] - observations.face[:, 13, :2], axis=-1).mean()
    assert distance < 3 * found.error_px[:, 1].mean() + 0.5


def test_frames_without_a_person_keep_their_rows(body: Body, truth: Motion) -> None:
    """Frames without a person are kept, marked invalid, finite, and lie between their neighbours."""
    observations = observe(body, truth)
    for name in ("pose", "pose_world", "face", "left_hand", "right_hand"):
        getattr(observations, name)[5:7] = np.nan
    observations.found[5:7] = False
    found = fit(observations, body)
    assert len(found) == 12
    assert found.valid[:, 0].tolist() == [True] * 5 + [False] * 2 + [True] * 5
    assert np.isfinite(found.poses).all()
    head = found.poses[:, joint("head")][:, 1]
    assert min(head[4], head[7]) - 0.05 <= head[5] <= max(head[4], head[7]) + 0.05


def test_the_size_of_the_detectors_world_is_not_believed(body: Body, truth: Motion) -> None:
    """World landmarks that are a fifth smaller change nothing: the person does not shrink."""
    observations = observe(body, truth)
    found, small = (fit(replace(observations, pose_world=f * observations.pose_world), body) for f in (1.0, 0.8))
    np.testing.assert_allclose(small.betas, found.betas, atol=0.02)
    flat = observations.pose_world * np.array([1, 1, 0.6], np.float32)
    tall = [
        motion_template(body, motion)[:, 1] for motion in (found, fit(replace(observations, pose_world=flat), body))
    ]
    heights = [rows.max() - rows.min() for rows in tall]
    assert abs(heights[1] / heights[0] - 1) < 0.04


def test_a_face_alone_does_not_shrink_the_head(body: Body, truth: Motion) -> None:
    """Without shoulders head_scale stays 1, because it could make up for a wrong depth (notes/tracker)."""
    observations = observe(body, truth)
    observations.pose[:, 11:, 2] = 0.05
    observations.left_hand[:] = observations.right_hand[:] = np.nan
    observations.found[:, 2:] = False
    found = fit(observations, body)
    assert found.head_scale == 1.0
    assert found.hand_scale == 1.0


def test_an_arm_outside_the_picture_does_not_use_the_other_hand(body: Body, truth: Motion) -> None:
    """A left wrist detected on the right hand, with the left elbow outside and no left hand, is not followed (d5)."""
    observations = observe(body, truth)
    observations.pose[:, 13, :2] = (320, 900)
    observations.pose[:, 15, :2] = observations.right_hand[:, 0, :2]
    observations.left_hand[:] = np.nan
    observations.found[:, 2] = False
    found = fit(observations, body)
    posed = keypoints_from(body, motion_template(body, found), pose_motion(body, found))
    wrist = project(posed, found.K)[:, body.keypoint_names.index("pose_15"), :2]
    away = np.linalg.norm(wrist - observations.pose[:, 15, :2], axis=-1)
    assert away.min() > 0.5 * found.face_height_px.min()


def test_a_hand_that_the_fit_cannot_follow_is_invalid(body: Body, truth: Motion) -> None:
    """A hand with shuffled points in one frame is marked missed in that frame, and valid in all others."""
    observations = observe(body, truth)
    hand = observations.right_hand[6]
    hand[1:] = np.random.default_rng(0).permutation(hand[1:])
    found = fit(observations, body)
    column = found.gate_names.index("right_hand: missed by the fit")
    assert found.gates is not None
    assert np.flatnonzero(found.gates[:, column]).tolist() == [6]
    assert found.valid[:, 3].tolist() == [True] * 6 + [False] + [True] * 5
    assert found.error_px[6, 3] == 0


def test_scales_are_bounded(body: Body, truth: Motion) -> None:
    """A head of scale 1.5 is fitted with the largest allowed scale, 1.15."""
    found = fit(observe(body, replace(truth, head_scale=1.5)), body)
    assert 1.0 <= found.head_scale <= 1.15 + 1e-6


def test_a_photo_is_one_row(body: Body, truth: Motion) -> None:
    """A single frame is fitted, without neighbours."""
    from stages.artifacts.motion import select_rows

    one = select_rows(truth, slice(3, 4))
    found = fit(observe(body, one), body)
    assert found.is_photo
    assert summarize(found).error_face < 0.02  # type: ignore[operator]


def test_windows_agree_with_the_whole_fit(body: Body, truth: Motion) -> None:
    """A clip fitted in windows moves like the clip fitted at once, also across the border of two windows."""
    observations = observe(body, truth, noise=0.5)
    whole = fit(observations, body)
    cut = fit(observations, body, TrackConfig(window_frames=6, overlap_frames=3, identity_frames=6))
    assert len(cut) == 12
    a, b = (pose_motion(body, motion).joints for motion in (whole, cut))
    a, b = a - a[:, 12:13], b - b[:, 12:13]
    assert np.linalg.norm(a - b, axis=-1)[:, :22].mean() < 0.025
    steps = np.linalg.norm(np.diff(b, axis=0), axis=-1)[:, :22].mean(1)
    assert steps[5] < 2.5 * np.median(steps)


def test_the_fit_is_deterministic(body: Body, truth: Motion) -> None:
    """The same observations fitted twice give exactly the same poses."""
    observations = observe(body, truth, noise=1.0)
    np.testing.assert_array_equal(fit(observations, body).poses, fit(observations, body).poses)


def test_who_walks_is_not_held_back(body: Body) -> None:
    """A person who crosses the picture at 1.2 m/s is where they are at both ends of the clip, and as large as they
    are: smoothness asks nothing of a steady movement."""
    frames = 40
    motion = standing(body, frames)
    place = motion.trans + np.array([0, 0, 2.5], np.float32)
    place[:, 0] += np.linspace(-0.5, 0.5, frames) * 1.2 * frames / float(motion.fps)
    motion = replace(motion, trans=place)
    found = fit(observe(body, motion, noise=1.0), body, TrackConfig(focal_px=float(motion.K[0, 0, 0])))
    off = (found.trans[:, 0] - motion.trans[:, 0]) * motion.trans[0, 2] / found.trans[:, 2]
    assert np.abs(off[[0, -1]]).max() < 0.02
    assert np.ptp(motion_template(body, found)[:, 1]) == pytest.approx(np.ptp(body.v_template[:, 1]), rel=0.03)
