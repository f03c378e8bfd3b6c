"""`emosh track --jobs N`: how time and memory change with the number of cores, and what more cores would give.

    python -m benchmarks.track_jobs VIDEO [--frames 1440] [--jobs 1 2 ...] [--repeats 3] [--write]

VIDEO is played to and fro until it has --frames frames, which are cut into one lane per 240 of them, and tracked by the
whole command. Wall seconds are the median of the repeats, in turn, and the peak of memory that of the last. The rows
of other cores are a model: the part of the time that does not shrink from the first to the last of --jobs stays, the
rest is divided by the number of cores, up to the number of lanes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.memory_over_length import looped, measured
from benchmarks.record import Column, Recorder, arguments
from stages.detect.lanes import cut_into_lanes

MODELLED = (4, 8, 16)
COLUMNS = (
    Column("cores", "cores"), Column("wall", "wall", "s"), Column("cpu", "processor", "s"),
    Column("rate", "speed", "frames per second"), Column("ratio", "against one core", "times", 2),
    Column("peak", "peak of memory", "MiB", 0),
)  # fmt: skip


def main() -> None:
    """Print and record a row per number of cores."""
    parser = arguments(__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=1440)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], metavar="N", help="two or more, rising")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    what = "`emosh track --jobs`: time and memory by the number of cores."
    lanes = len(cut_into_lanes(options.frames))
    with tempfile.TemporaryDirectory() as folder, Recorder(what, *COLUMNS, keep=options) as found:
        clip = looped(options.video, options.frames, Path(folder) / "clip.mp4")
        command = ["-m", "emosh_cli", "track", str(clip), "--quiet", "-o", f"{folder}/out.npz", "--force", "--jobs"]
        runs = [[measured([*command, str(jobs)]) for jobs in options.jobs] for _ in range(options.repeats)]
        walls = [median(run[side][1] for run in runs) for side in range(len(options.jobs))]
        few, many = (min(options.jobs[end], lanes) for end in (0, -1))
        divided = (walls[0] - walls[-1]) / (1 / few - 1 / many)
        alone = walls[0] - divided / few
        for side, jobs in enumerate(options.jobs):
            peak, _, cpu = runs[-1][side]
            rate, ratio = options.frames / walls[side], (alone + divided) / walls[side]
            found.row(cores=f"{jobs}", wall=walls[side], cpu=cpu, rate=rate, ratio=ratio, peak=peak)
        for jobs in sorted({1, *MODELLED} - set(options.jobs)):
            wall = alone + divided / min(jobs, lanes)
            found.row(cores=f"{jobs}, modelled", wall=wall, rate=options.frames / wall, ratio=(alone + divided) / wall)
        found.note(f"{options.frames:,} frames in {lanes} lanes; {alone:.1f} s do not shrink with the number of cores.")


if __name__ == "__main__":
    sys.exit(main())
