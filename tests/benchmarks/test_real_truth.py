"""The measures of real truth on points whose errors are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.real_truth import NUMBERS, View, errors, hand_errors, head_errors, views
from stages.body.rotations import matrix_from_rotvec

FRAMES, FPS = 30, 30.0
TURN = matrix_from_rotvec(np.array([0.1, 0.7, -0.2]))


def moving(points: int, seed: int = 0) -> np.ndarray:
    """Points that move on smooth paths, 3 m from the camera."""
    random = np.random.default_rng(seed)
    phase = np.linspace(0, 3, FRAMES)[:, None, None] + random.normal(size=(1, points, 3))
    return 0.3 * random.normal(size=(1, points, 3)) + 0.1 * np.sin(phase) + [0, 0, 3.0]


@pytest.fixture
def clip(tmp_path: Path) -> View:
    """A view whose camera is turned and shifted against the world, read from a file."""
    world = moving(33)
    np.savez(tmp_path / "walk.npz", views=np.array(["cam1"]), fps=FPS, root=np.array("hips"), K=np.eye(3)[None],
             D=np.zeros((1, 5)), R=TURN[None], t=np.array([[0.1, 0.2, 0.3]]), xyz_pose=world)  # fmt: skip
    return views(tmp_path)[0]


def test_the_truth_has_no_error(clip: View) -> None:
    """The truth itself, in the camera's frame, has errors of 0 and a scale of 1."""
    found = errors(clip.pose[:, NUMBERS], clip, True)
    assert max(found.mpjpe, found.scaled, found.pa, found.acceleration, found.placed or 0) < 1e-9
    assert found.scale == pytest.approx(1)


def test_each_measure_ignores_what_it_should(clip: View) -> None:
    """A smaller person is no error of `scaled`, a shifted one none of MPJPE, a turned one none of Procrustes."""
    truth = clip.points
    small = errors(0.8 * truth, clip, True)
    assert small.scale == pytest.approx(1.25)
    assert small.mpjpe > 50
    assert max(small.scaled, small.pa, small.placed or 0) < 1e-9
    shifted = errors(truth + np.array([1.0, 2.0, 3.0]), clip, False)
    assert shifted.mpjpe < 1e-9
    assert shifted.placed is None
    turned = errors(truth @ TURN.T, clip, True)
    assert turned.scaled > 50
    assert turned.pa < 1e-9


def test_errors_have_their_size(clip: View) -> None:
    """A wrist 30 mm nearer to the camera is an error of 30 mm along the line of sight, and of its part alone; a point
    that shakes by 10 mm every frame has an acceleration error of 40 mm."""
    near = clip.points
    near[:, 4, 2] -= 0.03
    found = errors(near, clip, False)
    assert found.mpjpe == pytest.approx(30 / 12)
    assert found.along > found.across
    assert found.parts["wrists"] == pytest.approx(15, rel=0.1)
    assert all(value < found.parts["wrists"] / 4 for part, value in found.parts.items() if part != "wrists")
    shaking = clip.points
    shaking[::2, 4, 0] += 0.01
    shaking[1::2, 4, 0] -= 0.01
    assert errors(shaking, clip, False).acceleration == pytest.approx(40 / 12, rel=0.02)


def test_unknown_points_do_not_count(clip: View) -> None:
    """A frame without its root and a point without truth change nothing."""
    found = clip.points
    found[3, 6] = np.nan
    clip.pose[5, 15] = np.nan
    assert errors(found, clip, True).mpjpe < 1e-9


def test_hands_and_head() -> None:
    """A hand that is turned about its wrist has an error with the wrist aligned and none after Procrustes; a head
    fitted 10 % too small needs a scale of 1.11, and a constant turn is no error of its turn."""
    hand = moving(21)
    valid = np.ones(FRAMES, bool)
    turned = (hand - hand[:, :1]) @ TURN.T
    found = hand_errors(turned, hand, valid)
    assert found is not None
    assert found.pa < 1e-9
    assert found.wrist > 20
    assert hand_errors(hand, hand, valid & (np.arange(FRAMES) < 2)) is None
    face = np.tile(moving(60)[:1], (FRAMES, 1, 1))
    head = head_errors(0.9 * face @ TURN.T, face)
    assert head is not None
    assert head.turn_degrees < 1e-3
    assert head.scale == pytest.approx(1 / 0.9)
