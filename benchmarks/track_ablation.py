"""What each gate and each term of the tracker is worth: a damaged clip with everything, then without each of them.

    python -m benchmarks.track_ablation [--quick] [--write]

The clip is known truth as noisy keypoints, broken by drop-outs, outliers and every failure that a gate is there for
(`benchmarks.truth_scores.broken`). Gauss-Newton for its gates and terms, AdamW for the three terms that only it has.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.record import Column, Recorder, arguments
from benchmarks.truth_scores import QUICK, broken, score
from stages.body.store import open_body
from stages.detect.gates import GATES
from stages.track.config import TrackConfig
from stages.track.terms import TERMS

ADAMW_ONLY = ("limit_scale", "limit_depth", "smooth_vertices")
COLUMNS = (
    Column("solver", "solver"), Column("without", "without"),
    Column("hurt", "upper body in damaged frames", "mm"), Column("more", "more than with everything", "mm"),
    Column("head", "head", "mm"), Column("hands", "hands", "mm"), Column("jitter", "jitter", "mm per frame squared"),
    Column("precision", "precision", digits=3), Column("recall", "recall", digits=3),
)  # fmt: skip


def cases(config: TrackConfig) -> dict[str, dict[str, TrackConfig]]:
    """solver -> what is left out -> settings."""
    adamw = replace(config, solver="adamw")
    ours = {"nothing": TrackConfig()}
    ours |= {f"gate: {name}": TrackConfig(gates_off=(name,)) for name in GATES}
    ours["every gate"] = TrackConfig(gates_off=GATES)
    ours |= {f"term: {name}": TrackConfig(terms_off=(name,)) for name in TERMS if name not in ADAMW_ONLY}
    theirs = {"nothing": adamw} | {f"term: {name}": replace(adamw, terms_off=(name,)) for name in ADAMW_ONLY}
    return {"gn": ours, "adamw": theirs}


def draw(worth: dict[str, float], whole: float, path: Path) -> None:
    """A bar for each gate (blue) and term (orange)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.barh(
        list(worth), list(worth.values()), color=["tab:blue" if "gate" in name else "tab:orange" for name in worth]
    )
    axis.invert_yaxis()
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlabel(f"upper-body error without it, mm more than {whole:.1f} (damaged frames)")
    axis.tick_params(axis="y", labelsize=8)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Print and record the table, draw gn's."""
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of AdamW's steps, a shorter clip")
    options = parser.parse_args()
    config = QUICK if options.quick else TrackConfig()
    body, what = open_body(), "What each gate and term of the tracker is worth: a damaged clip without one of them."
    scene = broken(body, 80 if options.quick else 120, 0)
    with Recorder(what, *COLUMNS, keep=options) as found:
        for solver, arms in cases(config).items():
            whole, worth = 0.0, {}
            for name, arm in arms.items():
                one = score(body, scene, arm)
                if name == "nothing":
                    whole = one.hurt
                else:
                    worth[name] = one.hurt - whole
                hands = (one.aligned["left hand"] + one.aligned["right hand"]) / 2
                found.row(solver=solver, without=name, hurt=one.hurt, more=worth.get(name), head=one.aligned["head"],
                          hands=hands, jitter=one.jitter, precision=one.precision, recall=one.recall)  # fmt: skip
            if solver == "gn":
                draw(
                    worth,
                    whole,
                    found.picture("track_ablation.png", "What each gate and term is worth to Gauss-Newton."),
                )
        found.note(f"AdamW takes {config.adamw_steps:,} steps; the paper's recipe is 1,250.")
        found.note("Several gates catch the same failure and hide each other here; track_gates shows each alone.")


if __name__ == "__main__":
    main()
