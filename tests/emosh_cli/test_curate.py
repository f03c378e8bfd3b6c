"""`emosh curate` from a folder of videos to clips that are encoded: kept, rejected, resumed, killed, refused."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.manifest import ClipLine, read_manifest
from stages.artifacts.motion import load_motion
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames
from tests.command_line import CommandResult, emosh, refused

SHORT = ("--set", "min_frames=8", "--set", "max_frames=10", "--set", "trim_frames=0", "--set", "min_hand_share=0")
FILES = ("manifest.jsonl", "people/person-0001.mp4", "people/person-0001.npz")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person who moves, then a wall, ten frames each; a small video; one that is no video; a text."""
    from skimage.data import astronaut

    folder = tmp_path_factory.mktemp("videos")
    (folder / "people").mkdir()
    photo, wall = astronaut()[:320], np.add.outer(np.arange(320), np.arange(320))[..., None] // 4
    with VideoSink(folder / "people" / "person.mp4", 320, 320, Fraction(25)) as sink:
        for index in range(10):
            sink.write(np.ascontiguousarray(photo[:, 40 + 4 * index : 360 + 4 * index]))
        for _ in range(10):
            sink.write((wall + np.array([0, 60, 30])).astype(np.uint8))
    with VideoSink(folder / "tiny.mp4", 64, 48, Fraction(25)) as sink:
        for index in range(9):
            sink.write(np.full((48, 64, 3), 9 * index, np.uint8))
    (folder / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"x" * 100)
    (folder / "notes.txt").write_text("no video")
    return folder


def curate(videos: Path, out: Path, *more: str) -> CommandResult:
    """One run, in this process unless `more` says otherwise."""
    return emosh("curate", videos, "-o", out, "--workers", "1", *SHORT, *more)


@pytest.fixture(scope="module")
def clips(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, curated. Read only: tests that change something copy it."""
    out = tmp_path_factory.mktemp("curated") / "clips"
    said = curate(videos, out, "--json")
    assert said.code == 0, said.err
    assert (said.json["accepted"], said.json["rejected"]) == (1, 3), said.json
    assert said.json["reasons"] == {"unreadable": 1, "untracked": 1, "side_px": 1}
    assert said.json["output"] == str(out / "manifest.jsonl")
    return out


@pytest.fixture
def copy(clips: Path, tmp_path: Path) -> Path:
    """The curated folder, to be changed."""
    return shutil.copytree(clips, tmp_path / "clips")


def by_source(clips: Path) -> dict[tuple[str, int | None], ClipLine]:
    """The manifest's lines by the video's name and where in it they begin."""
    lines = read_manifest(clips / "manifest.jsonl")
    return {(line.source.name, line.source_first_frame): line for line in lines if line.source}


def test_a_clip_is_kept_with_its_motion(clips: Path, videos: Path) -> None:
    """The shot with the person lies there frame for frame, its motion has a row for each, and the line says what it
    shows and where it is from."""
    line = by_source(clips)["person.mp4", 0]
    assert (line.video, line.motion) == (clips / FILES[1], clips / FILES[2])
    assert (line.frames, line.first_frame, line.fps, line.reason) == (10, 0, 25, None)
    assert line.figures["face_share"] == line.figures["body_share"] == 1
    assert 0.1 < line.figures["face_scale"] < 0.6
    assert line.figures["movement"] > 0.06
    assert 0 <= line.figures["letters"] <= 4
    made, source = list(read_frames(line.video)), list(read_frames(videos / "people" / "person.mp4"))
    assert len(made) == 10
    for frame, truth in zip(made, source, strict=False):
        assert 10 * np.log10(255**2 / np.mean((frame.rgb.astype(float) - truth.rgb) ** 2)) > 36
    motion = load_motion(clips / FILES[2])
    assert (len(motion), motion.fps, motion.image_size) == (10, probe(line.video).fps, (320, 320))
    from stages.artifacts.provenance import sha256_file

    assert motion.provenance.inputs == {"video": sha256_file(line.video)}
    assert motion.provenance.notes["source"] == "person-0001.mp4"


def test_a_motion_is_what_track_makes(clips: Path, tmp_path: Path) -> None:
    """The motion beside a clip holds what `emosh track` makes of that clip, array for array."""
    assert emosh("track", clips / FILES[1], "-o", tmp_path / "again.npz").code == 0
    ours, again = load_motion(clips / FILES[2]), load_motion(tmp_path / "again.npz")
    for name in ("poses", "trans", "expression", "betas", "valid", "K"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(again, name))


def test_what_is_rejected_says_why(clips: Path, videos: Path) -> None:
    """Nobody in the picture, too small a picture and a broken file are lines with a reason on the source's own frames;
    a text is none, and no clip of them lies there."""
    lines = by_source(clips)
    assert lines["person.mp4", 10].reason.startswith("untracked: no person found")  # type: ignore[union-attr]
    assert lines["person.mp4", 10].video.samefile(videos / "people" / "person.mp4")
    assert (lines["person.mp4", 10].first_frame, lines["person.mp4", 10].motion) == (10, None)
    assert lines["tiny.mp4", 0].reason == "side_px 48 is below 256"
    assert lines["broken.mp4", 0].reason.startswith("unreadable: ")  # type: ignore[union-attr]
    assert len(lines) == 4
    assert sorted(path.name for path in clips.rglob("*.mp4")) == ["person-0001.mp4"]
    assert "face_share" in (clips / "summary.html").read_text()


def test_the_manifest_is_encoded(clips: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`emosh encode --manifest` reads what curate wrote, and encodes the accepted clip and no other."""
    from tests.wan import tiny

    model = tiny.save_folder(tmp_path_factory.mktemp("models") / "Tiny-Animate", tiny.animate_transformer())
    settings = ("render_cond.width=32", "render_cond.height=32", "render_cond.supersample=1", "encode.chunk_frames=5",
                "encode.overlap_frames=1", "cache.window_stride=5", "cache.reference_candidates=1")  # fmt: skip
    words = [word for each in settings for word in ("--set", each)]
    said = emosh("encode", "--manifest", clips / "manifest.jsonl", "-o", tmp_path / "cache", "--model", model,
                 "--device", "cpu", "--json", *words)  # fmt: skip
    assert said.code == 0, said.err
    assert (said.json["windows"], said.json["skipped"]) == (2, 0)


def test_a_second_run_does_only_what_is_missing(copy: Path, videos: Path) -> None:
    """Nothing is made again; a clip that was lost is, to the same bytes."""
    before = {name: ((copy / name).read_bytes(), (copy / name).stat().st_mtime_ns) for name in FILES[1:]}
    said = curate(videos, copy, "--json")
    assert (said.json["accepted"], said.json["remembered"]) == (1, 2)
    assert {name: ((copy / name).read_bytes(), (copy / name).stat().st_mtime_ns) for name in FILES[1:]} == before
    (copy / FILES[1]).unlink()
    said = curate(videos, copy, "--json")
    assert (said.json["accepted"], said.json["remembered"]) == (1, 1)
    assert {name: (copy / name).read_bytes() for name in before} == {name: each[0] for name, each in before.items()}


def test_another_threshold_judges_again(copy: Path, videos: Path) -> None:
    """A stricter threshold takes the clip back without measuring anything, and the line says so."""
    said = curate(videos, copy, "--json", "--set", "min_face_scale=0.9")
    assert (said.json["accepted"], said.json["remembered"]) == (0, 2)
    assert by_source(copy)["person.mp4", 0].reason.startswith("face_scale 0.")  # type: ignore[union-attr]
    assert not list(copy.rglob("*.mp4"))
    assert not list(copy.rglob("*.npz"))


def test_another_curation_is_refused(copy: Path, videos: Path, tmp_path: Path) -> None:
    """Settings that decide what is measured, and another folder of videos, are refused by name; nothing is touched."""
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    line = refused("curate", videos, "-o", copy, *SHORT, "--set", "curate.cut_score=20")
    assert "curate.cut_score was 10.0, now 20.0" in line
    assert "--force" in line
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(videos / "tiny.mp4", other / "another.mp4")
    assert f"holds clips of {videos.name} (" in refused("curate", other, "-o", copy, *SHORT)
    assert before == {path: path.stat().st_mtime_ns for path in copy.rglob("*")}


def test_force_begins_anew(copy: Path, videos: Path) -> None:
    """--force takes other settings, and leaves nothing of what was made with the ones before."""
    said = curate(videos, copy, "--json", "--force", "--set", "max_frames=20", "--set", "curate.cut_score=99")
    assert (said.code, said.json["remembered"]) == (0, 0), said.err
    assert set(by_source(copy)) == {("person.mp4", 0), ("tiny.mp4", 0), ("broken.mp4", 0)}
    assert by_source(copy)["person.mp4", 0].frames == 20
    assert not list(copy.rglob("person-0002*"))


def test_a_changed_video_is_made_again(copy: Path, videos: Path, tmp_path: Path) -> None:
    """Videos may be moved as a whole; one that changed loses its clips, one that is gone keeps its lines."""
    moved = shutil.copytree(videos, tmp_path / "moved")
    shutil.copy(moved / "tiny.mp4", moved / "people" / "person.mp4")
    (moved / "tiny.mp4").unlink()
    said = curate(moved, copy)
    assert said.code == 0, said.err
    assert "person.mp4 has changed" in said.err
    assert "gone since earlier runs: 1 video; their clips stay" in said.err
    assert not (copy / FILES[1]).exists()
    lines = by_source(copy)
    assert lines["tiny.mp4", 0].reason == lines["person.mp4", 0].reason == "side_px 48 is below 256"
    assert len(lines) == 3


def test_a_killed_run_goes_on(clips: Path, videos: Path, tmp_path: Path) -> None:
    """After kill -9 in the middle no worker stays behind and nothing half-written counts; the same command ends with
    the files of a run that nobody stopped, byte for byte."""
    out = tmp_path / "clips"
    words = [sys.executable, "-m", "emosh_cli", "curate", str(videos), "-o", str(out), "--workers", "2", *SHORT]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    videos_done, ends = out / ".emosh" / "videos", time.monotonic() + 60
    while len(list(videos_done.rglob("[!.]*.json"))) < 3 and time.monotonic() < ends:
        time.sleep(0.02)
    time.sleep(1.0)  # the workers are at the windows
    workers = children(child.pid)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert workers
    while any(map(alive, workers)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    assert not (out / "manifest.jsonl").exists()
    assert curate(videos, out).code == 0
    assert not list(out.rglob("*.part*"))
    for name in FILES[1:]:
        assert (out / name).read_bytes() == (clips / name).read_bytes(), name
    ours, theirs = by_source(out), by_source(clips)
    assert {key: line.figures for key, line in ours.items()} == {key: line.figures for key, line in theirs.items()}


def children(process: int) -> list[int]:
    """Process numbers of its children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(path.parent.name))
    return found


def alive(process: int) -> bool:
    """Whether it still runs."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_single_video_joins_what_is_there(copy: Path, videos: Path) -> None:
    """A video given alone is added to the folder's clips; those of the others stay, and are remembered."""
    tiny, out = videos / "tiny.mp4", copy.with_name("single")
    assert curate(tiny, out, "--json").json["rejected"] == 1
    assert curate(videos / "broken.mp4", out, "--json").json["reasons"] == {"side_px": 1, "unreadable": 1}
    before = (copy / FILES[1]).stat().st_mtime_ns
    said = curate(tiny, copy, "--json")
    assert (said.json["accepted"], said.json["remembered"]) == (1, 2)
    assert (copy / FILES[1]).stat().st_mtime_ns == before


def test_a_bug_is_a_line_that_is_tried_again(copy: Path, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody expected in one window does not stop the run and is not remembered."""
    shutil.rmtree(copy / ".emosh" / "windows")

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    with monkeypatch.context() as patched:
        patched.setattr("stages.track.track.track", broken)
        said = curate(videos, copy)
    assert said.code == 0, said.err
    assert "2 failed: see" in said.err
    assert by_source(copy)["person.mp4", 0].reason == "failed: ZeroDivisionError: oh"
    assert not (copy / ".emosh" / "windows" / "people" / "person-0001.json").exists()


def test_a_full_disk_is_one_line(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up ends the run with one sentence and exit code 2, and leaves nothing half-written."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("stages.curate.cut.cut_clip", full)
    line = refused("curate", videos, "-o", tmp_path / "clips", "--workers", "1", "-q", *SHORT)
    assert "disk is full" in line
    assert not [path for path in (tmp_path / "clips").rglob("*") if path.suffix in (".mp4", ".npz")]


def test_bad_input_is_one_line(videos: Path, tmp_path: Path) -> None:
    """No folder, an empty one, a wrong engine, an output that is a file, foreign, or the videos themselves."""
    empty, foreign, file = tmp_path / "empty", tmp_path / "foreign", tmp_path / "file"
    empty.mkdir()
    foreign.mkdir()
    (foreign / "mine.txt").write_text("mine")
    file.write_text("")
    assert "does not exist" in refused("curate", tmp_path / "gone")
    assert "holds no video" in refused("curate", empty)
    assert "choose local or ray" in refused("curate", videos, "-o", tmp_path / "out", "--engine", "spark")
    assert "is a file" in refused("curate", videos, "-o", file)
    assert "--force" in refused("curate", videos, "-o", foreign)
    assert "folder of the videos" in refused("curate", videos, "-o", videos, "--force")
    assert "--synthetic" in refused("curate", videos, "-o", tmp_path / "out", "--first", "3")
    assert "nan, expected a number" in refused("curate", videos, "-o", tmp_path / "out", "--set", "min_fps=nan")
    assert "min_frames" in refused("curate", videos, "-o", tmp_path / "out", "--set", "min_frames=0")
    assert "min_fcae_share" in refused("curate", videos, "-o", tmp_path / "out", "--set", "min_fcae_share=0")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_makes_nothing(videos: Path, tmp_path: Path) -> None:
    """--dry-run counts the videos and leaves no folder."""
    said = emosh("curate", videos, "-o", tmp_path / "clips", "--dry-run")
    assert (said.code, "curate 3 videos" in said.out) == (0, True)
    assert not (tmp_path / "clips").exists()
