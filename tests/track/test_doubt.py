"""The expected error: marginals of the normal equations, spreads of points, and how they answer to what is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.describe import describe_npz
from stages.artifacts.motion import BODY_PARTS, MOTION, Motion, load_motion, save_motion, select_rows
from stages.artifacts.motion_shots import join_shots
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.detect.observations import Observations
from stages.track import doubt as room
from stages.track import fit as fitting
from stages.track.block_arrow import marginals
from stages.track.config import TrackConfig
from stages.track.doubt import PARTS, doubt_points, frame_covariance
from stages.track.fit import fit
from stages.track.fit_shots import fit_shots
from stages.track.jacobian import moving_columns, pose_keypoints
from stages.track.overlay import DOUBTFUL_RGB, SURE_RGB, expected_lines, mesh_colours
from stages.track.solvers import Task
from stages.track.state import State, kinematics
from stages.track.summary import summarize
from tests.motions import standing
from tests.track.synthetic import observe

LEFT_HAND = BODY_PARTS.index("left_hand")


@pytest.fixture(scope="module")
def truth(body: Body) -> Motion:
    """Twelve frames of a random person, seen to the hips."""
    motion = standing(body, 12, seed=3, size=(640, 640))
    return replace(motion, betas=0.3 * motion.betas, head_betas=0.3 * motion.head_betas)


@pytest.fixture(scope="module")
def observations(body: Body, truth: Motion) -> Observations:
    """Noisy points; the left hand is not found in frames 5 to 7."""
    seen = observe(body, truth, noise=1.0)
    seen.left_hand[5:8] = np.nan
    seen.found[5:8, 2] = False
    return seen


@pytest.fixture(scope="module")
def found(body: Body, observations: Observations) -> Motion:
    """The fit."""
    return fit(observations, body)


@pytest.mark.parametrize("frames", [1, 2, 3, 6, 7])
def test_marginals_equal_the_blocks_of_the_dense_inverse(frames: int) -> None:
    """Every frame, for even and odd lengths."""
    random, size = np.random.default_rng(frames), 4
    factors = random.normal(size=(frames, size, size))
    blocks, between = factors @ np.swapaxes(factors, 1, 2) + 4 * np.eye(size), -random.random((frames - 1, size))
    whole = np.zeros((frames * size, frames * size))
    for frame in range(frames):
        here = slice(frame * size, (frame + 1) * size)
        whole[here, here] = blocks[frame]
        if frame:
            above = slice((frame - 1) * size, frame * size)
            whole[here, above] = whole[above, here] = np.diag(between[frame - 1])
    inverse = np.linalg.inv(whole)
    marginals(blocks, between)
    for frame in range(frames):
        here = slice(frame * size, (frame + 1) * size)
        np.testing.assert_allclose(blocks[frame], inverse[here, here], atol=1e-12)


def test_spreads_are_those_of_sampled_poses(
    body: Body, observations: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poses drawn from the covariance of one frame, shrunk until it is linear, scatter the points as far as `spread_mm`
    and `spread_px` say."""
    kept: list[tuple[Task, State, room.Doubt]] = []

    def record(task: Task, state: State, points: object) -> room.Doubt:
        kept.append((task, state, room.doubt(task, state, doubt_points(body, TrackConfig()))))
        return kept[-1][2]

    monkeypatch.setattr(fitting, "doubt", record)
    fit(observations, body)
    task, state, spreads = kept[-1]
    covariance, columns = frame_covariance(task, state)
    points, row, shrunk, count = doubt_points(body, TrackConfig()), 6, 0.05, 4000
    assert set(moving_columns(points, 0)[moving_columns(points, 0) < 6]) == set(range(6))
    steps = np.zeros((count, state.width))
    steps[:, columns] = shrunk * np.random.default_rng(0).multivariate_normal(
        np.zeros(columns.sum()), covariance[row], count, method="cholesky"
    )
    many = state.rows(np.full(count, row)).after_step(steps, np.zeros(len(state.shape)))
    moved = pose_keypoints(points, kinematics(task.problem.skeleton, many, derivatives=False), many).points
    flat = task.problem.focal_px * moved[..., :2] / moved[..., 2:]
    for column, part in enumerate(PARTS.values()):
        own, held = ([points.names.index(name) for name in names] for names in (part.points, part.anchors))
        away = moved[:, own] - moved[:, held].mean(1, keepdims=True)
        for values, spread in ((1000 * away, spreads.spread_mm), (flat[:, own], spreads.spread_px)):
            scatter = np.sqrt(values.var(0).sum(-1).mean()) / shrunk
            assert scatter == pytest.approx(spread[row, column], rel=0.08), part


def test_what_is_not_seen_is_doubted(found: Motion) -> None:
    """The hand that is missing in three frames is doubted there; of legs below the picture nothing is known."""
    assert found.expected_mm is not None
    assert found.expected_px is not None
    legs = [name.endswith("leg") for name in BODY_PARTS]
    assert (np.isnan(found.expected_mm) == legs).all()
    for expected in (found.expected_mm, found.expected_px):
        hand = expected[:, LEFT_HAND]
        assert hand[5:8].min() > 1.2 * hand[[0, 1, 2, 3, 10, 11]].max()


def test_points_that_the_fit_misses_are_doubted(body: Body, truth: Motion) -> None:
    """An elbow and a wrist that the network puts elsewhere for a frame make the arm of that frame doubtful."""
    seen = observe(body, truth, noise=1.0)
    usual = fit(seen, body)
    seen.pose[6, [13, 15], :2] += 60
    shifted = fit(seen, body)
    assert usual.expected_mm is not None
    assert shifted.expected_mm is not None
    arm = BODY_PARTS.index("left_arm")
    assert shifted.expected_mm[6, arm] > 1.2 * usual.expected_mm[6, arm]


def test_true_errors_lie_within_twice_the_expected_ones(body: Body, truth: Motion, found: Motion) -> None:
    """On noisy points of a known body, in 95 % of frames and seen parts."""
    points = [keypoints_from(body, motion_template(body, m), pose_motion(body, m)) for m in (found, truth)]
    assert found.expected_mm is not None
    within = []
    for column, part in enumerate(PARTS.values()):
        if np.isnan(found.expected_mm[:, column]).all():
            continue
        own, held = ([body.keypoint_names.index(name) for name in names] for names in (part.points, part.anchors))
        away = [rows[:, own] - rows[:, held].mean(1, keepdims=True) for rows in points]
        error = 1000 * np.sqrt(((away[0] - away[1]) ** 2).sum(-1).mean(1))
        within.append(error <= 2 * found.expected_mm[:, column])
    assert np.mean(within) > 0.95


def test_windows_and_a_known_shape(body: Body, observations: Observations, found: Motion) -> None:
    """A clip fitted in two windows has an expected error in every frame, close to that of the clip in one."""
    config = TrackConfig(window_frames=7, overlap_frames=2)
    short = fit(observations, body, config)
    assert short.expected_mm is not None
    assert found.expected_mm is not None
    assert np.nanmedian(short.expected_mm / found.expected_mm) == pytest.approx(1, abs=0.1)


def test_without_a_fit_nothing_is_said(body: Body, observations: Observations) -> None:
    """`--solver none` has no curvature."""
    motion = fit(observations, body, TrackConfig(solver="none"))
    assert motion.expected_mm is None
    assert summarize(motion).expected_mm == {}
    assert expected_lines(motion, 0) == []


def test_rows_shots_and_files_keep_it(body: Body, observations: Observations, found: Motion, tmp_path) -> None:
    """Rows are selected and joined with the others; a shot without the person has NaN; the file holds both arrays and
    `describe` their medians."""
    assert found.expected_mm is not None
    parts = [select_rows(found, slice(0, 5)), select_rows(found, slice(5, 12))]
    np.testing.assert_array_equal(join_shots(parts).expected_mm, found.expected_mm)
    gone = replace(observations, shot=np.repeat([0, 1], [8, 4]))
    gone.found[8:] = False
    for name in ("pose", "pose_world", "face", "left_hand", "right_hand"):
        values = getattr(gone, name).copy()
        values[8:] = np.nan
        gone = replace(gone, **{name: values})
    motion = fit_shots(gone, body)
    assert motion.expected_mm is not None
    assert np.isfinite(motion.expected_mm[:8, 0]).all()
    assert np.isnan(motion.expected_mm[8:]).all()
    assert expected_lines(motion, 9) == []
    save_motion(tmp_path / "m.npz", motion)
    np.testing.assert_array_equal(load_motion(tmp_path / "m.npz").expected_mm, motion.expected_mm)
    figures = describe_npz(tmp_path / "m.npz", {"motion": MOTION}).figures
    assert figures["expected_mm_torso"] == summarize(motion).expected_mm["torso"]


def test_the_overlay_colours_and_names_the_doubt(body: Body, found: Motion) -> None:
    """A part is blue while it is sure and orange when it may be anywhere; the lines hold every part's number."""
    assert found.expected_mm is not None
    expected = np.full_like(found.expected_mm, 20)
    expected[0, LEFT_HAND] = 500
    motion = replace(found, expected_mm=expected)
    colours = mesh_colours(motion, 0, body)
    assert np.abs(colours[body.part_vertices("left_hand")] - DOUBTFUL_RGB).max() < 1e-6
    assert np.abs(colours[body.part_vertices("torso")] - SURE_RGB).max() < 1e-6
    assert expected_lines(motion, 0)[2] == "hands +-500 +-20"
    assert "torso 20, head 20" in str(summarize(motion))
