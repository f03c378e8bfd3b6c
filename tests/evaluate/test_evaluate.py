"""Comparing videos and motions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.body.model import Body
from stages.errors import InputError
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.evaluate import evaluate_paired
from stages.evaluate.pose_error import pose_error
from stages.video.sink import VideoSink
from tests.motions import joint, standing

SMALL = EvaluateConfig(size=64)


def write(path: Path, frames: list[np.ndarray]) -> Path:
    """A lossless clip of these frames."""
    with VideoSink(path, frames[0].shape[1], frames[0].shape[0], Fraction(25), lossless=True) as sink:
        for frame in frames:
            sink.write(frame)
    return path


def flat(value: int, height: int = 64, width: int = 64) -> np.ndarray:
    """One grey picture."""
    return np.full((height, width, 3), value, np.uint8)


def test_known_errors_per_frame(tmp_path: Path) -> None:
    """Frame 0 equal, frame 1 off by 51 of 255: each frame's own figure, and both means."""
    truth = write(tmp_path / "truth.mp4", [flat(100), flat(100)])
    result = write(tmp_path / "result.mp4", [flat(100), flat(151)])
    report = evaluate_paired(result, truth, SMALL)
    assert report["l1"]["per_frame"] == [0, 0.2]
    assert report["l1"]["mean"] == pytest.approx(0.1)
    assert report["l1"]["mean_without_frame_0"] == pytest.approx(0.2)
    assert report["psnr"]["per_frame"][1] == pytest.approx(-20 * np.log10(0.2), abs=1e-4)
    assert report["protocol"] == "emosh"
    assert report["frames"] == 2


def test_sizes_are_padded_to_one_square(tmp_path: Path) -> None:
    """Half the size, same aspect: compared at one square size, the flat picture and its bars still agree."""
    truth = write(tmp_path / "truth.mp4", [flat(80, 64, 128)])
    result = write(tmp_path / "result.mp4", [flat(80, 32, 64)])
    assert evaluate_paired(result, truth, SMALL)["l1"]["mean"] < 0.01


def test_different_lengths_are_refused(tmp_path: Path) -> None:
    """Clips of different lengths are no pair: the shorter is named, with where it ends."""
    truth = write(tmp_path / "truth.mp4", [flat(1)] * 3)
    result = write(tmp_path / "result.mp4", [flat(1)] * 2)
    with pytest.raises(InputError, match=r"result\.mp4 ends after 2 frames"):
        evaluate_paired(result, truth, SMALL)


def test_unknown_protocol_lists_the_choices(tmp_path: Path) -> None:
    """A misspelt protocol is refused before any video is opened."""
    with pytest.raises(InputError, match="choose one of emosh"):
        evaluate_paired(tmp_path / "none", tmp_path / "none", EvaluateConfig(protocol="disko"))


def test_a_motion_has_no_error_against_itself(body: Body) -> None:
    """The same motion twice: zero everywhere, correlation one."""
    motion = standing(body, 6, seed=1)
    motion.poses[:, joint("jaw")][:, 0] = np.linspace(0, 0.3, 6)
    figures = pose_error(motion, motion, body)
    assert figures["upper_body_mm"] == pytest.approx(0, abs=1e-3)
    assert figures["head_degrees"] == pytest.approx(0, abs=0.1)
    assert figures["lip_gap_correlation"] == pytest.approx(1)
    assert figures["rows"] == {"body": 6, "face": 6, "left_hand": 6, "right_hand": 6}


def test_a_turned_head_is_measured_in_degrees(body: Body) -> None:
    """A head turned by 0.2 rad throughout is 11.5 degrees off, and not at all in its changes."""
    motion = standing(body, 4)
    turned = replace(motion, poses=motion.poses.copy())
    turned.poses[:, joint("head")] += np.array([0, 0.2, 0], np.float32)
    figures = pose_error(turned, motion, body)
    assert figures["head_degrees"] == pytest.approx(np.degrees(0.2), abs=0.1)
    assert figures["head_change_degrees"] == pytest.approx(0, abs=0.1)


def test_a_lowered_arm_is_measured_in_millimetres(body: Body) -> None:
    """Lowering one arm moves elbow and wrist by centimetres; hands measured from the wrist follow the turn only."""
    motion = standing(body, 4)
    lowered = replace(motion, poses=motion.poses.copy())
    lowered.poses[:, joint("left_shoulder")] += np.array([0, 0, -0.3], np.float32)
    figures = pose_error(lowered, motion, body)
    assert 5 < figures["upper_body_mm"] < 60
    assert figures["right_hand_mm"] == pytest.approx(0, abs=1e-2)
    assert figures["left_hand_mm"] > 5


def test_shape_does_not_count(body: Body) -> None:
    """Two bodies in one pose have no pose error."""
    motion = standing(body, 3, seed=1)
    other = replace(standing(body, 3, seed=2), poses=motion.poses)
    assert pose_error(other, motion, body)["upper_body_mm"] == pytest.approx(0, abs=1e-3)


def test_parts_never_seen_are_none(body: Body) -> None:
    """Where no row is valid in both, there is no figure."""
    motion = standing(body, 3)
    hidden = replace(motion, valid=np.tile([True, False, False, True], (3, 1)))
    figures = pose_error(hidden, motion, body)
    assert figures["left_hand_mm"] is None
    assert figures["head_degrees"] is None
    assert figures["right_hand_mm"] is not None


def test_other_lengths_and_bodies_are_refused(body: Body) -> None:
    """Motions that cannot be one clip, or of another body file, are refused."""
    motion = standing(body, 3)
    with pytest.raises(InputError, match="has 2 frames but the driving motion has"):
        pose_error(standing(body, 2), motion, body)
    with pytest.raises(InputError, match="track it again with --body"):
        pose_error(replace(motion, body_sha256="f" * 64), motion, body)
