"""Shots of a motion: split, joined, written and read, and drawn and exported without a step across a cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion, load_motion, save_motion, select_rows
from stages.artifacts.motion_shots import join_shots, shape_of, shape_runs, split_shots
from stages.body.model import Body, pose_motion
from stages.drawing.frames import View, posed_frames
from stages.drawing.framing import anchor_motion
from stages.export.upright import hold_before_cuts, upright_motion
from stages.retarget.retarget import retarget
from tests.motions import joint, standing

FIRST, SECOND = 4, 6


@pytest.fixture
def parts(body: Body) -> list[Motion]:
    """Two shots of two people; the second stands 3 m aside and farther away, with raised arms."""
    one, two = standing(body, FIRST, seed=1), standing(body, SECOND, seed=2)
    poses = two.poses.copy()
    poses[:, joint("left_shoulder")] *= -0.5
    times = (FIRST + np.arange(SECOND)) / 25
    moved = replace(two, poses=poses, trans=two.trans + np.array([3, 0, 2], np.float32), pts_seconds=times)
    both = one, replace(moved, frame_index=FIRST + np.arange(SECOND))
    return [replace(part, duration_seconds=(FIRST + SECOND) / 25) for part in both]


def test_shots_are_split_as_they_were_joined(parts: list[Motion], tmp_path: Path) -> None:
    """Join, write, read and split give the same motions, each with its own shape; the longer one's shape is on top."""
    joined = join_shots(parts)
    save_motion(tmp_path / "m.npz", joined)
    read = load_motion(tmp_path / "m.npz")
    assert read.shots == [slice(0, FIRST), slice(FIRST, FIRST + SECOND)]
    assert np.flatnonzero(read.cuts).tolist() == [FIRST - 1]
    np.testing.assert_array_equal(shape_of(read), shape_of(parts[1]))
    for part, again in zip(parts, split_shots(read), strict=True):
        assert again.shot is None
        np.testing.assert_array_equal(again.poses, part.poses)
        np.testing.assert_allclose(shape_of(again), shape_of(part), rtol=1e-6)


def test_a_motion_without_cuts_is_one_shot(body: Body) -> None:
    """Files of before have one shot; shots of one person have no shapes of their own."""
    motion = standing(body, 5)
    assert motion.shots == [slice(0, 5)]
    assert not motion.cuts.any()
    joined = join_shots([select_rows(motion, slice(0, 2)), select_rows(motion, slice(2, 5))])
    assert joined.shot_shapes is None
    assert len(joined.shots) == 2
    assert len(shape_runs(joined)) == 1


def test_rows_are_posed_in_the_shape_of_their_shot(body: Body, parts: list[Motion]) -> None:
    """Posing and drawing rows across the cut gives what each shot gives alone."""
    joined = join_shots(parts)
    alone = [pose_motion(body, part).vertices for part in parts]
    np.testing.assert_allclose(pose_motion(body, joined).vertices, np.concatenate(alone), atol=1e-5)
    drawn = [frame.vertices for frame in posed_frames(joined, body, View.own(joined))]
    np.testing.assert_allclose(np.array(drawn), np.concatenate(alone), atol=1e-5)


def test_every_shot_keeps_the_height_of_its_head(body: Body, parts: list[Motion]) -> None:
    """After retargeting the head starts each shot where the driver's was; both shots have the photo's shape."""
    joined, photo = join_shots(parts), standing(body, 1, seed=3)
    target, _ = retarget(joined, photo, body)
    assert target.shot_shapes is None
    np.testing.assert_array_equal(shape_of(target), shape_of(photo))
    head = body.part_vertices("head")
    for row in (0, FIRST):
        heights = [
            pose_motion(body, each, slice(row, row + 1)).vertices[0, head, 1].mean() for each in (joined, target)
        ]
        assert heights[0] == pytest.approx(heights[1], abs=1e-4)


def test_smoothing_stops_at_a_cut(body: Body, parts: list[Motion]) -> None:
    """Each shot in the photo's framing is what it is alone: no row of the other one reaches it."""
    photo = standing(body, 1, seed=3)
    target, _ = retarget(join_shots(parts), photo, body)
    whole = anchor_motion(target, photo, body, 2.0, 1.0, 10.0)
    alone = [anchor_motion(part, photo, body, 2.0, 1.0, 10.0) for part in split_shots(target)]
    np.testing.assert_allclose(whole.poses, np.concatenate([part.poses for part in alone]), atol=1e-6)
    np.testing.assert_allclose(whole.trans, np.concatenate([part.trans for part in alone]), atol=1e-6)


@pytest.mark.parametrize("fps", [None, 25, 60, 7])
def test_an_export_shows_no_movement_from_shot_to_shot(body: Body, parts: list[Motion], fps: int | None) -> None:
    """Every sample has a pose of one shot; before the cut the last is held for readers that interpolate."""
    joined = join_shots(parts)
    samples = upright_motion(joined, body, fps)
    first, second = (part.poses[:, joint("left_shoulder")][:, 2] for part in parts)
    angle = samples.poses[:, joint("left_shoulder")][:, 2]
    inside = np.where(samples.shot == 0, (angle >= first.min() - 1e-4) & (angle <= first.max() + 1e-4),
                      (angle >= second.min() - 1e-4) & (angle <= second.max() + 1e-4))  # fmt: skip
    assert inside.all()
    assert set(samples.shot) == {0, 1}
    held = hold_before_cuts(samples)
    at = int(np.flatnonzero(np.diff(held.shot))[0])
    np.testing.assert_array_equal(held.poses[at], held.poses[at - 1])
    assert 0 < held.times[at + 1] - held.times[at] <= 1.1e-3
    assert (np.diff(held.times) > 0).all()
    assert len(held) == len(samples) + 1


def test_every_shot_stands_on_the_floor(body: Body, parts: list[Motion]) -> None:
    """Each shot has its own camera, so its lowest point is at height 0."""
    samples = upright_motion(join_shots(parts), body)
    apart = [upright_motion(part, body) for part in parts]
    np.testing.assert_allclose(samples.trans[:FIRST, 1], apart[0].trans[:, 1], atol=2e-2)
    np.testing.assert_allclose(samples.trans[FIRST:, 1], apart[1].trans[:, 1], atol=1e-4)
