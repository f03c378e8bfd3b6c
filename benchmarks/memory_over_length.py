"""Peak memory and time of reading, writing and whole commands on a short and a long clip: memory must not grow.

    python -m benchmarks.memory_over_length VIDEO [--photo PHOTO] [--frames 300 3000] [--job NAME ...] [--write]

VIDEO is played forwards and backwards until it has so many frames. Each job runs in a process of its own. Peak memory
is the largest resident size that Linux recorded for it (VmHWM), read until it ends. Milliseconds are those of each
frame that the long clip has more, so that starting Python is not in them. Exit 1 when the long clip takes more than
1.3 times the short one's memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import Column, Recorder, arguments
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames

LIMIT = 1.3
READ = "import sys; from stages.video.source import read_frames; [None for _ in read_frames(sys.argv[1])]"
WRITE = """
import sys
from pathlib import Path
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames
source, out = Path(sys.argv[1]), Path(sys.argv[2])
described = probe(source)
size = (described.width, described.height, described.fps)
with VideoSink(out, *size, lossless=len(sys.argv) > 3, audio_from=source) as sink:
    for frame in read_frames(source):
        sink.write(frame.rgb, frame.pts_seconds)
"""
JOBS = {
    "read": ["-c", READ, "CLIP"],
    "read and write": ["-c", WRITE, "CLIP", "OUT.mp4"],
    "read and write lossless": ["-c", WRITE, "CLIP", "OUT.mp4", "lossless"],
    "track": ["-m", "emosh_cli", "track", "CLIP", "-o", "OUT.npz", "--quiet", "--force"],
    "animate": [
        "-m",
        "emosh_cli",
        "animate",
        "--ref",
        "PHOTO",
        "--drive",
        "CLIP",
        "-o",
        "OUT.mp4",
        "--quiet",
        "--force",
    ],
}
COLUMNS = (
    Column("job", "job"), Column("short", "short clip", "peak MiB", 0), Column("long", "long clip", "peak MiB", 0),
    Column("ratio", "ratio", digits=2), Column("wall", "wall", "ms per frame"), Column("cpu", "CPU", "ms per frame"),
)  # fmt: skip


def main() -> int:
    """Print and record a row per job; exit with 1 when memory grows."""
    parser = arguments(__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--photo", type=Path, help="for `animate`, which is left out without one")
    parser.add_argument("--frames", type=int, nargs=2, default=[300, 3000], metavar=("SHORT", "LONG"))
    parser.add_argument("--job", choices=JOBS, action="append", help="all unless given; can be repeated")
    options = parser.parse_args()
    jobs = [job for job in options.job or JOBS if job != "animate" or options.photo]
    short, long = options.frames
    what, worst = "Peak memory and time of reading, writing and whole commands on a short and a long clip.", 0.0
    with tempfile.TemporaryDirectory() as folder, Recorder(what, *COLUMNS, keep=options) as found:
        clips = [looped(options.video, count, Path(folder) / f"{count}.mp4") for count in options.frames]
        for job in jobs:
            runs = [_run(job, clip, options.photo, Path(folder) / f"{clip.stem}-out") for clip in clips]
            peaks, walls, cpus = zip(*runs, strict=True)
            ratio = peaks[1] / peaks[0]
            worst = max(worst, ratio)
            wall, cpu = (1000 * (each[1] - each[0]) / (long - short) for each in (walls, cpus))
            found.row(job=job, short=peaks[0], long=peaks[1], ratio=ratio, wall=wall, cpu=cpu)
        found.note(f"The short clip has {short:,} frames, the long one {long:,}.")
    return int(worst > LIMIT)


def looped(video: Path, count: int, out: Path) -> Path:
    """The clip, forwards and backwards, until there are `count` frames."""
    frames = [frame.rgb for frame in read_frames(video)]
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    described = probe(video)
    with VideoSink(out, described.width, described.height, described.fps) as sink:
        for index in range(count):
            sink.write(frames[order[index % len(order)]])
    return out


def _run(job: str, clip: Path, photo: Path | None, out: Path) -> tuple[float, float, float]:
    """Peak MiB, wall and CPU seconds of one job."""
    given = {"CLIP": str(clip), "PHOTO": str(photo), "OUT.mp4": f"{out}.mp4", "OUT.npz": f"{out}.npz"}
    return measured([given.get(word, word) for word in JOBS[job]])


def measured(words: list[str]) -> tuple[float, float, float]:
    """Peak MiB, wall and CPU seconds of Python with these words."""
    start, used, peak = time.perf_counter(), _children_seconds(), 0.0
    process = subprocess.Popen([sys.executable, *words])
    while process.poll() is None:
        peak = max(peak, _peak_mib(process.pid))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}")
    return peak, time.perf_counter() - start, _children_seconds() - used


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


if __name__ == "__main__":
    sys.exit(main())
