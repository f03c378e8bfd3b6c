"""Shots are fitted alone: no smoothing across a cut, one shape per person, and shots without the person stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import join_shots, shape_of, split_shots
from stages.body.model import Body, pose_motion
from stages.detect.observations import Observations
from stages.errors import InputError
from stages.track import track as tracking
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.fit_shots import fit_shots
from stages.track.summary import summarize
from tests.motions import joint, standing
from tests.track.synthetic import observe

FIRST, SECOND = 5, 8
FEW = TrackConfig(rigid_iterations=4, joint_iterations=6)


def _clip(body: Body, seeds: tuple[int, int] = (1, 1)) -> Observations:
    """Two shots: the arms are elsewhere after the cut, and the camera too."""
    one, two = standing(body, FIRST, seed=seeds[0]), standing(body, SECOND, seed=seeds[1])
    poses = two.poses.copy()
    poses[:, joint("left_shoulder")] *= -0.3
    times, index = (FIRST + np.arange(SECOND)) / 25, FIRST + np.arange(SECOND)
    moved = replace(two, poses=poses, trans=two.trans + np.array([0.3, 0, 0.8], np.float32), pts_seconds=times)
    return observe_shots(body, [one, replace(moved, frame_index=index)])


def observe_shots(body: Body, parts: list[Motion]) -> Observations:
    """What a perfect detector sees in these shots."""
    seen, joined = [observe(body, part) for part in parts], join_shots(parts)
    names = [name for name, value in vars(seen[0]).items() if isinstance(value, np.ndarray)]
    rows = {name: np.concatenate([getattr(part, name) for part in seen]) for name in names}
    return replace(seen[0], **{**rows, "shot": joined.shot})


def test_a_cut_is_as_if_each_shot_was_a_clip(body: Body) -> None:
    """The shot that gives the shape is fitted as alone; the other one does not bend its ends towards it."""
    clip = _clip(body)
    whole = fit_shots(clip, body, FEW)
    alone = fit(clip.select(slice(FIRST, None)), body, FEW)
    np.testing.assert_allclose(whole.poses[FIRST:], alone.poses, atol=1e-6)
    assert whole.shots == [slice(0, FIRST), slice(FIRST, FIRST + SECOND)]
    assert summarize(whole).shots == 2
    assert "13 frames in 2 shots" in str(summarize(whole))
    one_shot = fit_shots(replace(clip, shot=np.zeros_like(clip.shot)), body, FEW)
    errors = [each.error_px[FIRST - 1 : FIRST + 1, 0].mean() for each in (whole, one_shot)]
    assert errors[0] < 0.7 * errors[1]


def test_one_person_has_one_shape_and_two_have_two(body: Body) -> None:
    """The same number of the person in both shots gives one shape, another number its own; each fits its points."""
    clip = _clip(body, (1, 2))
    same = fit_shots(clip, body, FEW)
    assert same.shot_shapes is None
    identity = np.where(clip.shot == 0, 0, 1)
    other = fit_shots(replace(clip, identity=identity), body, FEW)
    assert other.shot_shapes is not None
    shapes = [shape_of(part) for part in split_shots(other)]
    assert np.abs(shapes[0] - shapes[1]).max() > 0.1
    np.testing.assert_allclose(shapes[1], shape_of(same), atol=1e-6)
    assert other.error_px[:FIRST, 1].mean() < same.error_px[:FIRST, 1].mean()


def test_a_shot_without_the_person_holds_a_pose(body: Body) -> None:
    """Rows stay, invalid, with the pose of the shot before; a first shot takes that of the shot after."""
    clip = _clip(body)
    for rows, source in ((slice(FIRST, None), FIRST - 1), (slice(0, FIRST), FIRST)):
        blank = {name: getattr(clip, name).copy() for name in ("pose", "face", "left_hand", "right_hand", "found")}
        for name, values in blank.items():
            values[rows] = False if name == "found" else np.nan
        motion = fit_shots(replace(clip, **blank), body, FEW)
        assert len(motion) == FIRST + SECOND
        assert not motion.valid[rows].any()
        assert motion.valid[:, 0].sum() == FIRST + SECOND - len(range(*rows.indices(FIRST + SECOND)))
        np.testing.assert_array_equal(
            motion.poses[rows], np.broadcast_to(motion.poses[source], motion.poses[rows].shape)
        )
        assert np.isfinite(pose_motion(body, motion).joints).all()


@pytest.fixture
def detected(monkeypatch: pytest.MonkeyPatch, body: Body, tmp_path: Path) -> dict[int, Observations]:
    """The people that a patched detector sees in an empty file, by number."""
    people: dict[int, Observations] = {}
    monkeypatch.setattr(
        tracking, "detector",
        lambda _: lambda _, config, __: list(people.values()) if config.everyone else [people[config.person]],
    )  # fmt: skip
    monkeypatch.setattr(tracking, "metadata_focal_px", lambda *_: None)
    (tmp_path / "clip.mp4").write_bytes(b"nothing")
    return people


def _unseen(clip: Observations) -> Observations:
    """Nothing of the person passes the gates: the head is elsewhere than the survey saw it."""
    evidence = clip.evidence.copy()
    evidence[:, 2] = 9.0
    return replace(clip, evidence=evidence)


def test_the_next_person_is_tracked_where_the_largest_cannot_be(
    detected: dict[int, Observations], body: Body, tmp_path: Path
) -> None:
    """Person 0 fails, person 1 does not: the result is person 1, and it is recorded. --person 0 to 1 alone is not."""
    clip = replace(observe(body, standing(body, 1)), other_people=1)
    detected |= {0: _unseen(clip), 1: replace(clip, identity=np.array([1]))}
    motion = tracking.track(tmp_path / "clip.mp4", body, FEW)
    assert motion.valid[:, 0].all()
    assert [shot["person"] for shot in motion.provenance.notes["shots"]] == [1]


def test_the_sentence_says_what_was_found(detected: dict[int, Observations], body: Body, tmp_path: Path) -> None:
    """People who are seen but rejected are named with the reason; nobody is said only where nobody was seen."""
    clip = replace(observe(body, standing(body, 2)), other_people=1)
    detected |= {0: _unseen(clip), 1: _unseen(clip)}
    with pytest.raises(InputError, match=r"2 people are seen in .*clip\.mp4.*somebody else in 2 of 2 frames"):
        tracking.track(tmp_path / "clip.mp4", body, FEW)
    blank = {name: np.full_like(getattr(clip, name), np.nan) for name in ("pose", "face", "left_hand", "right_hand")}
    nobody = replace(clip, **blank, found=np.zeros((2, 4), bool), other_people=0, identity=np.full(2, -1))
    detected[0] = nobody
    with pytest.raises(InputError, match=r"no person found in .*neither a face nor a body"):
        tracking.track(tmp_path / "clip.mp4", body, FEW)


def test_everyone_is_tracked_by_number(detected: dict[int, Observations], body: Body, tmp_path: Path) -> None:
    """A motion per person with its number; one of whom nothing is valid is left out; none at all is an error."""
    clip = observe(body, standing(body, 1))
    detected |= {0: clip, 1: _unseen(clip), 2: clip}
    motions = list(tracking.track_everyone(tmp_path / "clip.mp4", body, FEW))
    assert [motion.provenance.config["person"] for motion in motions] == [0, 2]
    detected.clear()
    detected[0] = _unseen(clip)
    with pytest.raises(InputError, match="a person is seen"):
        list(tracking.track_everyone(tmp_path / "clip.mp4", body, FEW))
