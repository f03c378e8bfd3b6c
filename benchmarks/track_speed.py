"""Where the time of `emosh track` goes, and how near it is to what the detector's networks alone need.

    python -m benchmarks.track_speed VIDEO... [--functions] [--write]

Each VIDEO is tracked once to warm up and once measured, in this process. The floor is the networks of Holistic alone,
on the clip's frames already decoded and cut, in as many threads as lanes.
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

import stages.detect.holistic as holistic
import stages.detect.reader as reader
import stages.track.fit as fitting
from benchmarks.record import Cell, Column, Recorder, arguments
from stages.artifacts.motion import Motion, save_motion
from stages.body.store import open_body
from stages.detect.config import DetectConfig
from stages.detect.crops import cut
from stages.detect.lanes import cut_into_lanes
from stages.detect.observations import Observations
from stages.detect.reader import CROP_PIXELS, SMALLEST_CROP
from stages.networks.holistic import Holistic
from stages.networks.opened import Networks
from stages.track.config import TrackConfig
from stages.video.source import probe, read_frames

WALL = ("survey", "landmarks", "fit", "open body", "write")
LANES = ("decode", "holistic", "missed hands")
COLUMNS = (
    Column("clip", "clip"), Column("frames", "clip", "frames", 0), Column("rate", "speed", "frames per second"),
    *(Column(name, name, "ms per frame") for name in (*WALL, "other")),
    *(Column(name, f"{name} in the lanes", "ms per frame") for name in LANES),
    Column("bare", "networks alone", "frames per second"), Column("share", "their share of the time", "%", 0),
)  # fmt: skip


class Clock:
    """Wall seconds by name: of the calling thread, and summed over the lanes."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.lanes: dict[str, float] = defaultdict(float)
        self._lock = Lock()

    def timed(self, name: str, function: Callable) -> Callable:
        """The function, its wall time added to `name`."""

        def run(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            result = function(*arguments, **named)
            self.wall[name] += time.perf_counter() - begun
            return result

        return run

    def add(self, name: str, seconds: float) -> None:
        """Count seconds of a lane."""
        with self._lock:
            self.lanes[name] += seconds

    def counted(self, name: Callable[..., str], function: Callable) -> Callable:
        """The function, its time in a lane added to `name(arguments)`."""

        def run(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            result = function(*arguments, **named)
            self.add(name(*arguments), time.perf_counter() - begun)
            return result

        return run

    def stepping(self, name: str, frames: Callable[..., Iterator]) -> Callable[..., Iterator]:
        """The generator, the time of its steps added to `name`."""

        def run(*arguments: Any) -> Iterator:
            source = frames(*arguments)
            while True:
                begun = time.perf_counter()
                frame = next(source, None)
                self.add(name, time.perf_counter() - begun)
                if frame is None:
                    return
                yield frame

        return run


@contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Measure what `track` calls while the block runs."""
    kept = (
        holistic.survey,
        holistic._follow,
        holistic.Clip.frames,
        Holistic.read,
        reader.hand_near_wrist,
        reader.Reader.read,
    )
    holistic.survey = clock.timed("survey", kept[0])
    holistic._follow = clock.timed("landmarks", kept[1])
    holistic.Clip.frames = clock.stepping("decode", kept[2])  # type: ignore[method-assign]
    Holistic.read = clock.counted(lambda *_: "holistic", kept[3])  # type: ignore[method-assign]
    reader.hand_near_wrist = clock.counted(lambda *_: "missed hands", kept[4])
    reader.Reader.read = clock.counted(lambda *_: "reading, all", kept[5])  # type: ignore[method-assign]
    try:
        yield
    finally:
        holistic.survey, holistic._follow, holistic.Clip.frames = kept[:3]  # type: ignore[method-assign]
        Holistic.read, reader.hand_near_wrist, reader.Reader.read = kept[3:]  # type: ignore[method-assign]


def measured(path: Path, clock: Clock) -> tuple[Motion, Observations]:
    """Detect, fit and write once."""
    begun = time.perf_counter()
    with watched(clock):
        body = clock.timed("open body", open_body)("open")
        seen = holistic.detect(path, DetectConfig())
    motion = clock.timed("fit", fitting.fit)(seen, body, TrackConfig())
    with tempfile.TemporaryDirectory() as folder:
        clock.timed("write", save_motion)(Path(folder) / "motion.npz", motion)
    clock.wall["all"] = time.perf_counter() - begun
    return motion, seen


def bare_seconds(path: Path, seen: Observations) -> float:
    """Holistic alone on the person's crops, in lanes as `track` has them; frames decoded and cut beforehand."""
    info = probe(path)
    found = np.concatenate([seen.pose[:, :, :2], seen.face[:, :, :2]], 1).reshape(-1, 2)
    found = found[np.isfinite(found).all(1)]
    box = np.concatenate([np.maximum(found.min(0), 0), np.minimum(found.max(0), [info.width, info.height])])
    crops = [cut(frame.rgb, box, CROP_PIXELS, SMALLEST_CROP).rgb for frame in read_frames(path)]
    lanes = cut_into_lanes(len(crops))
    networks = Networks()
    Holistic(networks).read(crops[0])

    def work(number: int) -> None:
        own = Holistic(networks)
        for rgb in crops[lanes[number].start : lanes[number].end]:
            own.read(rgb)

    begun = time.perf_counter()
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(work, range(len(lanes))))
    return time.perf_counter() - begun


def profiled(path: Path, functions: bool) -> dict[str, Cell]:
    """One clip's row, measured in a second run."""
    measured(path, Clock())
    clock = Clock()
    motion, seen = measured(path, clock)
    frames, floor, whole = len(motion), bare_seconds(path, seen), clock.wall["all"]
    if functions:
        profile = cProfile.Profile()
        profile.runcall(fitting.fit, seen, open_body("open"), TrackConfig())
        pstats.Stats(profile).sort_stats("tottime").print_stats(22)
    parts = {name: 1000 * clock.wall[name] / frames for name in WALL}
    parts["other"] = 1000 * whole / frames - sum(parts.values())
    inside = {name: 1000 * clock.lanes[name] / frames for name in LANES}
    return {"clip": path.stem, "frames": frames, "rate": frames / whole, **parts, **inside,
            "bare": frames / floor, "share": 100 * floor / whole}  # fmt: skip


def main() -> None:
    """Print and record a row per clip."""
    parser = arguments(__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--functions", action="store_true", help="print cProfile's view of the fit too")
    options = parser.parse_args()
    what = "Where the time of tracking goes, beside what the networks of Holistic alone need."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for path in options.videos:
            found.row(**profiled(path, options.functions))
        found.note("In one process, second run. Python's start, imports and end are not in it.")
        found.note("Decoding, holistic and hands are parts of the landmarks, in wall time of all lanes together.")
        found.note("Networks alone: those of Holistic on frames already decoded and cut, in as many threads.")


if __name__ == "__main__":
    main()
