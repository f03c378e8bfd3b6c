"""Whole commands of this checkout against those of another one, in pairs: `emosh track` of clips and of a photo.

    python -m benchmarks.track_commands VIDEO PHOTO --against TREE --python TREE/.venv/bin/python
        [--pairs 5] [--seconds 3 11] [--write]

VIDEO is played to and fro and scaled to clips of --seconds at 640x480 and 1280x720. TREE is a checkout of the
commit to compare with, and --python an environment with its packages. In each pair both commands run one after the
other, and the ratio of the pair counts, so that a machine's other work weighs on both. Times are of the whole process:
wall, and processor time of all its threads.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import chain, cycle, islice
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.record import Column, Recorder, arguments

HERE = Path(__file__).resolve().parents[1]
SIZES = (640, 480), (1280, 720)
COLUMNS = (
    Column("what", "input"), Column("frames", "frames", digits=0),
    Column("old_wall", "before, wall", "s", 2), Column("new_wall", "now, wall", "s", 2),
    Column("old_cpu", "before, processor", "s", 2), Column("new_cpu", "now, processor", "s", 2),
    Column("wall", "wall, before over now", "", 2), Column("cpu", "processor, before over now", "", 2),
)  # fmt: skip


def make_clip(video: Path, size: tuple[int, int], seconds: int, path: Path) -> int:
    """Write the video to and fro until `seconds` at the given size; returns the number of frames."""
    import cv2

    from stages.video.sink import VideoSink
    from stages.video.source import probe, read_frames

    rate = Fraction(probe(video).fps)
    frames = [cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA) for frame in read_frames(video)]
    turns = cycle(chain(range(len(frames)), range(len(frames) - 2, 0, -1)))
    count = round(seconds * float(rate))
    with VideoSink(path, *size, rate) as sink:
        for number in islice(turns, count):
            sink.write(np.ascontiguousarray(frames[number]))
    return count


def run(python: str, tree: Path, source: Path, out: Path) -> tuple[float, float]:
    """Wall and processor seconds of one `emosh track`."""
    command = [python, "-m", "emosh_cli", "track", str(source), "-o", str(out), "--force", "--quiet"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, cwd=tree, check=True, env={**os.environ, "PYTHONPATH": str(tree)}, stdout=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print and record a row per input."""
    parser = arguments(__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--against", type=Path, required=True, metavar="TREE")
    parser.add_argument("--python", default=sys.executable, help="the other checkout's Python")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, nargs="+", default=[3, 11], help="lengths of the clips")
    options = parser.parse_args()
    what = "Whole commands against those of the commit before the networks ran without MediaPipe's graph."
    with Recorder(what, *COLUMNS, keep=options) as found, tempfile.TemporaryDirectory() as folder:
        work, inputs = Path(folder), []
        for width, height in SIZES:
            for seconds in options.seconds:
                path = work / f"{seconds}s_{width}x{height}.mp4"
                inputs.append(
                    (f"{seconds} s, {width}x{height}", path, make_clip(options.video, (width, height), seconds, path))
                )
        inputs.append(("photo", options.photo, 1))
        for name, path, frames in inputs:
            pairs = []
            for number in range(options.pairs + 1):
                old = run(options.python, options.against.resolve(), path.resolve(), work / "old.npz")
                new = run(sys.executable, HERE, path.resolve(), work / "new.npz")
                pairs += [(old, new)] if number else []  # the first pair fills caches
            middle = [[median(pair[side][kind] for pair in pairs) for kind in (0, 1)] for side in (0, 1)]
            ratio = [median(old[kind] / new[kind] for old, new in pairs) for kind in (0, 1)]
            found.row(what=name, frames=frames, old_wall=middle[0][0], new_wall=middle[1][0], old_cpu=middle[0][1],
                      new_cpu=middle[1][1], wall=ratio[0], cpu=ratio[1])  # fmt: skip
        found.note(f"Medians of {options.pairs} pairs; the ratios are medians of the pairs' ratios.")


if __name__ == "__main__":
    main()
