"""Peak memory and time of reading a clip, and of reading and writing it, at 300 and 3,000 frames.

    python -m benchmarks.video_memory [CLIP]

CLIP (default: a moving picture of 640 x 480 made here) is looped to each length by copying its frames; each job
runs in a process of its own, whose peak resident memory (Linux, VmHWM) the table shows. Memory must not grow with
the frames: the ratio of the two lengths is printed and must be under 1.3.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

LENGTHS = (300, 3000)
LIMIT = 1.3
JOB = """
import json, sys, time
from pathlib import Path
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames

job, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
described, started, used = probe(source), time.perf_counter(), time.process_time()
if job == "read":
    count = sum(1 for _ in read_frames(source))
else:
    lossless = job == "read and write lossless"
    size = (described.width, described.height, described.fps)
    with VideoSink(out, *size, lossless=lossless, audio_from=source) as sink:
        for count, frame in enumerate(read_frames(source), 1):
            sink.write(frame.rgb, frame.pts_seconds)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
wall, cpu = time.perf_counter() - started, time.process_time() - used
print(json.dumps({"frames": count, "peak_mib": peak, "wall_ms": 1000 * wall / count, "cpu_ms": 1000 * cpu / count}))
"""


def main() -> int:
    """Print the table; exit with 1 when memory grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path)
    clip = parser.parse_args().clip
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        sources = [_looped(clip, count, Path(folder) / f"{count}.mp4") for count in LENGTHS]
        print(f"{'job':<24} {'frames':>6} {'peak MiB':>9} {'wall ms':>8} {'CPU ms':>7}   (ms a frame)")
        for job in ("read", "read and write", "read and write lossless"):
            measured = [_run(job, source, Path(folder) / "out.mp4") for source in sources]
            for figures in measured:
                print(
                    f"{job:<24} {figures['frames']:>6} {figures['peak_mib']:>9.1f} {figures['wall_ms']:>8.2f} "
                    f"{figures['cpu_ms']:>7.2f}"
                )
            ratio = measured[1]["peak_mib"] / measured[0]["peak_mib"]
            failed |= ratio >= LIMIT
            print(f"{'':<24} memory x {ratio:.3f} for frames x {LENGTHS[1] // LENGTHS[0]}")
    return int(failed)


def _looped(clip: Path | None, count: int, path: Path) -> Path:
    """`count` frames of the clip, over and over, at its rate."""
    from stages.video.sink import VideoSink
    from stages.video.source import probe, read_frames

    described = None if clip is None else probe(clip)
    width, height = (640, 480) if described is None else (described.width, described.height)
    written = 0
    with VideoSink(path, width, height, Fraction(25) if described is None else described.fps) as sink:
        while written < count:
            for rgb in _moving() if clip is None else (frame.rgb for frame in read_frames(clip)):
                if written < count:
                    sink.write(rgb)
                    written += 1
    return path


def _moving():
    """Thirty frames of a ramp that slides over fixed noise."""
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 40, (480, 640, 3))
    ramp = np.linspace(0, 200, 640).astype(int)
    for step in range(30):
        yield (noise + np.roll(ramp, 12 * step)[None, :, None]).astype(np.uint8)


def _run(job: str, source: Path, out: Path) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, "-c", JOB, job, str(source), str(out)], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


if __name__ == "__main__":
    sys.exit(main())
