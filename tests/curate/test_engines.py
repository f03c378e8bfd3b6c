"""Work spread over processes, which die: nothing is lost, nothing is done twice over, a bad job does not stop it."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emosh_cli.workers.curate_jobs import VideoJob, scan_video
from emosh_cli.workers.local import KILLED, Engine, local_engine
from stages.artifacts.leftovers import _is_running
from stages.curate import records
from stages.curate.config import CurateConfig
from stages.video.sink import VideoSink
from tests.curate import dying
from tests.forked import forked

COUNT = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short videos, each of its own length."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(COUNT):
        with VideoSink(folder / f"v{number}.mp4", 64, 48, Fraction(25)) as sink:
            for index in range(5 + number):
                sink.write(np.full((48, 64, 3), 20 * index, np.uint8))
    return folder


def jobs(folder: Path, out: Path) -> list[VideoJob]:
    """One a video."""
    out.mkdir(exist_ok=True)
    return [VideoJob(path, folder, path.stem, out, CurateConfig()) for path in sorted(folder.glob("*.mp4"))]


def lengths(out: Path) -> dict[str, int]:
    """What was recorded of every video; nothing half-written lies beside."""
    assert not list(out.rglob("*.part*"))
    return {video.name: video.frames for video in records.recorded_videos(out)}


ALL = {f"v{number}": 5 + number for number in range(COUNT)}


@pytest.mark.parametrize("engine", [local_engine(1), local_engine(3)], ids=["here", "pool"])
def test_every_job_is_done_once(folder: Path, tmp_path: Path, engine: Engine) -> None:
    """In this process and in three, each job comes back once with its own result; done again it is remembered."""
    wanted = jobs(folder, tmp_path / "out")
    for _ in range(2):
        done = [(job.name, record.frames) for job, record in engine(scan_video, wanted)]
        assert dict(done) == ALL
        assert len(done) == COUNT
        stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json")}
    assert lengths(tmp_path / "out") == ALL
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json")}


@pytest.mark.usefixtures("forked_pools")
@pytest.mark.parametrize("function", [dying.dies_before, dying.dies_after])
def test_a_killed_worker_loses_and_doubles_nothing(folder: Path, tmp_path: Path, function) -> None:
    """Workers killed before their job begins, or after all is written: every job comes back once, with its result."""
    wanted = jobs(folder, tmp_path / "out")
    done = [(job.name, record.frames) for job, record in local_engine(2)(function, wanted)]
    assert sorted(done) == sorted(ALL.items())
    assert len(list(tmp_path.glob("out-*"))) == 2
    assert lengths(tmp_path / "out") == ALL


@pytest.mark.usefixtures("forked_pools")
def test_a_job_that_kills_every_process_is_told(folder: Path, tmp_path: Path) -> None:
    """A video whose decoder takes the process with it is given up after the third time; the others are done."""
    done = {job.name: record for job, record in local_engine(2)(dying.dies_always, jobs(folder, tmp_path / "out"))}
    assert done.pop("v3") is KILLED
    assert {name: record.frames for name, record in done.items()} == {k: v for k, v in ALL.items() if k != "v3"}


def test_a_worker_has_one_core(tmp_path: Path) -> None:
    """Two workers keep to one core each, and their libraries to one thread."""
    found = [told for _, told in local_engine(2)(allowance, [0, 1, 2, 3])]
    assert all(len(cores) == 1 and threads == "1" for cores, threads in found)


def allowance(_: int) -> tuple[list[int], str]:
    """The cores that this process may use, and the thread count that libraries read."""
    return sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"]


def wait_for(paths: list[Path], seconds: float = 60) -> None:
    """Until all are there."""
    ends = time.monotonic() + seconds
    while not all(path.is_file() and (path.suffix or path.read_text()) for path in paths):
        assert time.monotonic() < ends, "the workers did not begin"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread of the worker looks for its parent")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    """kill -9 of the parent ends its workers within two seconds, also those that never let Python run."""
    parent = forked(dying.two_workers, dying.holds_the_interpreter, tmp_path)
    wait_for(numbers := [tmp_path / "a", tmp_path / "b"])
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    parent.told()
    ends = time.monotonic() + 2
    workers = [int(path.read_text()) for path in numbers]
    while any(map(_is_running, workers)) and time.monotonic() < ends:
        time.sleep(0.02)
    assert not any(map(_is_running, workers))


def test_stopped_workers_remove_what_they_began(tmp_path: Path) -> None:
    """Ctrl-C ends the workers' jobs through their stack: no half-written file is left."""
    parent = forked(dying.two_workers, dying.writes_slowly, tmp_path)
    wait_for([tmp_path / "a.begun", tmp_path / "b.begun"])
    assert len(list(tmp_path.glob(".*.part"))) == 2
    parent.send_signal(signal.SIGINT)
    assert parent.wait(30) == 130
    parent.told()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.begun", "b.begun"]


def test_a_stopped_worker_waits_for_no_other_job(tmp_path: Path) -> None:
    """SIGTERM, as a pool sends it when another worker has died, ends a worker in the middle of its job, cleaned up."""
    worker = forked(dying.works_in_pool, tmp_path / "a")
    wait_for([tmp_path / "a.begun"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 128 + signal.SIGTERM
    assert worker.told() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["a.begun"]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='ray is not installed: pip install "emosh[ray]"')
def test_a_killed_ray_worker_loses_and_doubles_nothing(folder: Path, tmp_path: Path) -> None:
    """On a local Ray whose workers are killed in the middle of a run, before and after they wrote their record, every
    video comes back once; the killed ones were begun again."""
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "tests.curate.dying", str(folder), str(out)]
    with tempfile.TemporaryDirectory() as place:  # as short as sockets must be
        environment = {**os.environ, "TMPDIR": place}
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    said = [tuple(line.split()) for line in finished.stdout.splitlines()]
    wanted = [(each, name, str(frames)) for each in ("dies_before", "dies_after") for name, frames in ALL.items()]
    assert sorted(said) == sorted(wanted)
    marks = {path.name.removeprefix("out-"): path.read_text() for path in tmp_path.glob("out-*")}
    assert marks == {f"{when}-v{number}": "again" for when in ("before", "after") for number in (0, 3)}
    assert lengths(out) == ALL
