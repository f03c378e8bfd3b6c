"""`emosh track` with other people's trackers: recorded when used, one line when not usable."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.artifacts.motion import load_motion
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip


def test_a_prior_is_recorded_with_its_digest(clip: Clip, tmp_path: Path) -> None:
    """The motion says which prior it was fitted with, of which format, and how much it spoke of."""
    out = tmp_path / "with.npz"
    said = emosh("track", clip.drive, "-o", out, "--prior", clip.work / "drive.npz")
    assert said.code == 0, said.err
    told = load_motion(out).provenance
    assert set(told.inputs) == {"video", "prior 0"}
    assert told.notes["prior 0"]["format"] == "emosh"
    assert told.notes["prior_share"]["body"] > 0.9


def test_keypoints_are_recorded_and_used(clip: Clip, tmp_path: Path) -> None:
    """DWPose points moved by 12 px to the right move the fitted body with them."""
    before = load_motion(clip.work / "drive.npz")
    points = np.zeros((len(before), 133, 3))
    points[:, [5, 6], :2] = [[200.0, 230.0], [80.0, 230.0]]
    points[:, [5, 6], 2] = 0.9
    np.savez(tmp_path / "kp.npz", keypoints=points)
    out = tmp_path / "with.npz"
    assert emosh("track", clip.drive, "-o", out, "--keypoints", tmp_path / "kp.npz").code == 0
    found = load_motion(out)
    assert "keypoints" in found.provenance.inputs
    assert not np.allclose(found.poses, before.poses, atol=1e-3)


def test_unusable_files_are_refused_before_the_work(clip: Clip, tmp_path: Path) -> None:
    """A pickle, an unknown layout and an absent file are one line each, and nothing is written."""
    (tmp_path / "r.pkl").write_bytes(b"\x80\x04.")
    np.savez(tmp_path / "x.npz", verts=np.zeros(3))
    out = tmp_path / "o.npz"
    for flag, name, expected in (
        ("--prior", "r.pkl", "never loaded"),
        ("--prior", "x.npz", "no known layout"),
        ("--keypoints", "no.json", "does not exist"),
    ):
        assert expected in refused("track", clip.drive, "-o", out, flag, tmp_path / name)
    assert not out.exists()
