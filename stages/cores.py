"""The processor: its name, and how many of its cores this process may use."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_most: int | None = None


def use_cores(most: int) -> None:
    """From now on this process takes at most that many cores; 0: all it may use."""
    global _most
    _most = most or None


def usable_cores() -> int:
    """Number of cores this process may use. `taskset` or a batch system can allow fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if _most is None else min(cores, _most)


def processor() -> str:
    """Model name of the processor, as the operating system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
