"""Encoding whose first worker is killed, once, and takes the pool with it; workers import it by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from emosh_cli.workers import encode_jobs
from emosh_cli.workers.encode_jobs import EncodeJob, EncodeResult

run_encode_job = encode_jobs.run_encode_job


def dies_once(job: EncodeJob) -> EncodeResult:
    """`run_encode_job`, but the first clip's worker is killed when its map's drawing has begun."""
    mark = Path(f"{job.out}-killed")
    if job.number == 0 and not mark.exists():
        mark.touch()
        place = job.out / encode_jobs.MAPS_FOLDER
        place.mkdir(exist_ok=True)
        (place / "0.mp4").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return run_encode_job(job)
