"""Runs independent jobs in processes of this machine.

A job whose process dies (a decoder crashes, or the kernel kills it for lack of memory) is run again in a process of its
own. If that process dies too, twice, the job gets KILLED as its result, and the other jobs continue.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from emosh_cli.errors import WorkersKilled
from stages.cores import usable_cores

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from stages.progress import Progress

Job = TypeVar("Job")
Result = TypeVar("Result")
Engine = Callable[[Callable[[Any], Any], Sequence[Any]], Generator[tuple[Any, Any], None, None]]
"""(function, jobs) -> (job, result or KILLED), in the order in which jobs finish. Closing it ends its processes."""
PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when its parent ends."""

WORKER_GB = 1.6
"""Memory per worker: tracking peaks at 1.2 GB (clip d7, 960x540), and a 4K video adds its decoded pictures."""


class Killed:
    """Stands for the result of a job whose process died."""


KILLED = Killed()
DIED_MESSAGE = "its process died three times, probably for lack of memory; try again with fewer --workers"


def default_workers() -> int:
    """Number of workers on this machine: as many as cores and free memory allow."""
    return max(1, min(usable_cores(), int(_free_gb() / WORKER_GB)))


def _free_gb() -> float:
    """Free memory in GiB, as the kernel estimates it; infinity if it gives no estimate."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = {line.split(":")[0]: line.split()[1] for line in file}
        return int(fields["MemAvailable"]) / 1024**2
    except (OSError, KeyError, ValueError, IndexError):
        return float("inf")


@contextmanager
def run_jobs(
    engine: Engine, function: Callable[[Job], Result], jobs: Sequence[Job], progress: Progress, label: str
) -> Iterator[Iterator[tuple[Job, Result | None]]]:
    """Run all jobs and report to `progress`. Yields an iterator of (job, result) as jobs finish; the result is None for
    KILLED. The end of the block ends the engine's processes, however it ends."""

    def reported() -> Iterator[tuple[Job, Result | None]]:
        progress(label, 0, len(jobs))
        for done, (job, result) in enumerate(finished, start=1):
            yield job, None if isinstance(result, Killed) else result
            progress(label, done, len(jobs))

    with closing(engine(function, jobs)) as finished:
        yield reported()


def local_engine(workers: int, cards: int = 0) -> Engine:
    """An engine with `workers` processes of this machine. With 1 worker the jobs run in the calling process.

    With `cards` each process sees one GPU, in turn, and is not tied to a core.
    """

    def run(
        function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Generator[tuple[Job, Result | Killed], None, None]:
        count = min(workers, len(jobs))
        if count <= 1:
            for job in jobs:
                yield job, function(job)
            return
        waiting = list(jobs)
        while waiting:
            suspects = yield from _run_until_process_dies(function, waiting, count, cards)
            for job in suspects:
                yield job, _run_alone(function, job, cards)

    return run


def _run_until_process_dies(
    function: Callable[[Job], Result], waiting: list[Job], workers: int, cards: int
) -> Iterator[tuple[Job, Result]]:  # returns the jobs that were running when a process died
    """Run the jobs of `waiting`, removing each as it starts, until all are done or a process dies."""
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, wait
    from concurrent.futures.process import BrokenProcessPool

    running: dict[Future, Job] = {}
    pool = _pool(workers, cards)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                future = pool.submit(_until_stopped, function, waiting[0])
                running[future] = waiting.pop(0)
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                result = future.result()
                yield running.pop(future), result
        return []
    except BrokenProcessPool:
        return list(running.values())
    except BaseException:  # the run ends: do not wait for running jobs, but let them remove what they began
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        _shut_down(pool)


def _shut_down(pool: ProcessPoolExecutor) -> None:
    """Wait until the workers have ended. Raises WorkersKilled where Ctrl-C asks not to wait for that."""
    import multiprocessing

    try:
        pool.shutdown(wait=True, cancel_futures=True)
    except KeyboardInterrupt as error:
        for child in multiprocessing.active_children():
            child.kill()
        raise WorkersKilled from error


def _run_alone(function: Callable[[Job], Result], job: Job, cards: int) -> Result | Killed:
    """Run the job in a process of its own, twice at most: another process may have caused the first death."""
    from concurrent.futures.process import BrokenProcessPool

    for _ in range(2):
        with _pool(1, cards) as pool:
            try:
                return pool.submit(_until_stopped, function, job).result()
            except BrokenProcessPool:
                continue
    return KILLED


def _pool(workers: int, cards: int) -> ProcessPoolExecutor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    spawn = multiprocessing.get_context("spawn")
    taken = spawn.Value("i", 0)
    if cards:
        return ProcessPoolExecutor(workers, spawn, initializer=limit_to_one_card, initargs=(taken, cards))
    return ProcessPoolExecutor(workers, spawn, initializer=limit_to_one_core, initargs=(taken,))


def limit_to_one_card(taken: Any, cards: int) -> None:
    """Start-up of a worker: let it see one GPU only, the next of those that this process may use, and exit if the
    parent process dies. torch reads the variable when it is loaded."""
    with taken.get_lock():
        number, taken.value = taken.value, taken.value + 1
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    visible = visible or [str(card) for card in range(cards)]
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[number % len(visible)]
    _end_with_parent()


def limit_to_one_core(taken: Any = None) -> None:
    """Start-up of a worker: use one core only, and end with the parent process, however that ends.

    SIGTERM, which the parent sends, ends the running job through its stack, so that it removes what it began. Ctrl-C is
    left to the parent, which the terminal sends it to as well.

    With the shared counter `taken`, each worker is pinned to the next core. Thread counts of libraries are set before
    the libraries are loaded. Detector and fit start their own threads, which then share that core.
    """
    _end_with_parent()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    if taken is not None and hasattr(os, "sched_setaffinity"):
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + 1
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[number % len(allowed)]})
    import cv2

    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Let the parent's end, also by kill -9, end this process: the kernel kills it on Linux, a thread elsewhere.

    A thread alone is not enough: it waits while a library holds the interpreter, as a compiler does for seconds.
    """
    import multiprocessing
    import threading
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is None:  # a worker of Ray, which ends its own
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:  # the parent may also have ended before the call above
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


class Stopped(SystemExit):
    """SIGTERM, on its way through the running job."""


def _stop(number: int, frame: object) -> NoReturn:
    raise Stopped(128 + number)


def _until_stopped(function: Callable[[Job], Result], job: Job) -> Result:
    """Run the job in a worker; SIGTERM ends the process when the job has removed what it began.

    The pool would take the exception for the job's result and wait for the next job. Python 3.14 sends none after
    another worker has died, and waits for this one without end.
    """
    try:
        return function(job)
    except Stopped:
        os._exit(128 + signal.SIGTERM)
