"""Chooses what runs jobs: processes of this machine, or Ray."""

from __future__ import annotations

from emosh_cli.workers.local import Engine, default_workers, local_engine
from stages.errors import InputError


def choose_engine(name: str, workers: int, cards: int = 0) -> Engine:
    """The engine `local` or `ray` with `workers` jobs at a time; 0: as many as there are cores and memory.

    cards: number of GPUs here, where each job needs one alone; then 0 workers means one per card, of this machine or of
    the cluster. Raises InputError for another name, or if Ray is not installed.
    """
    if name == "local":
        return local_engine(workers or cards or default_workers(), cards)
    if name != "ray":
        raise InputError(f"--engine {name}: choose local or ray")
    from emosh_cli.workers.ray_cluster import ray_engine

    return ray_engine(workers, needs_card=cards > 0)
