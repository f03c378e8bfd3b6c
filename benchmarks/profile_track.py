"""Where the time of `emosh track` goes, and how near it is to what the detector's networks alone need.

    python -m benchmarks.profile_track VIDEO... [--plot out/profile_track.png] [--functions]

Each VIDEO is tracked once to warm up and once measured, in this process. Wall seconds: survey, landmarks, fit, write.
Inside, wall seconds in the lanes, shared out over them: decoding, each network, the rest. `bare` is the floor:
MediaPipe Holistic alone, on this clip's frames already decoded and cut, in as many threads as lanes, nothing else.
--functions also prints cProfile's view of the fit.
"""

from __future__ import annotations

import argparse
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
import stages.detect.networks as networks
import stages.detect.reader as reader
import stages.track.fit as fitting
from stages.artifacts.motion import Motion, save_motion
from stages.body.store import open_body
from stages.detect.config import DetectConfig
from stages.detect.crops import cut
from stages.detect.gates import PARTS
from stages.detect.lanes import cut_into_lanes
from stages.detect.observations import Observations
from stages.detect.reader import CROP_PIXELS, SMALLEST_CROP
from stages.track.config import TrackConfig
from stages.video.source import probe, read_frames


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
    kept = (holistic.survey, holistic._follow, holistic.frames_of, networks.Networks.run, reader.Reader.read)
    holistic.survey = clock.timed("survey", kept[0])
    holistic._follow = clock.timed("landmarks", kept[1])
    holistic.frames_of = clock.stepping("decode", kept[2])
    reader.Reader.read = clock.counted(lambda *_: "reading, all", kept[4])  # type: ignore[method-assign]
    networks.Networks.run = clock.counted(lambda _, name, rgb: f"network {name}", kept[3])  # type: ignore[method-assign]
    try:
        yield
    finally:
        holistic.survey, holistic._follow, holistic.frames_of = kept[:3]
        networks.Networks.run, reader.Reader.read = kept[3:]  # type: ignore[method-assign]


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
    lanes = cut_into_lanes(len(crops), DetectConfig().lanes)
    loaded = [networks.Networks() for _ in lanes]
    for each in loaded:
        each.__enter__()
        each.run("holistic", crops[0])

    def work(number: int) -> None:
        for rgb in crops[lanes[number].start : lanes[number].end]:
            loaded[number].run("holistic", rgb)

    begun = time.perf_counter()
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(work, range(len(lanes))))
    seconds = time.perf_counter() - begun
    for each in loaded:
        each.__exit__()
    return seconds


def report(path: Path, functions: bool) -> dict[str, float]:
    """Print one clip's table; wall seconds a frame by part."""
    measured(path, Clock())
    clock = Clock()
    motion, seen = measured(path, clock)
    frames, floor = len(motion), bare_seconds(path, seen)
    clock.wall["other"] = 2 * clock.wall["all"] - sum(clock.wall.values())
    print(f"\n{path.stem}: {frames} frames, {frames / clock.wall['all']:.1f} frames/s; "
          f"bare networks {frames / floor:.1f} frames/s, {floor / clock.wall['all']:.0%} of the time; "
          f"valid {dict(zip(PARTS, motion.valid.mean(0).round(2).tolist(), strict=True))}")  # fmt: skip
    print("\n| part | wall ms a frame | share |\n|---|---|---|")
    for name, seconds in sorted(clock.wall.items(), key=lambda item: -item[1]):
        print(f"| {name} | {1000 * seconds / frames:.1f} | {seconds / clock.wall['all']:.0%} |")
    print("\n| inside a lane | wall ms a frame of the lane |\n|---|---|")
    for name, seconds in sorted(clock.lanes.items(), key=lambda item: -item[1]):
        print(f"| {name} | {1000 * seconds / frames:.1f} |")
    if functions:
        profile = cProfile.Profile()
        profile.runcall(fitting.fit, seen, open_body("open"), TrackConfig())
        pstats.Stats(profile).sort_stats("tottime").print_stats(22)
    parts = {name: 1000 * seconds / frames for name, seconds in clock.wall.items() if name != "all"}
    return {**parts, "bare": 1000 * floor / frames}


def plot(rows: dict[str, dict[str, float]], out: Path) -> None:
    """One bar a clip, cut into its parts, the bare networks as a line across it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 0.7 * len(rows) + 1.4), layout="constrained")
    names = ["survey", "landmarks", "fit", "open body", "write", "other"]
    left = np.zeros(len(rows))
    for name in names:
        widths = np.array([row[name] for row in rows.values()])
        axis.barh(list(rows), widths, left=left, label=name)
        left += widths
    for number, row in enumerate(rows.values()):
        axis.plot(
            [row["bare"]] * 2, [number - 0.4, number + 0.4], color="black", label="" if number else "bare networks"
        )
    axis.axvline(1000 / 12, color="grey", linestyle=":", label="12 frames/s")
    axis.set_xlabel("ms a frame")
    axis.legend(ncols=4, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.25))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


def main() -> None:
    """Profile every clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--functions", action="store_true")
    options = parser.parse_args()
    rows = {path.stem: report(path, options.functions) for path in options.videos}
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
