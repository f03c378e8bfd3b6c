"""The whole stage on real pictures: scikit-image's astronaut photo, and pictures without people."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut, coffee

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, keypoints_from, motion_template, pose_motion
from stages.errors import InputError
from stages.track.overlay import write_overlay
from stages.track.summary import summarize
from stages.track.track import track
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames, read_photo
from tests.motions import standing


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of the astronaut photo moving sideways, then two plain grey frames."""
    path = tmp_path_factory.mktemp("track") / "clip.mp4"
    photo = np.pad(astronaut(), ((0, 0), (0, 64), (0, 0)), mode="edge")
    with VideoSink(path, 512, 512, Fraction(10)) as sink:
        for shift in range(6):
            sink.write(np.ascontiguousarray(photo[:, 8 * shift : 8 * shift + 512]))
        for _ in range(2):
            sink.write(np.full((512, 512, 3), 120, np.uint8))
    return path


@pytest.fixture(scope="module")
def tracked(body: Body, clip: Path) -> Motion:
    """The clip's motion."""
    return track(clip, body)


def test_a_photo_is_fitted_closely(body: Body, tmp_path: Path) -> None:
    """The error of the astronaut's face is below 1.5 % of its height, of the body below 12 % of the shoulder width."""
    write_png(tmp_path / "photo.png", astronaut())
    motion = track(tmp_path / "photo.png", body)
    summary = summarize(motion)
    assert motion.is_photo
    assert summary.error_face is not None
    assert summary.error_body is not None
    assert summary.error_face < 0.015
    assert summary.error_body < 0.12
    assert motion.provenance.inputs.keys() == {"photo"}


def test_there_is_one_row_per_frame_and_empty_frames_are_invalid(tracked: Motion, clip: Path) -> None:
    """Eight frames give eight rows with the times of the file; the two empty frames are invalid."""
    assert len(tracked) == 8
    assert tracked.valid[:, 0].tolist() == [True] * 6 + [False] * 2
    np.testing.assert_allclose(tracked.pts_seconds, np.arange(8) / 10, atol=1e-3)
    assert tracked.duration_seconds == pytest.approx(probe(clip).duration_seconds)


def test_moving_the_picture_moves_the_person(body: Body, tracked: Motion) -> None:
    """A picture that moves 40 px to the left moves the nose by 40 px, the torso by less: the detector filters it."""
    posed = pose_motion(body, tracked)
    nose = body.keypoint_names.index("face_001")
    x = project(keypoints_from(body, motion_template(body, tracked), posed), tracked.K)[:, nose, 0]
    assert x[5] - x[0] == pytest.approx(-40, abs=4)
    shoulders = project(posed.joints, tracked.K)[
        :, [JOINT_NAMES.index(f"{side}_shoulder") for side in ("left", "right")], 0
    ]
    assert -44 < shoulders[5].mean() - shoulders[0].mean() < -25


def test_the_overlay_has_every_frame(body: Body, tracked: Motion, clip: Path, tmp_path: Path) -> None:
    """One frame per row. The mesh covers the person; empty frames change only by the red squares."""
    write_overlay(clip, tracked, body, tmp_path / "overlay.mp4")
    frames = [frame.rgb.astype(int) for frame in read_frames(tmp_path / "overlay.mp4")]
    plain = [frame.rgb.astype(int) for frame in read_frames(clip)]
    assert len(frames) == 8
    changed = [(np.abs(a - b).max(-1) > 25).mean() for a, b in zip(frames, plain, strict=True)]
    assert min(changed[:6]) > 0.15
    assert max(changed[6:]) < 0.02


def test_the_overlay_of_a_small_picture_is_enlarged(body: Body, tmp_path: Path) -> None:
    """Beside the text of a picture of 160 px, which is drawn three times as large, the person stays visible."""
    write_png(tmp_path / "small.png", np.full((120, 160, 3), 90, np.uint8))
    write_overlay(tmp_path / "small.png", standing(body, 1, size=(160, 120)), body, tmp_path / "overlay.png")
    drawn = read_photo(tmp_path / "overlay.png").astype(int)
    assert drawn.shape == (360, 480, 3)
    assert (np.abs(drawn[100:, 150:330] - 90).max(-1) > 25).mean() > 0.3


def test_a_picture_without_a_person_is_an_input_error(body: Body, tmp_path: Path) -> None:
    """For a picture of a cup of coffee the error names the file."""
    write_png(tmp_path / "coffee.png", coffee())
    with pytest.raises(InputError, match=r"no person found in .*coffee\.png"):
        track(tmp_path / "coffee.png", body)


def test_the_overlay_lists_the_gates_that_rejected(body: Body, tracked: Motion) -> None:
    """The text lines of a frame are its face angles and each rejection; a frame without either has none."""
    from dataclasses import replace

    from stages.track.overlay import gate_lines

    assert gate_lines(replace(tracked, gates=None, gate_names=()), 0) == []
    assert tracked.gates is not None
    gates = np.zeros_like(tracked.gates)
    for name, value in (("face yaw", 12.4), ("left_hand: off the arm", 1), ("pose points doubted", 3)):
        gates[1, tracked.gate_names.index(name)] = value
    marked = replace(tracked, gates=gates)
    assert gate_lines(marked, 0) == []
    assert gate_lines(marked, 1) == ["yaw 12 pitch 0 roll 0", "no: left hand: off the arm", "3 pose points doubted"]


def test_low_confidence_points_are_counted_and_used_when_the_gate_is_off(body: Body, tracked: Motion) -> None:
    """The motion has the number of doubted points. With the gate off the number is 0 and the fit changes."""
    from stages.track.config import TrackConfig
    from stages.track.fit import fit
    from tests.motions import standing
    from tests.track.synthetic import observe

    observations = observe(body, standing(body, 2, seed=0), noise=1.0)
    observations.pose[:, 25:29, 2] = 0.05
    found = [fit(observations, body, TrackConfig(gates_off=off)) for off in ((), ("confidence",))]
    column = found[0].gate_names.index("pose points doubted")
    assert [float(motion.gates[0, column]) for motion in found if motion.gates is not None][1] == 0
    assert float(found[0].gates[0, column]) >= 4  # type: ignore[index]
    assert not np.allclose(found[0].poses, found[1].poses)
