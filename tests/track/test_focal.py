"""The focal length: given, stated by the file, or estimated with the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.truth_clips import truth_clip
from stages.artifacts.motion import Motion, select_rows
from stages.body.model import Body, motion_template
from stages.detect.gates import gate
from stages.detect.observations import Observations
from stages.errors import InputError
from stages.track.config import TrackConfig
from stages.track.fit import _Clip, fit
from stages.track.focal import RATIOS, USUAL_RATIO, Focal, estimated_focal, known_focal, posterior_ratio, usual_focal
from stages.track.summary import summarize
from tests.motions import standing
from tests.track.synthetic import observe


def filmed(body: Body, ratio: float, near: float = 1.0) -> Motion:
    """A gesturing person filmed with a focal length of `ratio` diagonals, as large in the picture as with any other."""
    motion = truth_clip(body, 60, 1)
    focal = ratio * float(np.hypot(*motion.image_size))
    K, trans = motion.K.copy(), motion.trans.copy()
    trans[:, 2] *= near * focal / K[:, 0, 0]
    K[:, 0, 0] = K[:, 1, 1] = focal
    return select_rows(replace(motion, K=K, trans=trans), slice(0, 60, 5))


def test_a_given_focal_length_comes_first() -> None:
    """Pixels come before the field of view, which comes before the file's metadata."""
    size, both = (640, 480), TrackConfig(focal_px=500, fov_degrees=90)
    assert known_focal(size, both, 700.0) == known_focal(size, TrackConfig(focal_px=500), None)
    given = known_focal(size, TrackConfig(fov_degrees=90), 700.0)
    assert given is not None
    assert (given.px, given.source) == (pytest.approx(320), "given")
    assert given.degrees_across(640) == pytest.approx(90)
    stated = known_focal(size, TrackConfig(), 700.0)
    assert stated is not None
    assert (stated.px, stated.source) == (700.0, "metadata")
    assert known_focal(size, TrackConfig(), None) is None


def test_what_is_not_measured_is_assumed() -> None:
    """Equal losses give the usual length; a clear loss moves it."""
    found = estimated_focal((640, 480), 12, lambda focal: {"keypoints_body": 1.0, "keypoints_hands": 2.0})
    assert found.source == "assumed"
    assert found.px / np.hypot(640, 480) == pytest.approx(USUAL_RATIO, rel=0.1)
    at = np.abs(np.log(RATIOS) - np.log(RATIOS[1]))
    assert posterior_ratio(40 * at) == pytest.approx(RATIOS[1], rel=0.1)


@pytest.mark.parametrize(("away_m", "terms"), [(0.0, {"keypoints_body", "keypoints_hands"}), (4.0, {"keypoints_body"})])
def test_hands_count_where_they_are_near(
    body: Body, monkeypatch: pytest.MonkeyPatch, away_m: float, terms: set[str]
) -> None:
    """The hands of a person who is far from the camera do not tell the focal length; those of a near one do."""
    asked: list[dict[str, float]] = []

    def kept(size: tuple[int, int], frames: int, losses_at: Callable[[float], dict[str, float]]) -> Focal:
        asked.append(losses_at(700.0))
        return usual_focal(size)

    monkeypatch.setattr("stages.track.fit.estimated_focal", kept)
    motion = standing(body, 3)
    fit(observe(body, replace(motion, trans=motion.trans + np.array([0, 0, away_m], np.float32))), body)
    assert [set(each) for each in asked] == [terms]


def test_some_frames_are_judged_as_in_the_whole_clip(body: Body) -> None:
    """A face that is alone among the chosen frames has neighbours in the clip: it stays valid in the short fits."""
    seen = replace(observe(body, truth_clip(body, 40, 1)), fps=4.0)
    seen.found[11:, 1] = False
    clip, rows = _Clip.of(seen, body, TrackConfig()), np.array([0, 15, 30, 39])
    assert clip.select(rows).gates.valid[:, 1].tolist() == [True, False, False, False]
    assert not gate(clip.observations.select(rows)).valid[:, 1].any()


@pytest.mark.parametrize("ratio", [0.48, 1.3])
def test_the_focal_length_is_found_with_the_person(body: Body, ratio: float) -> None:
    """A webcam and a long lens are told apart, each within a third, from keypoints with the detector's noise."""
    motion = filmed(body, ratio)
    found = fit(observe(body, motion, noise=1.0), body)
    summary = summarize(found)
    assert summary.focal_px / float(motion.K[0, 0, 0]) == pytest.approx(1, abs=0.33)
    assert summary.focal_source == "estimated"
    assert f"focal length {summary.focal_px:.0f} px, estimated, {summary.degrees_across:.0f} degrees across" in str(
        summary
    )


def test_a_photo_without_hands_or_arms_is_assumed(body: Body) -> None:
    """Where only a face is seen nothing is measured."""
    one = observe(body, select_rows(truth_clip(body, 3, 1), slice(0, 1)))
    hidden = without_body(one)
    assert summarize(fit(hidden, body)).focal_source == "assumed"


def without_body(seen: Observations) -> Observations:
    """Only the face and the shoulders."""
    pose, found = seen.pose.copy(), seen.found.copy()
    pose[:, 13:, 2], found[:, 2:] = 0.0, False
    nothing = np.full_like(seen.left_hand, np.nan)
    return replace(seen, pose=pose, found=found, left_hand=nothing, right_hand=nothing)


def test_a_given_height_is_kept(body: Body) -> None:
    """--height-cm: the body has it within 1 cm, with both solvers' starting shape."""
    seen = observe(body, filmed(body, 0.69), noise=1.0)
    for height in (155.0, 190.0):
        found = fit(seen, body, TrackConfig(height_cm=height, focal_px=1000.0))
        up = motion_template(body, found)[:, 1]
        assert 100 * (up.max() - up.min()) == pytest.approx(height, abs=1.0)


@pytest.mark.parametrize("wrong", [{"focal_px": -1.0}, {"fov_degrees": 180.0}, {"height_cm": 30.0}])
def test_impossible_cameras_and_heights_are_refused(wrong: dict[str, float]) -> None:
    """A negative focal length, half a turn across, a person of 30 cm."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrackConfig(**wrong)  # type: ignore[arg-type]
