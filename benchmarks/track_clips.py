"""The tracker on real clips: how near the fit is to what was detected, how much of the clip is valid, how fast.

    python -m benchmarks.track_clips VIDEO... [--solver gn --solver adamw] [--quick] [--limits] [--write]

Errors are medians over valid frames: face and hands against the face's height, body against the shoulders' width. With
--limits the exit code is 1 when gn's face is off by more than 1.5 %, a hand by 6 %, a body by 12 %.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.record import Column, Recorder, arguments
from benchmarks.truth_scores import QUICK, UPPER, jitter_mm
from stages.artifacts.motion import PARTS
from stages.body.model import pose_motion
from stages.body.store import open_body
from stages.detect.holistic import detect
from stages.track.config import SOLVERS, TrackConfig
from stages.track.fit import fit
from stages.track.summary import summarize

LIMITS = {"body": 12.0, "face": 1.5, "left_hand": 6.0, "right_hand": 6.0}
COLUMNS = (
    Column("clip", "clip"), Column("solver", "solver"),
    Column("face", "face", "% of face height", 2), Column("valid_face", "valid", "share", 2),
    Column("left_hand", "left hand", "% of face height", 2), Column("valid_left_hand", "valid", "share", 2),
    Column("right_hand", "right hand", "% of face height", 2), Column("valid_right_hand", "valid", "share", 2),
    Column("body", "body", "% of shoulder width", 2), Column("valid_body", "valid", "share", 2),
    Column("jitter", "jitter", "mm per frame squared"), Column("detect", "detect", "s"), Column("fit", "fit", "s"),
    Column("rate", "speed", "frames per second"),
)  # fmt: skip


def main() -> int:
    """Print and record a row per clip and solver."""
    parser = arguments(__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--solver", action="append", choices=SOLVERS, help="gn unless given; can be repeated")
    parser.add_argument("--quick", action="store_true", help="a quarter of AdamW's steps")
    parser.add_argument("--limits", action="store_true")
    options = parser.parse_args()
    solvers, missed = options.solver or ["gn"], False
    body, config = open_body("open"), QUICK if options.quick else TrackConfig()
    what = "The tracker on real clips: median distance from the detector's points on valid frames, and seconds."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for video in options.videos:
            start = time.perf_counter()
            observations = detect(video)
            detected = time.perf_counter() - start
            for solver in solvers:
                start = time.perf_counter()
                motion = fit(observations, body, replace(config, solver=solver))
                fitted = time.perf_counter() - start
                summary, upper = summarize(motion), body.part_vertices(*UPPER)
                errors = {part: getattr(summary, f"error_{part}") for part in PARTS}
                errors = {part: None if error is None else 100 * error for part, error in errors.items()}
                found.row(
                    clip=video.stem, solver=solver, **errors,
                    **{f"valid_{part}": getattr(summary, f"valid_{part}") for part in PARTS},
                    jitter=jitter_mm(pose_motion(body, motion).vertices[:, upper]),
                    detect=detected, fit=fitted, rate=len(observations) / (detected + fitted),
                )  # fmt: skip
                if solver == "gn":
                    missed |= any(error is not None and error > LIMITS[part] for part, error in errors.items())
        found.note("These are distances to the detector's own points: a clip has no 3-D truth.")
        if "adamw" in solvers:
            found.note(f"AdamW takes {config.adamw_steps:,} steps; the paper's recipe is 1,250.")
    return int(missed and options.limits)


if __name__ == "__main__":
    sys.exit(main())
