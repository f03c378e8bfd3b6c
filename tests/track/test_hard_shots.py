"""Shots on which trackers fail, with a known truth: turns, back views, close-ups, lost parts, frame rates, sizes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.detect.observations import Observations
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.motions import joint, standing
from tests.track.synthetic import observe

SIZE = (640, 640)
QUICK = TrackConfig(window_frames=30, overlap_frames=12, identity_frames=30)


def turning(body: Body, degrees: np.ndarray, fps: int = 25) -> Motion:
    """A person who turns on the spot; 0 degrees faces the camera."""
    motion = replace(standing(body, len(degrees), seed=3, size=SIZE), fps=Fraction(fps))
    facing = np.diag([1.0, -1.0, -1.0])
    about_up = matrix_from_rotvec(np.radians(degrees)[:, None] * np.array([0.0, 1.0, 0.0]))
    motion.poses[:, :3] = rotvec_from_matrix(facing @ about_up)
    return replace(motion, trans=motion.trans + np.array([0, 0.2, 1.4], np.float32), betas=0.5 * motion.betas)


def without_face(seen: Observations, away: np.ndarray) -> Observations:
    """The observations of a head that is turned away: without a face mesh."""
    face, found = seen.face.copy(), seen.found.copy()
    face[away], found[away, 1] = np.nan, False
    return replace(seen, face=face, found=found)


def lost(seen: Observations, part: str, rows: slice) -> Observations:
    """The observations without a hand in some frames."""
    points, found = getattr(seen, part).copy(), seen.found.copy()
    points[rows], found[rows, ("body", "face", "left_hand", "right_hand").index(part)] = np.nan, False
    return replace(seen, **{part: points}, found=found)


def angles_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Degrees between rotation vectors, row by row."""
    turn = np.swapaxes(matrix_from_rotvec(a.astype(float)), -1, -2) @ matrix_from_rotvec(b.astype(float))
    return np.degrees(np.linalg.norm(rotvec_from_matrix(turn), axis=-1))


def test_a_full_turn_has_no_flip(body: Body) -> None:
    """A full turn in two seconds: the torso error is below 6 degrees on average and 25 at most, without a jump."""
    degrees = np.linspace(0, 360, 50)
    truth = turning(body, degrees)
    seen = without_face(observe(body, truth, noise=1.0), np.cos(np.radians(degrees)) < 0.3)
    found = fit(seen, body)
    off = angles_between(found.poses[:, :3], truth.poses[:, :3])
    assert off.mean() < 6
    assert off.max() < 25
    steps = angles_between(found.poses[1:, :3], found.poses[:-1, :3])
    assert steps.max() < 3 * 360 / 49
    head = JOINT_NAMES.index("head")
    apart = np.linalg.norm((pose_motion(body, found).joints - pose_motion(body, truth).joints)[:, head, :2], axis=-1)
    assert apart.max() < 0.08


def test_a_back_view_stays_a_back_view(body: Body) -> None:
    """A clip that never shows the face: the back faces the camera in every frame, and no face is valid."""
    truth = turning(body, np.full(10, 180.0))
    found = fit(without_face(observe(body, truth, noise=1.0), np.ones(10, bool)), body)
    assert angles_between(found.poses[:, :3], truth.poses[:, :3]).max() < 12
    assert found.valid[:, 0].all()
    assert not found.valid[:, 1].any()


def test_a_head_in_profile_follows_nose_and_ears(body: Body) -> None:
    """While the face mesh is rejected in profile, the head still follows the nose and ears of the pose network."""
    truth = standing(body, 16, seed=3, size=SIZE)
    yaw = np.concatenate([np.linspace(0, 1.35, 8), np.linspace(1.35, 0, 8)])
    truth.poses[:, joint("neck")][:, 1], truth.poses[:, joint("head")][:, 1] = 0.4 * yaw, 0.6 * yaw
    seen = without_face(observe(body, truth, noise=0.5), yaw > 1.0)
    found = fit(seen, body)
    assert not found.valid[yaw > 1.0, 1].any()
    names = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")

    def facing(motion: Motion) -> np.ndarray:
        total = np.eye(3)
        for name in names:
            total = total @ matrix_from_rotvec(motion.poses[:, joint(name)].astype(float))
        return rotvec_from_matrix(total)

    assert angles_between(facing(found), facing(truth))[yaw > 1.0].max() < 30


def test_arms_outside_the_picture_stay_outside(body: Body) -> None:
    """Arms that hang below the lower edge are not moved into the picture."""
    truth = standing(body, 8, seed=3, size=SIZE)
    for side, sign in (("left", -1), ("right", 1)):
        truth.poses[:, joint(f"{side}_shoulder")] = [0, 0, sign * 1.35]
        truth.poses[:, joint(f"{side}_elbow")] = 0
    truth = replace(truth, trans=truth.trans + np.array([0, 0.25, -0.9], np.float32))
    seen = observe(body, truth, noise=1.0)
    for part in ("left_hand", "right_hand"):
        seen = lost(seen, part, slice(None))
    hidden = seen.pose.copy()
    hidden[:, [13, 14, 15, 16, *range(17, 33)], 2] = 0.1
    found = fit(replace(seen, pose=hidden), body)
    wrists = [JOINT_NAMES.index(f"{side}_wrist") for side in ("left", "right")]
    at = project(pose_motion(body, found).joints[:, wrists], found.K)
    assert (at[..., 1] > SIZE[1]).all()
    assert not found.valid[:, 2:].any()


def test_a_head_alone_keeps_a_plausible_body(body: Body) -> None:
    """A close-up: the unseen body does not bend and does not move while the head turns."""
    truth = standing(body, 12, seed=3, size=SIZE)
    truth.poses[:, joint("head")][:, 1] = np.linspace(-0.5, 0.5, 12)
    truth = replace(truth, trans=truth.trans + np.array([0, 0.2, -1.2], np.float32))
    seen = observe(body, truth, noise=1.0)
    hidden = seen.pose.copy()
    hidden[:, 11:, 2] = 0.02
    for part in ("left_hand", "right_hand"):
        seen = lost(seen, part, slice(None))
    found = fit(replace(seen, pose=hidden), body)
    spine = np.concatenate([found.poses[:, joint(name)] for name in ("spine1", "spine2", "spine3")], 1)
    assert np.abs(spine).max() < 0.25
    elbows = np.concatenate([found.poses[:, joint(f"{side}_elbow")] for side in ("left", "right")], 1)
    assert np.ptp(elbows, axis=0).max() < 0.05
    upright = matrix_from_rotvec(found.poses[:, :3].astype(float))[:, :, 1] @ np.array([0.0, -1.0, 0.0])
    assert upright.min() > np.cos(np.radians(25))
    assert 0.9 < found.head_scale < 1.1


def test_a_missing_hand_is_interpolated(body: Body) -> None:
    """A hand missing for 0.2 s moves evenly from its pose before the gap to its pose after the gap."""
    truth = standing(body, 16, seed=3, size=SIZE)
    for name in ("index1", "middle1", "ring1", "pinky1"):
        truth.poses[:, joint(f"left_{name}")][:, 2] = np.linspace(0, -0.9, 16)
    found = fit(lost(observe(body, truth), "left_hand", slice(6, 11)), body)
    bend = found.poses[:, joint("left_middle1")][:, 2]
    assert not found.valid[6:11, 2].any()
    assert found.valid[:6, 2].all()
    gap = bend[5:12]
    assert (np.diff(gap) <= 0.02).all()
    assert np.abs(np.diff(gap)).max() < 0.6 * abs(gap[-1] - gap[0])


def test_legs_that_are_never_seen_stay_in_the_rest_pose(body: Body) -> None:
    """In a half-body shot the legs have exactly the rest pose in every frame."""
    truth = standing(body, 6, seed=3, size=SIZE)
    seen = observe(body, truth, noise=1.0)
    hidden = seen.pose.copy()
    hidden[:, 25:, 2] = 0.05
    found = fit(replace(seen, pose=hidden), body)
    for side in ("left", "right"):
        for name in ("hip", "knee", "ankle"):
            assert not found.poses[:, joint(f"{side}_{name}")].any()


@pytest.mark.parametrize("fps", [5, 12, 60])
def test_any_frame_rate_gives_the_same_movement(body: Body, fps: int) -> None:
    """A gesture at 5, 12 and 60 frames per second has an arm error below 1.5 times that at 30 frames per second."""

    def filmed(rate: int) -> tuple[Motion, np.ndarray]:
        at = np.arange(0, 2.001, 1 / rate)
        motion = replace(standing(body, len(at), seed=3, size=SIZE), fps=Fraction(rate))
        for side, sign in (("left", -1), ("right", 1)):
            motion.poses[:, joint(f"{side}_shoulder")][:, 2] = sign * (0.9 + 0.3 * np.sin(np.pi * at))
            motion.poses[:, joint(f"{side}_elbow")][:, 1] = sign * (1.3 + 0.3 * np.sin(np.pi * at))
        motion = replace(motion, pts_seconds=at, duration_seconds=float(at[-1]))
        return motion, pose_motion(body, fit(observe(body, motion, noise=1.0), body)).joints

    def error(rate: int) -> float:
        motion, joints = filmed(rate)
        arms = [JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("elbow", "wrist")]
        neck = JOINT_NAMES.index("neck")
        truth = pose_motion(body, motion).joints
        return float(np.linalg.norm((joints - joints[:, [neck]] - truth + truth[:, [neck]])[:, arms], axis=-1).mean())

    assert error(fps) < 1.5 * error(30)


def test_the_error_of_a_distant_person_is_the_same_share_of_the_face(body: Body) -> None:
    """At 1/6 of the size (a face 11 px high) the error, as a share of the face height, grows by less than half."""
    near = standing(body, 6, seed=3, size=SIZE)
    K = near.K.copy()
    K[:, :2, :2] /= 6
    far = replace(near, K=K)
    shares = []
    for motion in (near, far):
        found = fit(observe(body, motion, noise=1.0), body, TrackConfig(focal_px=float(motion.K[0, 0, 0])))
        shares.append(found.error_px[:, 1].mean() / found.face_height_px.mean())
    assert shares[1] < 1.5 * shares[0]


def test_window_borders_are_as_smooth_as_the_inside(body: Body) -> None:
    """A clip of four windows: the jitter of joints at the borders is at most a tenth higher than inside the windows."""
    truth = standing(body, 110, seed=3, size=SIZE)
    at = np.arange(110) / 25
    for side, sign in (("left", -1), ("right", 1)):
        truth.poses[:, joint(f"{side}_shoulder")][:, 2] = sign * (0.9 + 0.3 * np.sin(4 * at))
    from benchmarks.track_window_borders import jitter, shares

    found = fit(observe(body, truth, noise=1.0), body, QUICK)
    whole = fit(observe(body, truth, noise=1.0), body, TrackConfig(window_frames=200))
    border, inside = shares(jitter(body, found), QUICK.window_frames)
    plain_border, plain_inside = shares(jitter(body, whole), QUICK.window_frames)
    assert border / inside < 1.1 * max(1.0, plain_border / plain_inside)


def test_memory_of_targets_does_not_grow_with_the_clip(body: Body) -> None:
    """A clip with 5 times as many frames needs less than 1.5 times the memory to set up and to measure errors."""
    import tracemalloc

    from stages.progress import silent
    from stages.track.fit import _Clip, _Fit

    seen = observe(body, standing(body, 10, seed=3, size=SIZE))

    def peak(frames: int) -> int:
        rows = np.arange(frames) % 10
        clip = replace(seen.select(rows), frame_index=np.arange(frames), pts_seconds=np.arange(frames) / 25)
        tracemalloc.start()
        task = _Fit(_Clip.of(clip, body, TrackConfig()), TrackConfig(), silent)
        task._errors(task.guess)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(1250) < 1.5 * peak(250)
