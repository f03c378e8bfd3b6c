"""Bad input: one clear line, exit code 2, and no output left behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stages.artifacts.npz import read_npz, write_npz
from stages.body.store import body_path
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import SMALL, Clip


def left(folder: Path) -> set[str]:
    """Everything in a folder, hidden files too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# ---- pictures and videos
SOURCES: dict[str, tuple[Callable[[Path, Clip], object], str]] = {
    "absent": (lambda path, clip: None, "does not exist"),
    "empty": (lambda path, clip: path.write_bytes(b""), "is empty"),
    "text": (lambda path, clip: path.write_text("not a video"), "not a video or photo"),
    "folder": (lambda path, clip: path.mkdir(), "is a folder"),
    "cut": (lambda path, clip: path.write_bytes(clip.drive.read_bytes()[:3000]), "cut short|cut off"),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("words", [["track", "{}", "-o", "x.npz"], ["animate", "--ref", "photo", "--drive", "{}"]])
def test_a_bad_video(own_folder: Path, clip: Clip, kind: str, words: list[str]) -> None:
    """An absent, empty, truncated or foreign video is named with what is wrong with it."""
    spoil, expected = SOURCES[kind]
    spoil(Path("drive.mp4"), clip)
    before = left(own_folder)
    given = ["drive.mp4" if word == "{}" else clip.photo if word == "photo" else word for word in words]
    line = refused(*given)
    assert "drive.mp4" in line
    assert any(text in line for text in expected.split("|")), line
    assert left(own_folder) == before


def test_a_near_miss_is_suggested(own_folder: Path) -> None:
    """A misspelt file name is answered with the file that is there."""
    Path("drive.mp4").write_bytes(b"x")
    assert "did you mean drive.mp4?" in refused("track", "drvie.mp4")


def test_nobody_in_the_picture(own_folder: Path) -> None:
    """A picture without a person is refused by `track`, and leaves no motion."""
    from stages.video.png import write_png

    grey = np.linspace(60, 200, 160)[None, :, None].repeat(120, 0).repeat(3, 2)
    write_png(Path("wall.png"), grey.astype(np.uint8))
    assert "no person found in wall.png" in refused("track", "wall.png", "-o", "x.npz")
    assert left(own_folder) == {"wall.png"}


def test_a_person_who_is_not_there(own_folder: Path, clip: Clip) -> None:
    """--person counts from 0, and asking for more people than there are says how many there are."""
    line = refused("track", clip.photo, "--person", "1", "-o", "x.npz")
    assert "there is no person 1" in line
    assert "only one person" in line
    assert left(own_folder) == set()


def test_a_photo_is_no_driver_and_a_video_no_reference(own_folder: Path, clip: Clip) -> None:
    """Photo and video swapped are told apart before any work."""
    assert "is a video; --ref takes a photo" in refused("animate", "--ref", clip.drive, "--drive", clip.drive)
    assert "is a photo; --drive takes a video" in refused("animate", "--ref", clip.photo, "--drive", clip.photo)
    motion = clip.work / "ref.npz"
    assert "is a motion; --ref takes the photo" in refused("animate", "--ref", motion, "--drive", clip.drive)
    words = ("animate", "--ref", clip.photo, "--drive", clip.drive, "--backend", "puppet", "--no-disentangle")
    assert "--no-disentangle has no effect on the puppet" in refused(*words)


# ---- artifacts
def without_an_array(path: Path) -> None:
    arrays = read_npz(path)
    del arrays["emosh_K"]
    write_npz(path, arrays)


def not_finite(path: Path) -> None:
    arrays = read_npz(path)
    arrays["trans"][3, 1] = np.nan
    write_npz(path, arrays)


def pickled(path: Path) -> None:
    np.savez(path, poses=np.array([{"a": 1}], dtype=object))


def another_rows(path: Path) -> None:
    arrays = read_npz(path)
    arrays["poses"] = arrays["poses"][:-1]
    write_npz(path, arrays)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "absent": (lambda path: path.unlink(), "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "damaged or not an .npz"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-2000]), "damaged"),
    "flipped": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"trans.npy", b"trans.npz")),
        "damaged|missing",
    ),
    "text": (lambda path: path.write_text("words"), "no .npz|not an .npz|damaged"),
    "pickled": (pickled, "never unpickles"),
    "array gone": (without_an_array, "'emosh_K' is missing"),
    "not finite": (not_finite, "'trans' is not finite at row 3"),
    "rows differ": (another_rows, "frames is"),
}
MOTION_COMMANDS = {
    "retarget": lambda motion, ref: ["retarget", motion, "--ref", ref, "-o", "out.npz"],
    "reference": lambda motion, ref: ["retarget", ref, "--ref", motion, "-o", "out.npz"],
    "render-cond": lambda motion, ref: ["render-cond", motion, "-o", "out.mp4"],
    "export": lambda motion, ref: ["export", motion, "-o", "out.npz"],
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("command", MOTION_COMMANDS)
def test_a_damaged_motion(own_folder: Path, motion_file: Path, clip: Clip, kind: str, command: str) -> None:
    """Every command that reads a motion refuses a damaged one, naming file and array."""
    motion = motion_file.rename("broken.npz") and Path("broken.npz")
    spoil, expected = DAMAGE[kind]
    spoil(motion)
    before = left(own_folder)
    line = refused(*MOTION_COMMANDS[command](motion, clip.work / "ref.npz"))
    assert "broken.npz" in line
    assert any(text in line for text in expected.split("|")), line
    assert left(own_folder) == before


@pytest.mark.parametrize("command", MOTION_COMMANDS)
def test_the_wrong_kind_of_artifact(own_folder: Path, clip: Clip, command: str) -> None:
    """A body file given as a motion is called a body file."""
    line = refused(*MOTION_COMMANDS[command](body_path("open"), clip.work / "ref.npz"))
    assert "is a body file, expected a motion" in line
    assert left(own_folder) == set()


def test_a_video_as_a_motion(own_folder: Path, clip: Clip) -> None:
    """A video given as a motion is refused by name."""
    assert "drive.mp4" in refused("render-cond", clip.drive, "-o", "x.mp4")
    assert left(own_folder) == set()


def test_a_motion_of_another_body(own_folder: Path, motion_file: Path, clip: Clip) -> None:
    """A motion fitted on another body file is refused by that body's name in every command."""
    arrays = read_npz(motion_file)
    arrays["emosh_body_model"], arrays["emosh_body_sha256"] = np.array("theirs"), np.array("0" * 64)
    write_npz(motion_file, arrays)
    before = left(own_folder)
    for command, words in MOTION_COMMANDS.items():
        assert "theirs" in refused(*words(motion_file, clip.work / "ref.npz")), command
    assert left(own_folder) == before


@pytest.mark.parametrize("name", ["ehm", "nobody", "none.npz"])
def test_a_body_that_is_not_there(own_folder: Path, motion_file: Path, name: str) -> None:
    """A body that is not installed is refused with what to do."""
    assert name in refused("render-cond", motion_file, "-o", "x.mp4", "--body", name)
    assert not Path("x.mp4").exists()


def test_the_wan_backend_is_refused_before_any_work(own_folder: Path, clip: Clip) -> None:
    """--backend wan says that it is not there, and makes no work folder."""
    line = refused("animate", "--ref", clip.photo, "--drive", clip.drive, "-o", "out.mp4", "--backend", "wan")
    assert "--backend puppet" in line
    assert "choose" in refused(
        "animate", "--ref", clip.photo, "--drive", clip.drive, "-o", "out.mp4", "--backend", "wann"
    )
    assert left(own_folder) == set()


def test_videos_that_do_not_belong_together(own_folder: Path, clip: Clip) -> None:
    """Paired figures of clips of different lengths are refused, and no report is written."""
    from fractions import Fraction

    from stages.video.sink import VideoSink

    with VideoSink(Path("short.mp4"), 128, 128, Fraction(10)) as sink:
        sink.write(np.zeros((128, 128, 3), np.uint8))
    refused("evaluate", clip.result, "--truth", "short.mp4", "-o", "r.json")
    assert "--truth VIDEO" in refused("evaluate", clip.result, "-o", "r.json")
    assert left(own_folder) == {"short.mp4"}


# ---- outputs
@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("none/x.mp4", "the folder none does not exist"),
        ("folder", "is a folder"),
        ("x.avi", "written as .mp4"),
        ("file.txt/x.mp4", "cannot write|does not exist"),
        ("-", "cannot be written to a pipe"),
    ],
)
def test_an_output_that_cannot_be(own_folder: Path, motion_file: Path, out: str, expected: str) -> None:
    """An output in no folder, over a folder, or with a foreign suffix is refused before any work."""
    Path("folder").mkdir()
    Path("file.txt").write_text("words")
    before = left(own_folder)
    line = refused("render-cond", motion_file, "-o", out)
    assert any(text in line for text in expected.split("|")), line
    assert left(own_folder) == before


def test_an_unwritable_folder(own_folder: Path, motion_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that refuses files is found out before any work."""

    def no(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", no)
    assert "cannot write x.mp4: permission denied" in refused("render-cond", motion_file, "-o", "x.mp4")


def test_a_file_of_somebody_else_is_not_overwritten(own_folder: Path, motion_file: Path) -> None:
    """A file that emosh did not write stays, unless --force; one that it wrote itself is replaced."""
    words = ("render-cond", motion_file, "-o", "x.mp4", "--size", "64", "--set", "supersample=1")
    Path("x.mp4").write_bytes(b"holiday")
    assert "emosh did not write it; overwrite it with --force" in refused(*words)
    assert Path("x.mp4").read_bytes() == b"holiday"
    assert emosh(*words, "--force").code == 0
    assert emosh(*words).code == 0


def test_another_kind_of_result_is_not_overwritten(own_folder: Path, motion_file: Path, clip: Clip) -> None:
    """A condition map does not replace a generated video without --force."""
    Path("x.mp4").write_bytes(clip.result.read_bytes())
    assert "holds a result of generate" in refused("render-cond", motion_file, "-o", "x.mp4")


def test_an_input_is_never_overwritten(own_folder: Path, motion_file: Path, clip: Clip) -> None:
    """An output that is also an input is refused even with --force, by whatever path."""
    line = refused("retarget", motion_file, "--ref", clip.work / "ref.npz", "-o", "./motion.npz", "--force")
    assert "is an input of this command" in line


def test_a_file_in_the_place_of_the_work_folder(own_folder: Path, clip: Clip) -> None:
    """A file where the work folder should be is refused by name."""
    Path("out.emosh").write_text("mine")
    line = refused("animate", "--ref", clip.photo, "--drive", clip.drive, "-o", "out.mp4")
    assert "out.emosh is a file" in line


# ---- the machine
@pytest.fixture
def full_disk(motion_file: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is refused at the moment it would be kept; the files that the tests read are there already."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("command", ["retarget", "render-cond", "export", "track", "evaluate", "config"])
def test_a_full_disk(own_folder: Path, motion_file: Path, clip: Clip, command: str) -> None:
    """With the disk full every command says so by file name and leaves nothing, hidden files included."""
    words = {
        "track": ["track", clip.photo, "-o", "out.npz"],
        "evaluate": ["evaluate", clip.result, "--truth", clip.result, "-o", "out.json"],
        "config": ["config", "init", "out.toml"],
    }.get(command) or MOTION_COMMANDS[command](motion_file, clip.work / "ref.npz")
    line = refused(*words)
    assert "the disk is full" in line
    assert "out." in line
    assert left(own_folder) == {"motion.npz"}


def test_memory_runs_out(own_folder: Path, motion_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MemoryError is a sentence, not a traceback."""

    def out_of_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("stages.artifacts.motion.load_motion", out_of_memory)
    assert "out of memory" in refused("render-cond", motion_file, "-o", "x.mp4")


def test_our_own_bug_says_so(own_folder: Path, motion_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything unforeseen ends with exit code 1 and asks for a report."""

    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("stages.artifacts.motion.load_motion", bug)
    said = emosh("render-cond", motion_file, "-o", "x.mp4")
    assert said.code == 1
    assert "this is a bug in emosh" in said.error


def test_no_network_is_touched(own_folder: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain's heaviest steps run with every socket refused."""

    def no(*_: object, **__: object) -> None:
        raise AssertionError("emosh opened a socket")

    import socket

    monkeypatch.setattr("socket.socket", SimpleNamespace(connect=no))
    monkeypatch.setattr(socket, "create_connection", no)
    monkeypatch.setattr(socket, "getaddrinfo", no)
    said = emosh("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "-o", "out.mp4", *SMALL)
    assert said.code == 0, said.err
