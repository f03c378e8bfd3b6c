"""Read a clip in several lanes at the same time: each thread decodes its own part of the frames.

A network that follows a person from frame to frame cannot skip frames, but two parts of a clip can be read separately.
The cuts depend on the length of the clip only, not on the machine, so the result is the same on one core and on eight.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from stages.cores import usable_cores
from stages.progress import Progress

Result = TypeVar("Result")

SHORTEST_LANE = 24
"""Least frames per lane. A second lane in a shorter clip would spend most of its time on warm-up frames."""
USUAL_LANE = 240
"""Frames per lane of a long clip. The warm-up frames cost 3 % of it, and a minute of film keeps seven cores busy."""
LEAST_LANES = 2
"""Lanes of a shorter clip."""


@dataclass(frozen=True)
class Lane:
    """Frames from `start` up to but not including `end`. The last lane has no end, because headers may be wrong."""

    number: int
    start: int
    end: int | None

    def holds(self, frame: int) -> bool:
        """True for a frame of this lane."""
        return self.start <= frame and not self.is_past(frame)

    def is_past(self, frame: int) -> bool:
        """True for a frame after the end of the lane."""
        return self.end is not None and frame >= self.end


class StoppedError(Exception):
    """Raised in a lane to stop it because another lane failed."""


def cut_into_lanes(frame_count: int | None, warm_up: int = 0) -> list[Lane]:
    """Lanes of equal work: two, more in a long clip, and one in a clip that is short or of unknown length.

    Every lane except the first also reads `warm_up` frames before its own.
    """
    count = frame_count or 0
    lanes = max(1, min(max(LEAST_LANES, count // USUAL_LANE), count // SHORTEST_LANE))
    work = count + (lanes - 1) * warm_up
    starts = [max(0, work * number // lanes - (number - 1) * warm_up) if number else 0 for number in range(lanes)]
    ends = [*starts[1:], None]
    return [Lane(number, start, end) for number, (start, end) in enumerate(zip(starts, ends, strict=True))]


def run_lanes(
    lanes: list[Lane],
    work: Callable[[Lane, Callable[[], None]], Result],
    progress: Progress,
    label: str,
    total: int | None,
) -> list[Result]:
    """Run `work(lane, frame_done)` for every lane in parallel, on the usable cores; results in the order of the lanes.

    `work` calls `frame_done` once per frame. Progress is reported from the calling thread. The first failure, or an
    interrupt, stops the other lanes and is raised.
    """
    ticks: queue.SimpleQueue[bool] = queue.SimpleQueue()
    stop = threading.Event()

    def frame_done() -> None:
        if stop.is_set():
            raise StoppedError
        ticks.put(True)

    def one(lane: Lane) -> Result:
        try:
            return work(lane, frame_done)
        except BaseException:
            stop.set()
            raise
        finally:
            ticks.put(False)

    with ThreadPoolExecutor(min(len(lanes), usable_cores()), "lane") as pool:
        futures = [pool.submit(one, lane) for lane in lanes]
        try:
            _report(ticks, len(lanes), progress, label, total)
        except BaseException:
            stop.set()
            raise
    return _results(futures)


def _report(ticks: queue.SimpleQueue[bool], running: int, progress: Progress, label: str, total: int | None) -> None:
    """Report finished frames until every lane has ended."""
    done = 0
    while running:
        if ticks.get():
            done += 1
            progress(label, done, total)
        else:
            running -= 1


def _results(futures: list[Future[Result]]) -> list[Result]:
    """All results. Raises the failure that stopped the other lanes, if there was one."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, StoppedError):
            raise error
    return [future.result() for future in futures]
