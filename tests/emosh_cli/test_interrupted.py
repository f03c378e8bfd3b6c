"""Ctrl-C, a kill and a kill -9 in a real process: nothing half-written is taken for an artifact, a rerun goes on."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from stages.body.model import Body
from tests.command_line import emosh
from tests.emosh_cli.conftest import Clip
from tests.forked import command_line, forked

SECONDS, FPS = 40, 25


@dataclass(frozen=True)
class LongRun:
    """A chain that would draw 1000 condition frames: long enough to be stopped in the middle."""

    words: tuple[str, ...]
    result: Path
    work: Path


@pytest.fixture
def long_run(clip: Clip, tmp_path: Path, body: Body) -> LongRun:
    """`generate` on a long scripted motion, with the photo tracked already."""
    from stages.artifacts.motion import load_motion, save_motion
    from stages.retarget.scripted import scripted_motion

    script, result, work = tmp_path / "script.npz", tmp_path / "long.mp4", tmp_path / "long.emosh"
    save_motion(script, scripted_motion(load_motion(clip.work / "ref.npz"), body, SECONDS, Fraction(FPS)))
    work.mkdir()
    for name in ("ref.npz", "ref.npz.stamp.json"):
        shutil.copy(clip.work / name, work / name)
    words = ("generate", "--ref", clip.photo, "--motion", script, "-o", result, "--set", "render_cond.supersample=1")
    return LongRun(tuple(map(str, words)), result, work)


def stopped(run: LongRun, number: int) -> tuple[int, list[dict]]:
    """Start the run, send a signal once frames of the condition map are drawn; its exit code and last words."""
    child = forked(command_line, *run.words, "--json")
    for line in child.stderr:
        said = json.loads(line)
        if said.get("label") == "drawing the condition map" and said["done"] > 1:
            break
    else:
        pytest.fail(f"it ended before frames were drawn: {child.wait()}")
    child.send_signal(number)
    rest = [json.loads(line) for line in child.stderr if line.startswith("{")]
    child.told()
    return child.wait(), rest


def check_rerun_goes_on(run: LongRun) -> None:
    """What was finished is whole and cached; what was not is not there, and is planned."""
    assert not run.result.exists()
    assert not (run.work / "cond.mp4").exists()
    for name in ("ref.npz", "target.npz"):
        assert emosh("inspect", run.work / name).code == 0
    plan = emosh(*run.words, "--dry-run").out
    assert "track photo.png: cached" in plan
    assert "retarget: cached" in plan
    assert "render-cond: to be made" in plan


def parts(run: LongRun) -> list[Path]:
    """Hidden half-written files."""
    return [path for path in run.work.rglob("*") if ".part" in path.name]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_kill_leave_nothing_half_written(long_run: LongRun, number: int, code: int) -> None:
    """Ctrl-C and SIGTERM in the middle of a video remove the half-written file and keep what was finished."""
    ended, said = stopped(long_run, number)
    assert ended == code
    if number == signal.SIGINT:
        assert said[-1] == {"event": "error", "text": said[-1]["text"], "exit_code": 130}
        assert "run the same command again to continue" in said[-1]["text"]
    assert parts(long_run) == []
    check_rerun_goes_on(long_run)


def test_kill_9_leaves_nothing_that_counts(long_run: LongRun) -> None:
    """After kill -9 only a hidden .part file may be left, which is no artifact and is swept by the rerun."""
    ended, _ = stopped(long_run, signal.SIGKILL)
    assert ended == -signal.SIGKILL
    assert all(path.name.startswith(".cond.") for path in parts(long_run))
    check_rerun_goes_on(long_run)
