"""Jobs on a local Ray that is told of two cards; a process of its own, since Ray starts once in each."""

from __future__ import annotations

import json
import os
import time


def where(number: int) -> tuple[int, int, str | None]:
    """The job, its process, and the GPUs that the process may see."""
    time.sleep(0.3)
    return number, os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def main() -> None:
    """Print a line per job."""
    from emosh_cli.workers.ray_cluster import ENVIRONMENT, ray_engine

    os.environ |= ENVIRONMENT
    import ray

    ray.init(address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
    found = [result for _, result in ray_engine(0, on_cards=True)(where, list(range(6)))]
    print("\n".join(map(json.dumps, found)))


if __name__ == "__main__":
    from tests.emosh_cli import two_cards

    two_cards.main()
