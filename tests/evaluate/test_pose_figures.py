"""The figures of a re-tracked motion that say which joint, how large, and whether the face followed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.body.model import JOINT_NAMES, Body
from stages.evaluate import pose_error as module
from stages.evaluate.pose_error import correlation, pose_error
from tests.motions import joint, standing


def test_only_the_bent_joints_differ(body: Body) -> None:
    """Bending one elbow moves that wrist and what hangs on it, by its forearm's chord, and no other joint."""
    motion = standing(body, 4)
    bent = replace(motion, poses=motion.poses.copy())
    bent.poses[:, joint("left_elbow")] = 0.0
    joints = pose_error(bent, motion, body)["joints_mm"]
    assert joints["left_wrist"] > 50
    still = [name for name, error in joints.items() if error is not None and error < 1e-2]
    assert {"head", "left_elbow", "right_wrist", "pelvis", "right_index3"} <= set(still)
    assert set(joints) == set(JOINT_NAMES) - {"neck"}


def test_the_share_is_of_the_shoulder_width(body: Body) -> None:
    """The relative figure is the absolute one over the distance of the shoulder joints, 0.2 to 0.5 m."""
    motion = standing(body, 4)
    bent = replace(motion, poses=motion.poses.copy())
    bent.poses[:, joint("left_elbow")] = 0.0
    figures = pose_error(bent, motion, body)
    assert 200 < figures["shoulder_width_mm"] < 500
    share = figures["upper_body_share_of_shoulder_width"]
    assert share == pytest.approx(figures["upper_body_mm"] / figures["shoulder_width_mm"])


def test_another_shape_shows_only_in_its_own_figure(body: Body) -> None:
    """Two bodies in one pose: nothing in one shape, millimetres each in their own."""
    motion = standing(body, 3, seed=1)
    other = replace(standing(body, 3, seed=2), poses=motion.poses)
    figures = pose_error(other, motion, body)
    assert figures["upper_body_mm"] == pytest.approx(0, abs=1e-3)
    assert figures["upper_body_mm_own_shape"] > 1


def test_a_jaw_that_opens_less_is_seen(body: Body) -> None:
    """A jaw that opens half as far, in time, gives its mean difference, correlation 1 and a smaller lip peak."""
    motion = standing(body, 12)
    motion.poses[:, joint("jaw")] = 0.0
    motion.poses[:, joint("jaw").start] = 0.3 * np.sin(np.linspace(0, np.pi, 12)) ** 2
    half = replace(motion, poses=motion.poses.copy())
    half.poses[:, joint("jaw")] *= 0.5
    figures = pose_error(half, motion, body)
    opening = np.degrees(motion.poses[:, joint("jaw").start])
    assert figures["jaw_degrees"] == pytest.approx(0.5 * opening.mean(), rel=1e-4)
    assert figures["jaw_correlation"] == pytest.approx(1)
    assert figures["lip_gap_correlation"] > 0.98
    assert 0.3 < figures["lip_gap_peak_ratio"] < 0.9
    assert 0 < figures["lip_gap_error"] < 2 * figures["lip_gap_spread"]


def test_expression_counts_what_the_driver_moves(body: Body) -> None:
    """A blink in time and noise on coefficients that the driver keeps still: correlation 1, error of the noise."""
    motion = standing(body, 30)
    motion.expression[:, 7] = np.sin(np.arange(30)) ** 2
    noisy = replace(motion, expression=motion.expression.copy())
    noisy.expression[:, 3] += 0.1
    figures = pose_error(noisy, motion, body)
    assert figures["expression_correlation"] == pytest.approx(1)
    assert figures["expression_error"] == pytest.approx(0.1 / motion.expression.shape[1], rel=1e-4)
    opposite = replace(motion, expression=1 - motion.expression)
    assert pose_error(opposite, motion, body)["expression_correlation"] == pytest.approx(-1)


def test_only_rows_measured_in_both_count(body: Body) -> None:
    """An absurd row that one of the motions marks invalid changes nothing."""
    motion = standing(body, 6)
    wild = replace(motion, poses=motion.poses.copy(), valid=motion.valid.copy())
    wild.poses[2], wild.valid[2] = 1.0, False
    figures = pose_error(wild, motion, body)
    assert figures["rows"]["body"] == 5
    assert figures["upper_body_mm"] == pytest.approx(0, abs=1e-3)
    assert figures["jaw_degrees"] == 0.0


def test_a_still_series_has_no_correlation() -> None:
    """Rounding is not movement: a constant with float noise gives None, and so do two values."""
    still = np.full(9, 0.2, np.float32) + np.float32(1e-8) * np.arange(9, dtype=np.float32)
    assert correlation(still, np.arange(9.0)) is None
    assert correlation(np.arange(2.0), np.arange(2.0)) is None
    assert correlation(np.arange(9.0), -np.arange(9.0)) == pytest.approx(-1)


def test_rows_are_posed_a_few_at_a_time(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than ROWS_AT_ONCE rows of mesh exist at once, and how many changes no figure."""
    motion = standing(body, 40, seed=3)
    other = replace(motion, poses=motion.poses + np.float32(0.02))
    seen = []
    real = module.pose_motion

    def counting(body, motion, rows):
        posed = real(body, motion, rows)
        seen.append(len(posed.vertices))
        return posed

    monkeypatch.setattr(module, "pose_motion", counting)
    figures = pose_error(other, motion, body)
    assert max(seen) <= module.ROWS_AT_ONCE
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    assert pose_error(other, motion, body)["upper_body_mm"] == pytest.approx(figures["upper_body_mm"], rel=1e-6)
