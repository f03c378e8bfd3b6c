"""`emosh track` with other people's trackers: recorded when used, one line when not usable."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stages.artifacts.motion import load_motion, save_motion
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


def test_everyone_goes_into_a_folder(clip: Clip, tmp_path: Path) -> None:
    """A file per person, named by number, beside the video without -o; old files of more people are removed."""
    folder = tmp_path / "people"
    said = emosh("track", clip.drive, "--person", "all", "-o", folder)
    assert said.code == 0, said.err
    assert said.out.strip() == str(folder)
    one = load_motion(folder / "person-0.npz")
    assert one.provenance.stage == "track"
    np.testing.assert_allclose(one.poses, load_motion(clip.work / "drive.npz").poses, atol=1e-5)
    assert one.contacts is not None
    save_motion(folder / "person-7.npz", one)
    assert emosh("track", clip.drive, "--person", "all", "-o", folder).code == 0
    assert [each.name for each in folder.iterdir()] == ["person-0.npz"]


def test_options_of_one_person_are_refused_for_everyone(clip: Clip, tmp_path: Path) -> None:
    """An overlay or keypoints with --person all, a foreign folder, and a file in its place are one line each."""
    everyone = ("track", clip.drive, "--person", "all", "-o", tmp_path / "people")
    assert "--overlay is for one person" in refused(*everyone, "--overlay", tmp_path / "o.mp4")
    assert "--keypoints is for one person" in refused(*everyone, "--keypoints", tmp_path / "k.npz")
    assert not (tmp_path / "people").exists()
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "letter.txt").write_text("mine")
    assert "is not a folder of motions" in refused(*everyone)
    assert "is a file" in refused("track", clip.drive, "--person", "all", "-o", clip.drive)
