"""The tracker against known truth, one command: accuracy, jitter, validity, what each gate and term is worth, speed.

    python -m benchmarks.bench_track [--quick] [--out out/bench-track] [VIDEO...]

Grade a: projected keypoints with the noise of notes/tracker, drop-outs, outliers, and each failure that a gate is there
for. Grade b: rendered, textured bodies through the real detector and a real video file. Both solvers see the same
observations. Errors in mm: per part after a similarity transform, and `absolute`, as the upper body stands in camera
space with the true focal length (monocular depth makes up most of it). Jitter: mean length of the second difference
of upper-body vertices, mm a frame squared, with the truth's own beside it. Valid: of the parts that the tracker calls
measured the share that is (precision), and of those that are the share that it calls so (recall). VIDEOs: both solvers
on real clips, where only reprojection and jitter can be told. Writes bench_track.md and bench_track.png.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.track_synthetic import PARTS as SHAPES
from benchmarks.track_synthetic import aligned_error_mm
from benchmarks.track_truth import FAILURES, damaged, half_size, truth_clip, with_drop_outs, write_rendered
from stages.artifacts.motion import Motion, save_motion
from stages.body.model import Body, pose_motion
from stages.body.store import open_body
from stages.detect.gates import GATES
from stages.detect.holistic import detect
from stages.detect.observations import Observations
from stages.track.config import SOLVERS, TrackConfig
from stages.track.fit import fit
from stages.track.summary import summarize
from stages.track.terms import TERMS
from stages.video.source import read_frames
from tests.track.synthetic import observe

ADAMW_ONLY = ("limit_scale", "limit_depth", "smooth_vertices")
UPPER = SHAPES["upper body"]
RULE = "|---|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Scene:
    """One clip with its truth."""

    motion: Motion
    observations: Observations
    measured: np.ndarray
    """(frames, 4): what the observations really show."""
    touched: np.ndarray
    """Frames with a deliberate failure."""


@dataclass(frozen=True)
class Score:
    """One fit against its truth; lengths in mm."""

    aligned: dict[str, float]
    absolute: float
    jitter: float
    jitter_truth: float
    precision: float
    recall: float
    seconds: float
    hurt: float
    """Aligned upper-body error in the touched frames."""


def scene_a(body: Body, frames: int, seed: int) -> Scene:
    """Keypoints, noise, drop-outs, outliers and every failure."""
    truth = truth_clip(body, frames, seed)
    hurt, measured, touched = damaged(observe(body, truth, noise=1.0, seed=seed), FAILURES, seed)
    hurt = with_drop_outs(hurt, seed)
    return Scene(truth, hurt, measured & hurt.found, touched)


def scene_b(body: Body, frames: int, seed: int, folder: Path, clock: dict[str, float]) -> Scene:
    """A rendered video, detected."""
    truth, path = half_size(truth_clip(body, frames, seed)), folder / f"b{seed}.mp4"
    write_rendered(body, truth, path, seed)
    observations = timed_detection(path, clock)
    clock["frames"] = clock.get("frames", 0) + frames
    return Scene(truth, observations, observations.found.copy(), np.zeros(frames, bool))


def timed_detection(path: Path, clock: dict[str, float]) -> Observations:
    """Detect, adding wall seconds of plain decoding and of the rest to the clock."""
    start = time.perf_counter()
    for _ in read_frames(path):
        pass
    decoded = time.perf_counter() - start
    observations = detect(path)
    whole = time.perf_counter() - start - decoded
    clock["decode"] = clock.get("decode", 0) + decoded
    clock["detect"] = clock.get("detect", 0) + whole - decoded
    return observations


def score(body: Body, scene: Scene, config: TrackConfig) -> tuple[Score, Motion]:
    """Fit and compare."""
    config = replace(config, focal_px=float(scene.motion.K[0, 0, 0]))
    start = time.perf_counter()
    found = fit(scene.observations, body, config)
    seconds = time.perf_counter() - start
    ours, theirs = (pose_motion(body, motion).vertices for motion in (found, scene.motion))
    aligned = {}
    for name, parts in SHAPES.items():
        chosen = body.part_vertices(*parts)
        pairs = zip(ours[:, chosen][:, ::7], theirs[:, chosen][:, ::7], strict=True)
        aligned[name] = np.array([aligned_error_mm(a, b) for a, b in pairs])
    upper = body.part_vertices(*UPPER)
    believed, true = found.valid, scene.measured
    right = float((believed & true).sum())
    touched = scene.touched if scene.touched.any() else np.ones(len(found), bool)
    return Score(
        {name: float(errors.mean()) for name, errors in aligned.items()},
        float(1000 * np.linalg.norm(ours[:, upper] - theirs[:, upper], axis=-1).mean()),
        jitter_mm(ours[:, upper]), jitter_mm(theirs[:, upper]),
        right / max(1, believed.sum()), right / max(1, true.sum()), seconds,
        float(aligned["upper body"][touched].mean()),
    ), found  # fmt: skip


def jitter_mm(vertices: np.ndarray) -> float:
    """Mean length of the second difference, mm a frame squared."""
    return float(1000 * np.linalg.norm(np.diff(vertices, 2, axis=0), axis=-1).mean())


def mean(scores: list[Score]) -> Score:
    """Field by field."""
    fields = {
        name: float(np.mean([getattr(s, name) for s in scores]))
        for name in Score.__dataclass_fields__
        if name != "aligned"
    }
    return Score({name: float(np.mean([s.aligned[name] for s in scores])) for name in SHAPES}, **fields)


def compare(body: Body, grades: dict[str, list[Scene]], config: TrackConfig) -> dict[str, Score]:
    """Both solvers on every grade."""
    found = {}
    for grade, scenes in grades.items():
        for solver in SOLVERS:
            found[f"{grade}, {solver}"] = mean(
                [score(body, each, replace(config, solver=solver))[0] for each in scenes]
            )
    return found


def ablate(body: Body, scenes: list[Scene], config: TrackConfig) -> dict[str, Score]:
    """Gauss-Newton on damaged clips with everything, then without each gate and each of its terms."""
    cases = {"everything": config}
    cases |= {f"gate: {name}": replace(config, gates_off=(name,)) for name in GATES}
    cases["every gate"] = replace(config, gates_off=GATES)
    cases |= {f"term: {name}": replace(config, terms_off=(name,)) for name in TERMS if name not in ADAMW_ONLY}
    return {name: mean([score(body, each, case)[0] for each in scenes]) for name, case in cases.items()}


def real_clip(body: Body, video: Path, clock: dict[str, float]) -> list[str]:
    """A table row a solver."""
    observations, rows = timed_detection(video, clock), []
    clock["frames"] = clock.get("frames", 0) + len(observations)
    for solver in SOLVERS:
        start = time.perf_counter()
        found = fit(observations, body, TrackConfig(solver=solver))
        seconds = time.perf_counter() - start
        upper = body.part_vertices(*UPPER)
        shake = jitter_mm(pose_motion(body, found).vertices[:, upper])
        s = summarize(found)
        errors = (s.error_face, s.error_left_hand, s.error_right_hand, s.error_body)
        cells = ["-" if error is None else f"{100 * error:.2f}" for error in errors]
        rows.append(f"| {video.stem[:24]} | {solver} | {' | '.join(cells)} | {shake:.2f} | {seconds:.1f} |")
    return rows


def timed_pipeline(body: Body, scene: Scene, clock: dict[str, float], folder: Path) -> None:
    """Add the fit's and the writing's seconds of one clip to the clock."""
    result, found = score(body, scene, TrackConfig())
    start = time.perf_counter()
    save_motion(folder / "motion.npz", found)
    clock["write"] = clock.get("write", 0) + time.perf_counter() - start
    clock["fit"] = clock.get("fit", 0) + result.seconds


def report(grades: dict[str, Score], ablation: dict[str, Score], real: list[str], clock: dict[str, float]) -> str:
    """The tables."""
    lines = [
        "| grade, solver | head | left, right hand | upper body | absolute | jitter (truth) | valid | fit s |",
        RULE,
    ]
    for name, s in grades.items():
        a = s.aligned
        lines.append(
            f"| {name} | {a['head']:.1f} | {a['left hand']:.1f}, {a['right hand']:.1f} | {a['upper body']:.1f} | "
            f"{s.absolute:.0f} | {s.jitter:.1f} ({s.jitter_truth:.1f}) | {s.precision:.3f}, {s.recall:.3f} | "
            f"{s.seconds:.1f} |"
        )
    whole = ablation["everything"]
    lines += ["", "| without | upper body where damaged | head | hands | jitter | valid |", RULE[:-8]]
    for name, s in ablation.items():
        hands = (s.aligned["left hand"] + s.aligned["right hand"]) / 2
        change = "" if s is whole else f" ({s.hurt - whole.hurt:+.1f})"
        lines.append(
            f"| {name} | {s.hurt:.1f}{change} | {s.aligned['head']:.1f} | {hands:.1f} | {s.jitter:.1f} | "
            f"{s.precision:.3f}, {s.recall:.3f} |"
        )
    if real:
        lines += ["", "| clip | solver | face, % | left hand | right hand | body | jitter | fit s |", RULE, *real]
    frames = clock["frames_timed"]
    split = ", ".join(f"{name} {1000 * clock[name] / frames:.1f}" for name in ("decode", "detect", "fit", "write"))
    rate = frames / sum(clock[name] for name in ("decode", "detect", "fit", "write"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines += ["", f"Wall ms a frame at 640x360: {split}; {rate:.1f} frames a second. Peak memory {peak:.0f} MB."]
    return "\n".join(lines)


def plot(grades: dict[str, Score], ablation: dict[str, Score], path: Path) -> None:
    """Bars: error per part and solver; and what each gate and term is worth where the clip is damaged."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    wide = 0.8 / len(grades)
    for place, (name, s) in enumerate(grades.items()):
        at = np.arange(len(SHAPES)) + place * wide
        bars = left.bar(at, list(s.aligned.values()), wide, label=name)
        left.bar_label(bars, fmt="%.1f", fontsize=7)
    left.set_xticks(np.arange(len(SHAPES)) + 0.4 - wide / 2, list(SHAPES))
    left.set_ylabel("vertex error after alignment, mm")
    left.legend()
    whole = ablation["everything"].hurt
    cases = [(name, s.hurt - whole) for name, s in ablation.items() if name != "everything"]
    names, worth = zip(*cases, strict=True)
    colours = ["tab:blue" if "gate" in name else "tab:orange" for name in names]
    right.barh(names, worth, color=colours)
    right.invert_yaxis()
    right.axvline(0, color="black", linewidth=0.8)
    right.set_xlabel(f"upper-body error without it, mm more than {whole:.1f} (damaged frames)")
    right.tick_params(axis="y", labelsize=8)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true", help="one clip a grade, a quarter of AdamW's steps")
    parser.add_argument("--out", type=Path, default=Path("out/bench-track"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    body, clock = open_body(), {}
    clips, frames = (1, 80) if options.quick else (2, 120)
    config = TrackConfig(adamw_steps=300, adamw_decay_step=240) if options.quick else TrackConfig()
    with tempfile.TemporaryDirectory() as folder:
        b = [scene_b(body, 60, seed, Path(folder), clock) for seed in range(clips)]
        for each in b:
            timed_pipeline(body, each, clock, Path(folder))
        clock["frames_timed"] = clock["frames"]
        timing = dict(clock)
        a = [scene_a(body, frames, seed) for seed in range(clips)]
        grades = compare(body, {"a: keypoints": a, "b: rendered": b}, config)
        ablation = ablate(body, a[:1], TrackConfig())
        real = [row for video in options.videos for row in real_clip(body, video, clock)]
    text = report(grades, ablation, real, timing)
    (options.out / "bench_track.md").write_text(text + "\n", encoding="utf-8")
    plot(grades, ablation, options.out / "bench_track.png")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
