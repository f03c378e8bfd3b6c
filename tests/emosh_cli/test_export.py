"""`emosh export` from the outside: formats by suffix, what each needs, what is overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.foot_motions import foot_scripts, make_steps, tracked_like
from stages.artifacts.motion import save_motion
from stages.body.model import Body
from stages.contacts.find import with_contacts
from stages.video.png import write_png
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip


@pytest.mark.parametrize(
    ("name", "to"), [("a.npz", "amass"), ("a.glb", "glb"), ("a.bvh", "bvh"), ("folder", "wan-animate")]
)
def test_the_suffix_tells_the_format(own_folder: Path, motion_file: Path, clip: Clip, name: str, to: str) -> None:
    """-o a.glb writes GLB without being told; so do .npz, .bvh and a folder; --json says which."""
    more = ["--ref", clip.photo, "--set", "area_width=256", "--set", "area_height=256"] if to == "wan-animate" else []
    said = emosh("export", motion_file, "-o", name, *more, "--json")
    assert said.code == 0, said.err
    assert (said.json["to"], said.json["output"]) == (to, name)
    assert (own_folder / name).exists()


def test_without_a_name_it_lies_beside_the_motion(motion_file: Path) -> None:
    """--to alone names the file after the motion."""
    assert emosh("export", motion_file, "--to", "bvh").out.strip() == str(motion_file.with_suffix(".bvh"))


def test_a_run_again(own_folder: Path, motion_file: Path, clip: Clip) -> None:
    """What says that emosh wrote it is written again; BVH cannot say so and is kept, as is a folder of other things."""
    small = ["--set", "area_width=256", "--set", "area_height=256"]
    wan = ["export", motion_file, "-o", "wan", "--ref", clip.photo, *small]
    for words in (["export", motion_file, "-o", "a.glb"], wan):
        assert [emosh(*words).code for _ in range(2)] == [0, 0]
    assert emosh("export", motion_file, "-o", "a.bvh").code == 0
    assert "does not record which program wrote it" in refused("export", motion_file, "-o", "a.bvh")
    assert emosh("export", motion_file, "-o", "a.bvh", "--force").code == 0
    (own_folder / "mine").mkdir()
    (own_folder / "mine" / "letter.txt").write_text("words")
    assert "is not a Wan-Animate folder" in refused("export", motion_file, "-o", "mine", "--ref", clip.photo, *small)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "a.fbx"], "no format is written as .fbx"),
        (["--to", "fbx"], "choose one of: amass, glb, bvh, wan-animate, scail-2"),
        (["-o", "a.npz", "--to", "glb"], "a GLB export is written as .glb"),
        (["-o", "wan"], "needs the photo to animate: --ref PHOTO"),
        (["-o", "a.glb", "--ref", "a.png"], "--ref is only for --to wan-animate and scail-2; leave it out for glb"),
        (["-o", "a.bvh", "--framing", "ref"], "--framing is only for --to wan-animate and scail-2"),
        (["--to", "scail-2", "--ref", "a.png", "--video", "a.mp4"], "--video is only for --to wan-animate"),
        (["--to", "scail-2"], "scail-2 needs the photo to animate: --ref PHOTO"),
        (["-o", "wan", "--ref", "a.png", "--framing", "ref"], "the motion tracked in the photo: --ref-motion NPZ"),
        (["-o", "wan", "--ref", "a.png", "--framing", "left"], "framing is 'left', expected one of: ref, drive"),
        (["-o", "wan", "--ref", "a.png", "--video-motion", "d.npz"], "--video VIDEO; give both"),
        (["-o", "wan", "--ref", "a.png", "--ref-motion", "r.npz"], "r.npz does not exist, expected the motion"),
        (["--to", "scail-2", "--ref", "a.png", "--set", "short_side=500"], "choose a multiple of 32"),
        (["-o", "wan", "--ref", "a.mp4"], "does not exist"),
        (["--to", "glb", "-o", "-"], "cannot be written to a pipe"),
        (["-o", "a.bvh", "--set", "bvh_units_per_metre=0"], "choose a number above 0"),
    ],
)
def test_what_cannot_be_is_one_line(own_folder: Path, motion_file: Path, words: list[str], expected: str) -> None:
    """A wrong format, or an option that the format has no use for, is refused before anything is made."""
    write_png(own_folder / "a.png", np.zeros((64, 64, 3), np.uint8))
    before = sorted(own_folder.iterdir())
    assert expected in refused("export", motion_file, *words)
    assert sorted(own_folder.iterdir()) == before


def test_inspect_tells_what_made_it(own_folder: Path, motion_file: Path) -> None:
    """`emosh inspect a.glb` says that export wrote it, from which motion and on which body."""
    assert emosh("export", motion_file, "-o", "a.glb").code == 0
    shown = emosh("inspect", "a.glb", "--json").json
    assert (shown["kind"], shown["provenance"]["stage"]) == ("glb", "export")
    assert {"motion"} == set(shown["provenance"]["inputs"])


def test_a_video_is_no_photo(motion_file: Path, clip: Clip) -> None:
    """--ref takes a photo, and says so of a video."""
    assert "is not a photo" in refused("export", motion_file, "-o", "wan", "--ref", clip.drive)


def test_scail_2_is_asked_for_by_name(own_folder: Path, motion_file: Path, clip: Clip) -> None:
    """--to scail-2 writes its folder beside the motion; again over its own, but neither over another folder nor over
    its own input."""
    words = ["export", motion_file, "--to", "scail-2", "--ref", clip.photo, "--set", "short_side=64"]
    planned = emosh(*words, "--dry-run")
    assert planned.code == 0, planned.err
    assert not motion_file.with_name("motion-scail-2").exists()
    for _ in range(2):
        said = emosh(*words, "--json")
        assert said.code == 0, said.err
        assert said.json["output"] == str(motion_file.with_name("motion-scail-2"))
        assert (said.json["to"], said.json["frames"], said.json["width"]) == ("scail-2", 6, 64)
    (own_folder / "mine").mkdir()
    write_png(own_folder / "mine" / "ref.png", np.zeros((64, 64, 3), np.uint8))
    assert "is not a SCAIL-2 folder" in refused(*words, "-o", "mine")
    own = [*words[:4], "--ref", "mine/ref.png", "-o", "mine", "--force"]
    assert "ref.png is an input of this command" in refused(*own)


def test_the_face_of_a_retargeted_motion_needs_the_videos_motion(own_folder: Path, clip: Clip) -> None:
    """With --video a retargeted motion is refused in one line, before anything is made; --video-motion makes it."""
    target, driver = clip.work / "target.npz", clip.work / "drive.npz"
    words = ["export", target, "-o", "wan", "--ref", clip.photo, "--video", clip.drive, "--set", "area_width=256",
             "--set", "area_height=256"]  # fmt: skip
    assert "give the motion tracked in the video: --video-motion NPZ" in refused(*words)
    assert not (own_folder / "wan").exists()
    reference = [path for path in clip.work.glob("*.npz") if path not in (target, driver)]
    assert len(reference) == 1
    made = emosh(*words, "--video-motion", driver, "--ref-motion", reference[0], "--framing", "ref", "--json")
    assert made.code == 0, made.err
    shown = emosh("inspect", "wan/src_face.mp4", "--json").json["provenance"]
    assert shown["config"]["framing"] == "ref"
    assert set(shown["inputs"]) == {"motion", "ref", "video", "video_motion", "ref_motion"}


@pytest.fixture(scope="module")
def steps_file(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk as it is tracked, with its floor and its contacts."""
    made = make_steps(body, np.zeros(10, np.float32), foot_scripts()[0])
    path = tmp_path_factory.mktemp("steps") / "steps.npz"
    save_motion(path, with_contacts(tracked_like(made.motion, seed=3), body))
    return path


def test_feet_are_locked_unless_told_otherwise(own_folder: Path, steps_file: Path) -> None:
    """The line says the slide per frame before and after; --no-lock-feet writes the feet as they were tracked."""
    said = emosh("export", steps_file, "-o", "locked.glb", "--json")
    assert said.code == 0, said.err
    assert said.json["feet"]["slide_before_mm"] > 5
    assert said.json["feet"]["slide_after_mm"] < 1
    assert "feet: slide" in said.err
    plain = emosh("export", steps_file, "-o", "plain.glb", "--no-lock-feet", "--json")
    assert "feet" not in plain.json
    assert (own_folder / "plain.glb").read_bytes() != (own_folder / "locked.glb").read_bytes()


def test_feet_of_a_picture_are_not_locked(steps_file: Path, clip: Clip) -> None:
    """A folder of pictures follows the video, so the option is refused there."""
    said = refused("export", steps_file, "-o", "wan", "--lock-feet", "--ref", clip.photo)
    assert "--lock-feet is not for wan-animate" in said
