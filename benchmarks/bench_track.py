"""The tracker against known truth, one command: accuracy, jitter, validity, what each gate and term is worth, speed.

    python -m benchmarks.bench_track [--quick] [--only PART] [--out out/bench-track] [VIDEO...]

Grade a: projected keypoints with the noise of notes/tracker, drop-outs, outliers, and each failure that a gate is
there for. Grade b: rendered, textured bodies through the real detector and a real video file; grade c: the same with
hands out of the picture and behind the back, the person gone and turned away. Both solvers see the same observations.
Errors in mm: per part after a similarity transform, and `absolute`, as the upper body stands in camera space with the
true focal length (monocular depth makes up most of it). Jitter: mean length of the second difference of upper-body
vertices, mm a frame squared, with the truth's own beside it. Valid: of the parts that the tracker calls measured the
share that is (precision), and of those that are the share that it calls so (recall). VIDEOs: both solvers on real
clips, where only reprojection and jitter can be told. Writes bench_track.md and bench_track.png.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.track_absence import SEEN, UNSEEN, absent_clip, shares_seen
from benchmarks.track_synthetic import PARTS as SHAPES
from benchmarks.track_synthetic import aligned_error_mm
from benchmarks.track_truth import FAILURES, damaged, half_size, truth_clip, with_drop_outs, write_rendered
from stages.artifacts.motion import PARTS, Motion, save_motion
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
REAL = "| clip | solver | face, % | left hand | right hand | body | jitter | fit s |"


@dataclass(frozen=True)
class Scene:
    """One clip with its truth."""

    motion: Motion
    observations: Observations
    measured: np.ndarray
    """(frames, 4): what the observations really show."""
    judged: np.ndarray
    """(frames, 4): where `measured` is beyond doubt."""
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
    counts: dict[str, tuple[int, ...]]
    """Per part the frames rightly called measured, called so, really so, and judged at all."""


def scene_a(body: Body, frames: int, seed: int) -> Scene:
    """Keypoints, noise, drop-outs, outliers and every failure."""
    truth = truth_clip(body, frames, seed)
    hurt, measured, touched = damaged(observe(body, truth, noise=1.0, seed=seed), FAILURES, seed)
    hurt = with_drop_outs(hurt, seed)
    return Scene(truth, hurt, measured & hurt.found, np.ones_like(measured), touched)


def scene_b(body: Body, frames: int, seed: int, folder: Path, clock: dict[str, float]) -> Scene:
    """A rendered video, detected. All parts are in sight or nearly so; what is in doubt is not judged."""
    return _filmed(body, half_size(truth_clip(body, frames, seed)), folder / f"b{seed}.mp4", seed, clock)


def scene_c(body: Body, seed: int, folder: Path, clock: dict[str, float]) -> Scene:
    """The same with hands out of the picture and behind the back, the person gone, and turned away."""
    return _filmed(body, absent_clip(body, seed), folder / f"c{seed}.mp4", seed, clock)


def _filmed(body: Body, truth: Motion, path: Path, seed: int, clock: dict[str, float]) -> Scene:
    write_rendered(body, truth, path, seed)
    observations = timed_detection(path, clock)
    clock["frames"] = clock.get("frames", 0) + len(truth)
    shares = shares_seen(body, truth)
    judged = (shares >= SEEN) | (shares < UNSEEN)
    return Scene(truth, observations, shares >= SEEN, judged, np.zeros(len(truth), bool))


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
    believed, true = found.valid & scene.judged, scene.measured & scene.judged
    right = (believed & true).sum(0)
    touched = scene.touched if scene.touched.any() else np.ones(len(found), bool)
    here = scene.measured[:, 0]
    return Score(
        {name: float(errors[here].mean()) for name, errors in aligned.items()},
        float(1000 * np.linalg.norm(ours[here][:, upper] - theirs[here][:, upper], axis=-1).mean()),
        jitter_mm(ours[:, upper]), jitter_mm(theirs[:, upper]),
        float(right.sum() / max(1, believed.sum())), float(right.sum() / max(1, true.sum())), seconds,
        float(aligned["upper body"][touched].mean()),
        {part: (int(right[i]), int(believed[:, i].sum()), int(true[:, i].sum()), int(scene.judged[:, i].sum()))
         for i, part in enumerate(PARTS)},
    ), found  # fmt: skip


def jitter_mm(vertices: np.ndarray) -> float:
    """Mean length of the second difference, mm a frame squared."""
    return float(1000 * np.linalg.norm(np.diff(vertices, 2, axis=0), axis=-1).mean())


def mean(scores: list[Score]) -> Score:
    """Field by field; counts are added up."""
    apart = ("aligned", "counts")
    fields = {
        name: float(np.mean([getattr(s, name) for s in scores]))
        for name in Score.__dataclass_fields__
        if name not in apart
    }
    counts = {part: tuple(sum(s.counts[part][i] for s in scores) for i in range(4)) for part in PARTS}
    return Score({name: float(np.mean([s.aligned[name] for s in scores])) for name in SHAPES}, counts=counts, **fields)


def compare(body: Body, grades: dict[str, list[Scene]], config: TrackConfig) -> dict[str, Score]:
    """Both solvers on every grade."""
    found = {}
    for grade, scenes in grades.items():
        for solver in SOLVERS:
            found[f"{grade}, {solver}"] = mean(
                [score(body, each, replace(config, solver=solver))[0] for each in scenes]
            )
    return found


def ablate(body: Body, scene: Scene, config: TrackConfig) -> dict[str, Score]:
    """A damaged clip with everything, then without each gate and each term that Gauss-Newton has."""
    cases = {"everything": config}
    cases |= {f"gate: {name}": replace(config, gates_off=(name,)) for name in GATES}
    cases["every gate"] = replace(config, gates_off=GATES)
    cases |= {f"term: {name}": replace(config, terms_off=(name,)) for name in TERMS if name not in ADAMW_ONLY}
    return {name: score(body, scene, case)[0] for name, case in cases.items()}


def ablate_adamw(body: Body, scene: Scene, config: TrackConfig) -> dict[str, Score]:
    """The same by AdamW, for the terms that only it has."""
    cases = {"everything": config} | {f"term: {name}": replace(config, terms_off=(name,)) for name in ADAMW_ONLY}
    return {name: score(body, scene, case)[0] for name, case in cases.items()}


def real_clip(body: Body, video: Path, config: TrackConfig) -> list[str]:
    """A table row a solver."""
    observations, rows = detect(video), []
    for solver in SOLVERS:
        start = time.perf_counter()
        found = fit(observations, body, replace(config, solver=solver))
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


def accuracy(grades: dict[str, Score]) -> list[str]:
    """Errors, jitter, validity and seconds."""
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
    return lines


def pace(clock: dict[str, float]) -> list[str]:
    """Where the seconds of grade b went, and the memory of the whole run."""
    frames, parts = clock["frames"], ("decode", "detect", "fit", "write")
    split = ", ".join(f"{name} {1000 * clock[name] / frames:.1f}" for name in parts)
    rate = frames / sum(clock[name] for name in parts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [f"Wall ms a frame at 640x360: {split}; {rate:.1f} frames a second. Peak memory {peak:.0f} MB."]


def validity(grades: dict[str, Score]) -> list[str]:
    """Precision and recall of each part, with the frames in which it was absent."""
    lines = [
        "| grade, solver | " + " | ".join(f"{part}: precision, recall (absent)" for part in PARTS) + " |",
        RULE[:21],
    ]
    for name, s in grades.items():
        cells = [f"{r / max(1, b):.3f}, {r / max(1, t):.3f} ({j - t})" for r, b, t, j in s.counts.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def without(ablation: dict[str, Score], solver: str) -> list[str]:
    """What each gate and term is worth."""
    whole = ablation["everything"]
    lines = [f"| {solver} without | upper body where damaged | head | hands | jitter | valid |", RULE[:-8]]
    for name, s in ablation.items():
        hands = (s.aligned["left hand"] + s.aligned["right hand"]) / 2
        change = "" if s is whole else f" ({s.hurt - whole.hurt:+.1f})"
        lines.append(
            f"| {name} | {s.hurt:.1f}{change} | {s.aligned['head']:.1f} | {hands:.1f} | {s.jitter:.1f} | "
            f"{s.precision:.3f}, {s.recall:.3f} |"
        )
    return lines


def plot(grades: dict[str, Score], ablation: dict[str, Score], path: Path) -> None:
    """Bars: error per part and solver; and what each gate and term is worth where the clip is damaged."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    wide = 0.8 / max(1, len(grades))
    for place, (name, s) in enumerate(grades.items()):
        at = np.arange(len(SHAPES)) + place * wide
        bars = left.bar(at, list(s.aligned.values()), wide, label=name)
        left.bar_label(bars, fmt="%.1f", fontsize=7)
    left.set_xticks(np.arange(len(SHAPES)) + 0.4 - wide / 2, list(SHAPES))
    left.set_ylabel("vertex error after alignment, mm")
    if grades:
        left.legend()
    else:
        left.set_axis_off()
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
    parser.add_argument("--quick", action="store_true", help="a quarter of AdamW's steps, shorter clips")
    parser.add_argument("--only", choices=("truth", "without", "clips"), help="one part: accuracy, ablation, VIDEOs")
    parser.add_argument("--out", type=Path, default=Path("out/bench-track"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    body, said = open_body(), []
    frames = 80 if options.quick else 120
    config = TrackConfig(adamw_steps=300, adamw_decay_step=240) if options.quick else TrackConfig()

    def say(lines: list[str]) -> None:
        """Print lines as soon as they are there, and keep them."""
        said.extend(lines)
        print("\n".join(lines), flush=True)

    def wanted(part: str) -> bool:
        return options.only in (None, part)

    grades: dict[str, Score] = {}
    if wanted("truth"):
        grades = truth(body, frames, config, say)
    if wanted("without"):
        scene = scene_a(body, frames, 0)
        ablation = ablate(body, scene, TrackConfig())
        say([*without(ablation, "gn"), ""])
        say([*without(ablate_adamw(body, scene, replace(config, solver="adamw")), "adamw"), ""])
        plot(grades, ablation, options.out / "bench_track.png")
    if wanted("clips") and options.videos:
        say([REAL, RULE])
        for video in options.videos:
            say(real_clip(body, video, config))
        say([""])
    say([f"All of it: {time.process_time():.0f} CPU seconds."])
    name = "bench_track.md" if options.only is None else f"bench_track_{options.only}.md"
    (options.out / name).write_text("\n".join(said), encoding="utf-8")
    return 0


def truth(body: Body, frames: int, config: TrackConfig, say: Callable[[list[str]], None]) -> dict[str, Score]:
    """Pace, accuracy and validity on all three grades."""
    clock: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        rendered = scene_b(body, 60, 0, Path(folder), clock)
        timed_pipeline(body, rendered, clock, Path(folder))
        say([*pace(clock), ""])
        scenes = {
            "a: keypoints": [scene_a(body, frames, 0)],
            "b: rendered": [rendered],
            "c: absences": [scene_c(body, 0, Path(folder), {})],
        }
    grades = compare(body, scenes, config)
    absent, ungated = scenes["c: absences"], replace(config, gates_off=GATES)
    grades["c: absences, gn, no gates"] = mean([score(body, each, ungated)[0] for each in absent])
    say([*accuracy(grades), ""])
    say([*validity(grades), ""])
    return grades


if __name__ == "__main__":
    raise SystemExit(main())
