"""The processor: its name, how many of its cores this process may use, and work beside other work."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_most: int | None = None


def use_cores(most: int) -> None:
    """From now on this process takes at most that many cores; 0: all it may use."""
    global _most
    _most = most or None


def usable_cores() -> int:
    """Number of cores this process may use. `taskset` or a batch system can allow fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if _most is None else min(cores, _most)


@contextmanager
def meanwhile(work: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Do `work` in a thread while the block runs, or before it on a single core or with bounded memory: a library that
    finds none while another thread loads one may abort. The block ends when both are done; a failure of the work is
    raised then, unless the block failed itself."""
    with ThreadPoolExecutor(1, "meanwhile") as pool:
        done = pool.submit(work)
        if usable_cores() == 1 or _has_bounded_memory():
            done.result()
        yield done
    done.result()


def _has_bounded_memory() -> bool:
    """Whether the shell bounds the address space (`ulimit -v`)."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def processor() -> str:
    """Model name of the processor, as the operating system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
