"""The work folder: what has not changed is not made again, and what has is said."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from emosh_cli.console import Console
from emosh_cli.workflows.work_folder import WorkFolder, changes
from stages.artifacts.motion import load_motion
from stages.artifacts.provenance import Provenance
from stages.cores import usable_cores
from stages.generate.puppet import generate
from tests.command_line import CommandResult, emosh, refused
from tests.emosh_cli.conftest import FPS, FRAMES, SMALL, Clip

STEPS = ("track photo.png", "track drive.mp4", "retarget", "render-cond", "generate (puppet)")


@pytest.fixture
def copied(clip: Clip, tmp_path: Path) -> Clip:
    """The clip in a folder of its own, to be changed."""
    folder = tmp_path / "clip"
    shutil.copytree(clip.folder, folder)
    return Clip(folder, *(folder / path.name for path in (clip.photo, clip.drive, clip.result, clip.work)), clip.said)


def plan(said: CommandResult) -> dict[str, str]:
    """step -> what happened to it, from --json."""
    assert said.code == 0, said.err
    steps = said.json.get("steps") or said.json["plan"]
    return dict(step.split(": ", 1) for step in steps if ": " in step)


# ---- the real chain
def test_the_chain_makes_everything(clip: Clip) -> None:
    """animate leaves the result and every intermediate, each a valid artifact, and says which backend drew it."""
    said = clip.said.json
    assert list(plan(clip.said)) == list(STEPS)
    assert (said["output"], said["backend"]) == (str(clip.result), "puppet")
    assert said["retarget"]["height_ratio"] == pytest.approx(1, abs=0.05)
    for name in ("drive.npz", "ref.npz", "target.npz", "cond.mp4"):
        assert emosh("inspect", clip.work / name).code == 0
    assert not [path for path in clip.work.iterdir() if ".part" in path.name]


def test_it_works_on_as_many_cores_as_it_is_given(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --jobs 1 animate reads, fits and draws on one core and writes the bytes that it writes on all; --jobs 0 is
    all again."""
    taken = []
    puppet = generate.draw_frames
    monkeypatch.setattr(generate, "draw_frames", lambda *given: taken.append(given[-1]) or puppet(*given))
    out = tmp_path / clip.result.name
    said = emosh(*clip.command[:5], "-o", out, *SMALL, "--jobs", "1")
    assert said.code == 0, said.err
    assert (usable_cores(), taken) == (1, [1])
    assert out.read_bytes() == clip.result.read_bytes()
    for name in ("drive.npz", "ref.npz", "target.npz"):
        assert (out.with_suffix(".emosh") / name).read_bytes() == (clip.work / name).read_bytes()
    assert emosh(*clip.command[:5], "-o", out, *SMALL).code == 0
    assert usable_cores() == len(os.sched_getaffinity(0))


def test_the_result_keeps_time_and_sound(clip: Clip) -> None:
    """The result has the driver's frames, rate and length within one frame, and its sound."""
    from stages.video.source import probe

    result, drive = probe(clip.result), probe(clip.drive)
    assert (result.frame_count, result.fps) == (FRAMES, FPS)
    assert result.duration_seconds == pytest.approx(drive.duration_seconds, abs=1 / FPS)
    assert result.has_audio


def test_generate_finds_the_sound_through_the_motion(clip: Clip, tmp_path: Path) -> None:
    """generate --motion carries the sound of the video that the motion was tracked from."""
    from stages.video.source import probe

    out = tmp_path / "out.mp4"
    said = emosh("generate", "--ref", clip.photo, "--motion", clip.work / "target.npz", "-o", out, "--json", *SMALL)
    assert list(plan(said)) == ["track photo.png", "render-cond", "generate (puppet)"], "it was retargeted already"
    assert probe(out).has_audio


def test_sound_comes_from_beside_the_motion_only(clip: Clip, tmp_path: Path) -> None:
    """Wherever a motion says that its video lies, sound is taken from beside it, by name and by sha256; a note says so,
    and, where there is none, how to get it. A motion that names a private file is one that was only moved away."""
    from stages.video.source import probe

    motion, out = tmp_path / "sent" / "target.npz", tmp_path / "out.mp4"
    motion.parent.mkdir()
    shutil.copy(clip.work / "target.npz", motion)
    assert load_motion(clip.work / "drive.npz").provenance.notes["source"] == clip.drive.name
    command = ("generate", "--ref", clip.photo, "--motion", motion, "-o", out, *SMALL)
    said = emosh(*command)
    assert f"no sound: {clip.drive.name} is not beside {motion}" in said.err
    assert not probe(out).has_audio
    shutil.copy(clip.result, motion.parent / clip.drive.name)
    assert f"no sound: {clip.drive.name} has other bytes" in emosh(*command).err
    shutil.copy(clip.drive, motion.parent)
    assert f"sound: {motion.parent / clip.drive.name}\n" in emosh(*command).err
    assert probe(out).has_audio


def test_a_motion_names_no_private_file(clip: Clip, tmp_path: Path) -> None:
    """A forged motion, whose source is a path with the right bytes or the name of what lies beside it with any bytes,
    brings no sound."""
    from emosh_cli.workflows.animation import find_video
    from stages.artifacts.provenance import Provenance, sha256_file

    shutil.copy(clip.drive, tmp_path / "private.mp4")
    right, given, console = sha256_file(clip.drive), tmp_path / "sent" / "a.npz", Console(quiet=True)
    given.parent.mkdir()
    for source in (str(tmp_path / "private.mp4"), "../private.mp4", "..", ".", "", 5, {"path": str(clip.drive)}, None):
        record = Provenance("track", inputs={"video": right}, notes={"source": source})
        assert find_video(record, given, console)[0] is None
    for record in (Provenance("retarget", notes={"source": "private.mp4"}), Provenance("retarget", inputs={"x": right}),
                   Provenance("track", inputs={"video": "0"}, notes={"source": "private.mp4"})):  # fmt: skip
        assert find_video(record, tmp_path / "a.npz", console)[0] is None
    honest = Provenance("retarget", notes={"source": "clips\\private.mp4", "source_sha256": right})
    assert find_video(honest, tmp_path / "a.npz", console) == (tmp_path / "private.mp4", "")


def test_a_rerun_is_cached(clip: Clip) -> None:
    """The same command again makes nothing and says `cached` for each step."""
    before = clip.result.stat().st_mtime_ns
    said = emosh(*clip.command)
    assert said.out == f"{clip.result}\n"
    for step in STEPS:
        assert f"{step}: cached" in said.err
    assert clip.result.stat().st_mtime_ns == before


def test_a_changed_setting_says_what_changed(clip: Clip) -> None:
    """Another --framing remakes the last step only, and names the setting with both values."""
    steps = plan(emosh(*clip.command, "--framing", "drive", "--dry-run", "--json"))
    assert [steps[step] for step in STEPS[:4]] == ["cached"] * 4
    assert steps["generate (puppet)"] == "made again, because framing was ref, now drive"


def test_a_changed_setting_early_remakes_what_follows(clip: Clip) -> None:
    """A setting of the tracker remakes everything after it."""
    steps = plan(emosh(*clip.command, "--set", "track.sigma_betas=2", "--dry-run", "--json"))
    assert "sigma_betas was 1.0, now 2.0" in steps["track drive.mp4"]
    assert "the driver changed" in steps["retarget"]
    assert "cached" not in steps.values()


def test_another_person_is_meant_for_the_driver(clip: Clip) -> None:
    """--person does not touch the reference photo."""
    steps = plan(emosh(*clip.command, "--person", "1", "--dry-run", "--json"))
    assert "person was 0, now 1" in steps["track drive.mp4"]
    assert steps["track photo.png"] == "cached"


def test_a_damaged_intermediate_is_made_again(copied: Clip) -> None:
    """A condition map whose bytes changed, and a motion that went, are made again; the rest stays."""
    cond = copied.work / "cond.mp4"
    cond.write_bytes(cond.read_bytes()[:-50])
    (copied.work / "target.npz").unlink()
    steps = plan(emosh(*copied.command, "--json"))
    assert steps["track drive.mp4"] == steps["track photo.png"] == "cached"
    assert steps["retarget"] == "making it"
    assert steps["render-cond"] == "made again, because cond.mp4 is not as it was written"
    assert steps["generate (puppet)"] == "cached", "the same motion came out again"
    assert emosh("inspect", cond).code == 0


def test_a_damaged_result_or_record_is_made_again(copied: Clip) -> None:
    """A result without a readable record of how it was made is never taken for an up-to-date one."""
    stamp = copied.work / "result.mp4.stamp.json"
    stamp.write_text(stamp.read_text()[:-20])
    again = plan(emosh(*copied.command, "--dry-run", "--json"))
    assert again["generate (puppet)"] == "made again, because the record of how it was made is damaged"
    stamp.unlink()
    again = plan(emosh(*copied.command, "--dry-run", "--json"))
    assert again["generate (puppet)"] == "made again, because there is no record of how it was made"


def test_force_makes_everything_again(clip: Clip) -> None:
    """--force takes nothing from the cache."""
    steps = plan(emosh(*clip.command, "--force", "--dry-run", "--json"))
    assert set(steps.values()) == {"asked for with --force"}


def test_a_dry_run_of_a_new_result_plans_it_all(clip: Clip, own_folder: Path) -> None:
    """--dry-run before anything exists lists every step and makes no folder."""
    said = emosh("animate", "--ref", clip.photo, "--drive", clip.drive, "-o", "new.mp4", "--dry-run")
    assert said.out.splitlines() == [*(f"{step}: to be made" for step in STEPS), "-> new.mp4"]
    assert list(own_folder.iterdir()) == []


# ---- one step
EXPECTED = Provenance("test", {"size": 1}, {"video": "a"}, {"body": "b"})


def made_in(folder: Path, expected: Provenance = EXPECTED, text: str = "made") -> list[str]:
    """Run one step in a work folder; what it said."""
    work = WorkFolder(folder / "out.mp4", Console(quiet=True))
    work.step("step", work.folder / "a.txt", expected, lambda path: path.write_text(text) and None)
    return work.plan


def test_a_step_is_made_once(tmp_path: Path) -> None:
    """A step with the same provenance and the same bytes is not made a second time."""
    assert made_in(tmp_path) == ["step: making it"]
    assert made_in(tmp_path, text="other") == ["step: cached"]
    assert (tmp_path / "out.emosh" / "a.txt").read_text() == "made"


def test_a_step_that_fails_is_not_recorded(tmp_path: Path) -> None:
    """A step that dies leaves no record, so that it is made again."""
    made_in(tmp_path)
    work = WorkFolder(tmp_path / "out.mp4", Console(quiet=True), force=True)

    def fail(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.step("step", work.folder / "a.txt", EXPECTED, fail)
    assert made_in(tmp_path) == ["step: made again, because there is no record of how it was made"]


def test_changes_in_words() -> None:
    """Settings are told with both values, digests only by what they are of."""
    now = replace(EXPECTED, config={"size": 2}, inputs={"video": "c"}, weights={"body": "d"}, version="9")
    assert changes(EXPECTED, now) == [
        "size was 1, now 2", "the video changed", f"version was {EXPECTED.version}, now 9", "the body changed",
    ]  # fmt: skip


def test_the_record_is_readable(tmp_path: Path) -> None:
    """The stamp beside an artifact is JSON with its sha256 and full provenance."""
    made_in(tmp_path)
    record = json.loads((tmp_path / "out.emosh" / "a.txt.stamp.json").read_text())
    assert Provenance.from_json(json.dumps(record["provenance"])) == EXPECTED
    assert len(record["sha256"]) == 64


def test_track_draws_its_overlay(clip: Clip, own_folder: Path) -> None:
    """track --overlay draws the fit over a video, or over a photo as a picture, and says how good the fit is."""
    from stages.video.source import probe

    said = emosh("track", clip.drive, "-o", "drive.npz", "--overlay", "overlay.mp4", "--json")
    assert said.json["summary_figures"]["valid_face"] == 1
    assert probe(Path("overlay.mp4")).frame_count == FRAMES
    assert emosh("track", clip.photo, "-o", "ref.npz", "--overlay", "overlay.png").code == 0
    assert probe(Path("overlay.png")).is_photo
    assert emosh("track", clip.photo, "-o", "ref.npz", "--overlay", "overlay.png").code == 0, "its own overlay"
    shutil.copy(clip.photo, "foreign.png")
    assert "emosh did not write it" in refused("track", clip.photo, "-o", "ref.npz", "--overlay", "foreign.png")
