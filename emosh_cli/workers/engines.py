"""Chooses what runs jobs: processes of this machine, or Ray."""

from __future__ import annotations

from emosh_cli.workers.local import Engine, default_workers, local_engine
from stages.errors import InputError


def choose_engine(name: str, workers: int, on_cards: bool = False) -> Engine:
    """The engine `local` or `ray` with `workers` jobs at a time; 0: as many as there are cores and memory.

    on_cards: each job uses a GPU alone, where this machine or the cluster has any; then 0 workers means one per GPU.
    Raises InputError for another name, or if Ray is not installed.
    """
    if name == "local":
        cards = _card_count() if on_cards else 0
        return local_engine(workers or cards or default_workers(), cards)
    if name != "ray":
        raise InputError(f"--engine {name}: choose local or ray")
    from emosh_cli.workers.ray_cluster import ray_engine

    return ray_engine(workers, on_cards)


def _card_count() -> int:
    """The GPUs of this machine that torch can use."""
    import torch

    return torch.cuda.device_count()
