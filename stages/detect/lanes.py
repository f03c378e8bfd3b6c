"""A clip read in several lanes at once: each thread decodes and watches its own stretch of frames.

The networks that follow a person from frame to frame cannot skip, but two stretches know nothing of each other. How a
clip is cut depends on its length alone, never on the machine, so a result is the same on one core and on eight.
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
"""A clip shorter than two of these is read in one lane: the second would mostly warm up."""


@dataclass(frozen=True)
class Lane:
    """Frames `start` up to, not including, `end`; the last lane of a clip has no end, for headers may be wrong."""

    number: int
    start: int
    end: int | None

    def holds(self, frame: int) -> bool:
        """True for a frame of this lane."""
        return self.start <= frame and not self.is_past(frame)

    def is_past(self, frame: int) -> bool:
        """True for a frame behind the lane's end."""
        return self.end is not None and frame >= self.end


class StoppedError(Exception):
    """Another lane failed: this one gives up too."""


def cut_into_lanes(frame_count: int | None, lanes: int, warm_up: int = 0) -> list[Lane]:
    """Stretches of equal work: at most `lanes`, one where the length is unknown or short.

    Every lane but the first also reads `warm_up` frames before its own.
    """
    count = frame_count or 0
    lanes = max(1, min(lanes, count // SHORTEST_LANE))
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
    """`work(lane, frame_done)` for every lane, side by side on as many cores as there are; results in lane order.

    `frame_done` is to be called once a frame; progress is told from the calling thread. The first failure stops the
    other lanes and is raised; so is an interrupt.
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
            _tell(ticks, len(lanes), progress, label, total)
        except BaseException:
            stop.set()
            raise
    return _results(futures)


def _tell(ticks: queue.SimpleQueue[bool], running: int, progress: Progress, label: str, total: int | None) -> None:
    """Report frames as they are done, until every lane has ended."""
    done = 0
    while running:
        if ticks.get():
            done += 1
            progress(label, done, total)
        else:
            running -= 1


def _results(futures: list[Future[Result]]) -> list[Result]:
    """All results; the failure that stopped the others, if there was one."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, StoppedError):
            raise error
    return [future.result() for future in futures]
