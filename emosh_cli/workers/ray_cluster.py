"""Runs jobs on Ray Data: on this machine, or on the cluster that RAY_ADDRESS names.

If a worker dies, Ray gives its job to another worker; the jobs keep records, so repeating one is harmless. Every
machine must have emosh installed, and must see videos and clips at the same paths.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

from emosh_cli.workers.local import Engine
from stages.errors import InputError

MAX_BLOCKS = 4096
STORE_BYTES = 200 * 1024**2
"""Object store of a Ray that is started here: jobs and records are small."""
FATAL = "fatal"
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Ray reads these at import: no usage statistics are sent, and no log lines are held back until the end."""


def ray_engine(workers: int, on_cards: bool = False) -> Engine:
    """An engine on Ray Data, with `workers` jobs at a time (0: one per core, or per GPU where jobs run on these).

    on_cards: each job has a GPU of the cluster alone, if the cluster has any. Raises InputError without Ray.
    """
    _require_packages()

    def run(function: Callable[[Any], Any], jobs: Sequence[Any]) -> Generator[tuple[Any, Any], None, None]:
        if not jobs:
            return
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray.exceptions

        try:
            with redirect_stdout(sys.stderr):  # Ray prints messages about dead workers on stdout
                _connect(workers)
                yield from _map_jobs(function, jobs, workers, on_cards)
        except (ray.exceptions.RayError, ConnectionError) as error:
            why = " ".join(str(error).split())[:200]
            raise InputError(f"Ray gave up ({why}); finished jobs are kept: run the same command again") from error

    return run


def _map_jobs(
    function: Callable[[Any], Any], jobs: Sequence[Any], workers: int, on_cards: bool
) -> Iterator[tuple[Any, Any]]:
    """Yields (job, result) as Ray Data finishes them."""
    import ray

    rows = [{"number": number} for number in range(len(jobs))]
    data = ray.data.from_items(rows, override_num_blocks=min(len(jobs), MAX_BLOCKS))
    cards = int(ray.cluster_resources().get("GPU", 0)) if on_cards else 0
    if cards:  # Ray ends the process of a task on a GPU after each job; an actor keeps what it loaded
        pool = ray.data.ActorPoolStrategy(size=min(workers or cards, len(jobs)), max_tasks_in_flight_per_actor=1)
        actor: Any = _RayJob
        done = data.map(actor, fn_constructor_args=(function, jobs), num_cpus=1, num_gpus=1, compute=pool)
    else:
        done = data.map(_RayJob(function, jobs), num_cpus=1, concurrency=workers or None)
    for row in done.iter_rows():
        if row[FATAL]:
            raise InputError(row[FATAL])
        yield jobs[row["number"]], row["result"]


class _RayJob:
    """Runs one job in a worker. Returns its result, or under FATAL the message of an error that ends the run."""

    def __init__(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> None:
        self.function, self.jobs = function, jobs

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from emosh_cli.errors import message_of
        from emosh_cli.workers.local import limit_to_one_core

        limit_to_one_core()
        try:
            return {**row, "result": self.function(self.jobs[row["number"]]), FATAL: ""}
        except (InputError, OSError) as error:
            return {**row, "result": None, FATAL: message_of(error).text}


def _require_packages() -> None:
    import importlib.util

    for package in ("ray", "pandas", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f'--engine ray needs the package {package}: pip install "emosh[ray]"')


def _connect(workers: int) -> None:
    """Connect to the cluster of RAY_ADDRESS, or start Ray on this machine, unless that is done already.

    Ray replaces what SIGTERM does by its own, which ends in an abort while jobs run; ours is set again.
    """
    import logging
    import signal

    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ours = signal.getsignal(signal.SIGTERM)
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(address="local", num_cpus=workers or None, object_store_memory=STORE_BYTES, **quiet)
    signal.signal(signal.SIGTERM, ours)
