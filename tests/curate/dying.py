"""Jobs whose worker dies in the middle, for the tests of both engines; workers import them by name."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from emosh_cli.workers.curate_jobs import VideoJob, scan_video
from emosh_cli.workers.local import _end_with_parent, _until_stopped, local_engine, run_jobs
from stages.artifacts.atomic import atomic_path
from stages.curate.records import VideoRecord
from stages.progress import silent


def dies_before(job: VideoJob) -> VideoRecord:
    """`scan_video`, but some videos' worker is killed before it begins, once."""
    _once(job, "before")
    return scan_video(job)


def dies_after(job: VideoJob) -> VideoRecord:
    """`scan_video`, but some videos' worker is killed when all is written and nothing told, once."""
    record = scan_video(job)
    _once(job, "after")
    return record


def dies_always(job: VideoJob) -> VideoRecord:
    """`scan_video`, but one video ends every process that looks at it."""
    if job.name.endswith("3"):
        _die()
    return scan_video(job)


def holds_the_interpreter(path: Path) -> None:
    """Write this process's number, then let C code wait with the interpreter's lock, as a compiler does for seconds."""
    path.write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(60)


def writes_slowly(path: Path) -> None:
    """An output that takes a minute."""
    with atomic_path(path) as part:
        part.write_text("half")
        path.with_suffix(".begun").touch()
        time.sleep(60)


def works_in_pool(path: Path) -> None:
    """A worker as a pool runs it: what its job raises is a result, and then it waits for the next job."""
    _end_with_parent()
    with suppress(BaseException):
        _until_stopped(writes_slowly, path)
    time.sleep(60)


def two_workers(function: Callable[[Path], None], folder: Path) -> None:
    """The function on two paths of the folder, each in a process of its own; 130 after Ctrl-C."""
    try:
        with run_jobs(local_engine(2), function, [folder / "a", folder / "b"], silent, "jobs") as finished:
            list(finished)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _once(job: VideoJob, when: str) -> None:
    time.sleep(0.05)
    if int(job.name[-1]) % 3:
        return
    mark = Path(f"{job.out}-{when}-{job.name}")
    if not mark.exists():
        mark.touch()
        _die()
    mark.write_text("again")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def scan_on_ray(folder: Path, out: Path) -> None:
    """All videos of the folder on a local Ray, its workers killed; prints each one's name and length. Ray leaves what
    SIGTERM does as it was."""
    from emosh_cli.workers.ray_cluster import ray_engine
    from stages.curate.config import CurateConfig

    jobs = [VideoJob(path, folder, path.stem, out, CurateConfig()) for path in sorted(folder.glob("*.mp4"))]
    told, on_sigterm = [], signal.getsignal(signal.SIGTERM)
    for function in (dies_before, dies_after):
        for job, record in ray_engine(2)(function, jobs):
            assert record.name == job.name
            told.append(f"{function.__name__} {record.name} {record.frames}")
    assert signal.getsignal(signal.SIGTERM) == on_sigterm
    print("\n".join(told))


if __name__ == "__main__":
    import sys

    from tests.curate import dying

    dying.scan_on_ray(Path(sys.argv[1]), Path(sys.argv[2]))
