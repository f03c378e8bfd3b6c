"""The jobs of a curation on Ray Data: on this machine, or on the cluster that RAY_ADDRESS names.

Ray gives the job of a worker that died to another one; records make the repetition harmless. Every machine must see
videos and clips under the same paths, and have emosh installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

from emosh_cli.workers.local import Engine
from stages.errors import InputError

MOST_BLOCKS = 4096
STORE_BYTES = 200 * 1024**2
"""Of a Ray that is started here: jobs and records are small."""
FATAL = "fatal"
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Read as Ray is imported: nobody is told that it runs, and nothing is kept back to be printed when all is over."""


def on_ray(workers: int) -> Engine:
    """Ray Data, `workers` jobs at a time; 0 as many as the cluster has cores. Raises InputError where Ray is not
    installed."""
    _require()

    def run(function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        if not jobs:
            return
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray.exceptions

        try:
            with redirect_stdout(sys.stderr):  # where Ray tells of workers that died
                _start(workers)
                yield from _mapped(function, jobs, workers)
        except (ray.exceptions.RayError, ConnectionError) as error:
            why = " ".join(str(error).split())[:200]
            raise InputError(f"Ray gave up ({why}); what was measured is kept: give the same command again") from error

    return run


def _mapped(function: Callable[[Any], Any], jobs: Sequence[Any], workers: int) -> Iterator[tuple[Any, Any]]:
    """(job, result) as Ray Data finishes them."""
    import ray

    rows = [{"number": number} for number in range(len(jobs))]
    told = ray.put(list(jobs))
    data = ray.data.from_items(rows, override_num_blocks=min(len(jobs), MOST_BLOCKS))
    done = data.map(_Call(function, told), num_cpus=1, concurrency=workers or None)
    for row in done.iter_rows():
        if row[FATAL]:
            raise InputError(row[FATAL])
        yield jobs[row["number"]], row["result"]


class _Call:
    """One job, in a worker: its record comes back, and what must end the run as a sentence."""

    def __init__(self, function: Callable[[Any], Any], jobs: Any) -> None:
        self.function, self.jobs = function, jobs

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        from emosh_cli.errors import message_of
        from emosh_cli.workers.local import one_core

        one_core()
        try:
            return {**row, "result": self.function(ray.get(self.jobs)[row["number"]]), FATAL: ""}
        except (InputError, OSError) as error:
            return {**row, "result": None, FATAL: message_of(error).text}


def _require() -> None:
    import importlib.util

    for package in ("ray", "pandas", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f'--engine ray needs the package {package}: pip install "emosh[ray]"')


def _start(workers: int) -> None:
    """Join the cluster of RAY_ADDRESS, or start a Ray of this machine's own; once."""
    import logging

    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
        return
    ray.init(address="local", num_cpus=workers or None, object_store_memory=STORE_BYTES, **quiet)
