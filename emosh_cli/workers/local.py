"""Who does many jobs that do not need each other, a curation's or made-up clips: processes of this machine, or Ray.

A job that ends its process (a decoder's crash, a kernel short of memory) is done again alone; where it ends two more,
it becomes a line with its reason and the rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from stages.cores import usable_cores

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from stages.progress import Progress

Job = TypeVar("Job")
Result = TypeVar("Result")
Engine = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[Any, Any]]]
"""(function, jobs) -> (job, its result, or KILLED) as they are finished."""

WORKER_GB = 1.6
"""What a worker needs: tracking peaks at 1.2 GB (d7, 960x540), a 4K video adds its decoder's pictures."""


class Killed:
    """In the place of a result: the job's process did not live to give one."""


KILLED = Killed()
DIED = "its process died again and again, most likely for want of memory; try again with fewer --workers"


def workers_here() -> int:
    """Workers on this machine: as many as this process has cores, and memory has room for."""
    return max(1, min(usable_cores(), int(_free_gb() / WORKER_GB)))


def _free_gb() -> float:
    """Memory that can be had, as the kernel estimates it; without bounds where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            kept = {line.split(":")[0]: line.split()[1] for line in file}
        return int(kept["MemAvailable"]) / 1024**2
    except (OSError, KeyError, ValueError, IndexError):
        return float("inf")


def results(
    engine: Engine, function: Callable[[Job], Result], jobs: Sequence[Job], progress: Progress, label: str
) -> Iterator[tuple[Job, Result | None]]:
    """(job, result) as they are finished, told to `progress`; None in the place of a result for DIED."""
    progress(label, 0, len(jobs))
    for done, (job, result) in enumerate(engine(function, jobs), start=1):
        yield job, None if isinstance(result, Killed) else result
        progress(label, done, len(jobs))


def local(workers: int) -> Engine:
    """Processes of this machine, `workers` at a time; one does the work in this very process."""

    def run(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, Result | Killed]]:
        count = min(workers, len(jobs))
        if count <= 1:
            for job in jobs:
                yield job, function(job)
            return
        left = list(jobs)
        while left:
            suspects = yield from _until_broken(function, left, count)
            for job in suspects:
                yield job, _alone(function, job)

    return run


def _until_broken(
    function: Callable[[Job], Result], left: list[Job], workers: int
) -> Iterator[tuple[Job, Result]]:  # returns the jobs that were at work when a process died
    """Do the jobs of `left`, taking each out of it as it is begun, until none is left or a process dies."""
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, wait
    from concurrent.futures.process import BrokenProcessPool

    running: dict[Future, Job] = {}
    pool = _pool(workers)
    try:
        while left or running:
            while left and len(running) < workers:
                future = pool.submit(function, left[0])
                running[future] = left.pop(0)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                result = future.result()
                yield running.pop(future), result
        return []
    except BrokenProcessPool:
        return list(running.values())
    except BaseException:  # the run ends: nobody waits for what is half done
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(function: Callable[[Job], Result], job: Job) -> Result | Killed:
    """The job in a process of its own, which may die once: what it died of may have been another one's fault."""
    from concurrent.futures.process import BrokenProcessPool

    for _ in range(2):
        with _pool(1) as pool:
            try:
                return pool.submit(function, job).result()
            except BrokenProcessPool:
                continue
    return KILLED


def _pool(workers: int) -> ProcessPoolExecutor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, initializer=one_core, initargs=(spawn.Value("i", 0),))


def one_core(taken: Any = None) -> None:
    """What a worker does first: keep to one core, of which it takes the next with `taken`, and end with its parent.

    Thread counts of the libraries are set before they are loaded; detector and fit have threads of their own, which
    then share that core.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    if taken is not None and hasattr(os, "sched_setaffinity"):
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + 1
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[number % len(allowed)]})
    import cv2

    cv2.setNumThreads(1)
    _end_with_parent()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    import multiprocessing
    import threading
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
