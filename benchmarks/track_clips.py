"""Track real clips and print how near the fit is to what was detected, and how fast.

    python -m benchmarks.track_clips VIDEO... [--limits]

Per clip: share of valid frames, median reprojection error on them (face and hands against the face's height, body
against the shoulders' width), seconds of detection and of fitting, frames a second over both. With --limits the exit
code is 1 when a face is off by more than 1.5 %, a hand by 6 %, a body by 12 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from stages.artifacts.motion import PARTS
from stages.body.store import open_body
from stages.detect.holistic import detect
from stages.track.fit import fit
from stages.track.summary import TrackSummary, summarize

LIMITS = {"body": 0.12, "face": 0.015, "left_hand": 0.06, "right_hand": 0.06}


def main() -> int:
    """Print a row per clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--limits", action="store_true")
    options = parser.parse_args()
    body = open_body("open")
    print("clip | " + " | ".join(f"{part}: valid, error %" for part in PARTS) + " | detect s | fit s | frames/s")
    missed = False
    for video in options.videos:
        start = time.perf_counter()
        observations = detect(video)
        found = time.perf_counter()
        summary = summarize(fit(observations, body))
        done = time.perf_counter()
        cells = " | ".join(_cell(summary, part) for part in PARTS)
        rate = len(observations) / (done - start)
        print(f"{video.stem} | {cells} | {found - start:.1f} | {done - found:.1f} | {rate:.1f}", flush=True)
        errors = {part: getattr(summary, f"error_{part}") for part in PARTS}
        missed |= any(error is not None and error > LIMITS[part] for part, error in errors.items())
    return int(missed and options.limits)


def _cell(summary: TrackSummary, part: str) -> str:
    share, error = getattr(summary, f"valid_{part}"), getattr(summary, f"error_{part}")
    return f"{share:.2f}, " + ("-" if error is None else f"{100 * error:.2f}")


if __name__ == "__main__":
    sys.exit(main())
