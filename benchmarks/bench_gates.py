"""Each gate on a clip that needs it: the same damaged clip with the gate and without, as a figure and a table.

    python -m benchmarks.bench_gates [--out out/bench-track] [VIDEO...]

One clip a gate: known truth, noisy keypoints, and in six frames of forty the failure that the gate is there for. With:
that gate alone; without: none, for several gates catch the same failure and hide each other (`bench_track` has the
ablation from all of them).
Printed and drawn: error of the damaged part in those frames, mm, as it stands relative to the shoulders (`missed by the
fit` judges after the fit, so only validity can show it), and how many part-frames are called measured that are not.
VIDEOs: for each gate that refuses something there, the jitter within two frames of what it refused, with and without.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import track_truth
from stages.artifacts.motion import PARTS, Motion
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.store import open_body
from stages.detect.gates import GATES
from stages.detect.holistic import detect
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.track.synthetic import observe

FRAMES, SEED = 40, 4
RULE = "|---|---|---|---|---|"
VERTICES = {
    "body": ("torso", "head", "left_arm", "right_arm"), "face": ("head",),
    "left_hand": ("left_arm", "left_hand"), "right_hand": ("right_arm", "right_hand"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One gate's clip."""

    touched: np.ndarray
    errors: dict[str, np.ndarray]
    """with, without -> mm per frame."""
    false: dict[str, int]
    """Part-frames called measured that are not."""


def case(body: Body, gate: str) -> Case:
    """Fit the damaged clip twice."""
    truth = track_truth.truth_clip(body, FRAMES, SEED)
    clean = observe(body, truth, noise=1.0, seed=SEED)
    rows = slice(FRAMES // 2 - 3, FRAMES // 2 + 3)
    names = ("pose", "pose_world", "face", "left_hand", "right_hand", "found", "evidence")
    hurt = replace(clean, **{name: getattr(clean, name).copy() for name in names})
    parts = track_truth.FAILURES[gate](hurt, rows, np.random.default_rng(SEED))
    touched = np.zeros(FRAMES, bool)
    touched[rows] = True
    measured = np.ones((FRAMES, 4), bool)
    for part in parts:
        measured[rows, PARTS.index(part)] = False
    focal, errors, false = float(truth.K[0, 0, 0]), {}, {}
    for name, off in (("with", tuple(name for name in GATES if name != gate)), ("without", GATES)):
        found = fit(hurt, body, TrackConfig(focal_px=focal, gates_off=off))
        errors[name] = part_error_mm(body, found, truth, parts[0])
        false[name] = int((found.valid & ~measured).sum())
    return Case(touched, errors, false)


def part_error_mm(body: Body, found: Motion, truth: Motion, part: str) -> np.ndarray:
    """Mean vertex distance per frame with the mid-shoulders on each other, mm."""
    chosen = body.part_vertices(*VERTICES[part])
    shoulders = [JOINT_NAMES.index(name) for name in ("left_shoulder", "right_shoulder")]
    moved = []
    for motion in (found, truth):
        posed = pose_motion(body, motion)
        moved.append(posed.vertices[:, chosen] - posed.joints[:, shoulders].mean(1, keepdims=True))
    return 1000 * np.linalg.norm(moved[0] - moved[1], axis=-1).mean(1)


def draw(cases: dict[str, Case], path: Path) -> None:
    """One panel a gate: error over time, with (blue) and without (orange) it; damaged frames are grey."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 5, sharex=True).ravel()
    for axis, (gate, found) in zip(axes, cases.items(), strict=False):
        rows = np.flatnonzero(found.touched)
        axis.axvspan(rows[0] - 0.5, rows[-1] + 0.5, color="0.9")
        axis.plot(found.errors["without"], color="tab:orange", label="without")
        axis.plot(found.errors["with"], color="tab:blue", label="with")
        axis.set_title(gate, fontsize=10)
        axis.set_ylim(0, 1.3 * max(errors.max() for errors in found.errors.values()))
        note = f"called measured, and is not:\n{found.false['with']} with, {found.false['without']} without"
        axis.text(0.02, 0.95, note, transform=axis.transAxes, va="top", fontsize=7)
    for axis in axes[len(cases) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=8, loc="center left")
    figure.supylabel("error of the damaged part relative to the shoulders, mm")
    figure.supxlabel("frame")
    figure.savefig(path, dpi=100)


def real_rows(body: Body, video: Path) -> list[str]:
    """Jitter near what each gate refuses in a real clip."""
    observations = detect(video)
    whole, rows = fit(observations, body), []
    upper = body.part_vertices("torso", "head", "left_arm", "right_arm", "left_hand", "right_hand")
    assert whole.gates is not None
    for gate in GATES:
        columns = [i for i, name in enumerate(whole.gate_names) if name.rpartition(": ")[2] == gate]
        refused = whole.gates[:, columns].any(1) if columns else np.zeros(len(whole), bool)
        if not refused.any():
            continue
        near = np.convolve(refused, np.ones(5), "same")[1:-1] > 0
        without = fit(observations, body, TrackConfig(gates_off=(gate,)))
        shake = []
        for motion in (whole, without):
            steps = np.diff(pose_motion(body, motion).vertices[:, upper], 2, axis=0)
            shake.append(1000 * float(np.linalg.norm(steps[near], axis=-1).mean()))
        rows.append(f"| {video.stem[:24]} | {gate} | {int(refused.sum())} | {shake[0]:.1f} | {shake[1]:.1f} |")
    return rows


def main() -> int:
    """Print the table, write the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/bench-track"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    body = open_body()
    cases = {gate: case(body, gate) for gate in track_truth.FAILURES}
    print(
        "| gate | error where damaged, mm: with | without | falsely measured: with | without |\n|---|---|---|---|---|"
    )
    for gate, found in cases.items():
        ours, theirs = (found.errors[name][found.touched].mean() for name in ("with", "without"))
        print(f"| {gate} | {ours:.1f} | {theirs:.1f} | {found.false['with']} | {found.false['without']} |")
    draw(cases, options.out / "gates.png")
    if options.videos:
        print("\n| clip | gate | frames refused | jitter there, mm a frame squared: with | without |")
        print(RULE)
    for video in options.videos:
        print("\n".join(real_rows(body, video)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
