"""Peak memory of whole commands on a short and a long clip: it must not grow with the clip.

    python -m benchmarks.memory VIDEO --photo PHOTO [--frames 300 3000] [--commands track animate]

The clip is played forwards and backwards until it has so many frames. Peak = the largest resident size that the
kernel recorded for the command's process (VmHWM), read until it ends. Exit 1 when the longest takes more than 1.3
times the shortest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames

LIMIT = 1.3


def main() -> int:
    """Print a row per command and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--commands", nargs="+", choices=["track", "animate"], default=["track", "animate"])
    options = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for command in options.commands:
            peaks = []
            for count in options.frames:
                clip = _looped(options.video, count, Path(folder) / f"{count}.mp4")
                peak, seconds = _run(command, clip, options.photo, Path(folder))
                peaks.append(peak)
                print(f"{command} | {count} frames | {peak:.0f} MiB | {seconds:.0f} s", flush=True)
            worst = max(worst, peaks[-1] / peaks[0])
            print(f"{command} | ratio {peaks[-1] / peaks[0]:.2f}", flush=True)
    return int(worst > LIMIT)


def _looped(video: Path, count: int, out: Path) -> Path:
    """The clip, forwards and backwards, until there are `count` frames."""
    if out.exists():
        return out
    frames = [frame.rgb for frame in read_frames(video)]
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    described = probe(video)
    with VideoSink(out, described.width, described.height, described.fps) as sink:
        for index in range(count):
            sink.write(frames[order[index % len(order)]])
    return out


def _run(command: str, clip: Path, photo: Path, folder: Path) -> tuple[float, float]:
    """Peak MiB and seconds of one command."""
    words = {
        "track": ["track", str(clip), "-o", str(folder / "track.npz")],
        "animate": ["animate", "--ref", str(photo), "--drive", str(clip), "-o", str(folder / f"{clip.stem}-out.mp4")],
    }[command]
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, "-m", "emosh_cli", *words, "--quiet", "--force"])
    while process.poll() is None:
        peak = max(peak, _peak_mib(process.pid))
        time.sleep(0.2)
    if process.returncode:
        sys.exit(f"emosh {' '.join(words)} ended with {process.returncode}")
    return peak, time.perf_counter() - start


def _peak_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


if __name__ == "__main__":
    sys.exit(main())
