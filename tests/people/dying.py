"""Drawing whose worker dies in the middle, once for each clip of an odd number; workers import it by name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from stages.artifacts.atomic import atomic_path
from stages.artifacts.manifest import ClipLine
from stages.people import clips
from stages.people.clips import PersonJob

draw_person = clips.draw_person


def dies_once(job: PersonJob) -> ClipLine:
    """`draw_person`; clip 1's worker is killed with its motion half written, clip 3's when all lies there."""
    if job.number % 2 == 0 or (mark := Path(f"{job.out}-{job.number}")).exists():
        return draw_person(job)
    mark.touch()
    if job.number == 1:
        clips.save_motion = _half_written
    line = draw_person(job)
    _die()
    return line


def _half_written(path: Path, _: object) -> None:
    with atomic_path(path) as part:
        part.write_bytes(b"PK")
        _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
