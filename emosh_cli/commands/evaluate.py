"""`emosh evaluate`: how close a result is to its truth, and to the motion that drove it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from emosh_cli import options
from emosh_cli.outputs import REPORT, need, settle
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

Result = Annotated[Path, typer.Argument(metavar="VIDEO", help="The video to judge.", show_default=False)]
Truth = Annotated[
    Path | None, typer.Option("--truth", metavar="VIDEO", help="The real video, frame by frame: PSNR, L1, SSIM.")
]
MotionFile = Annotated[
    Path | None,
    typer.Option("--motion", metavar="NPZ", help="The motion that drove it: pose error of the result tracked again."),
]
RefPhoto = Annotated[
    Path | None, typer.Option("--ref", metavar="PHOTO", help="The reference photo: identity measures (not built yet).")
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "evaluate", STAGES)
    def evaluate(
        run: Run,
        result: Result,
        truth: Truth = None,
        motion: MotionFile = None,
        ref: RefPhoto = None,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Measure a result against the real video, or against the motion that drove it, into a report.json.

        Example: emosh evaluate out.mp4 --truth drive.mp4 --motion target.npz -o report.json
        """
        if ref is not None:
            raise InputError(
                "measures against a photo (identity, shape) are not built yet; use --truth VIDEO, --motion NPZ, or both"
            )
        if truth is None and motion is None:
            raise InputError("evaluate needs something to compare with: --truth VIDEO, --motion NPZ, or both")
        _evaluate(run, result, truth, motion, out, body)


def _evaluate(run: Run, result: Path, truth: Path | None, motion: Path | None, out: Path | None, body: str) -> None:
    need(result, "a video")
    given = [result]
    if truth is not None:
        given.append(need(truth, "the real video"))
    if motion is not None:
        given.append(need(motion, "a motion .npz"))
    target = settle(out, REPORT, given, run.force, beside=result, ending="-report")
    configs = run.configured_all(("evaluate", "track"))
    if run.dry_run:
        against = " and ".join(str(path) for path in given[1:])
        run.planned([f"evaluate {result} against {against} -> {target}"], output=str(target))
        return
    report: dict[str, Any] = {}
    if truth is not None:  # first, since it is quick to refuse videos that do not belong together
        from stages.evaluate.evaluate import evaluate_paired

        report["paired"] = evaluate_paired(result, truth, configs["evaluate"], run.console.progress)
    if motion is not None:
        report["pose"] = _pose_section(run, result, motion, body, configs["track"])
    provenance = _provenance(configs, result, truth, motion)
    _write(target, {"provenance": json.loads(provenance), **report})
    run.done(target, _summary(report), figures=_figures(report))


def _pose_section(run: Run, result: Path, motion: Path, body: str, config: Any) -> dict[str, Any]:
    """Track the result again and compare with the motion that drove it."""
    from emosh_cli import pipes
    from emosh_cli.commands.track import tracked
    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body
    from stages.evaluate.evaluate import pose_error

    with pipes.readable(motion) as readable:
        driving = load_motion(readable)
    return pose_error(tracked(run, result, body, config), driving, open_body(body))


def _provenance(configs: dict[str, Any], result: Path, truth: Path | None, motion: Path | None) -> str:
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    roles = {"video": result, "truth": truth, "motion": motion}
    inputs = {role: sha256_file(path) for role, path in roles.items() if path is not None and path.is_file()}
    config = {section: config_dict(value) for section, value in configs.items()}
    notes = {role: str(path) for role, path in roles.items() if path is not None}
    return Provenance("evaluate", config, inputs, notes=notes).to_json()


def _write(path: Path, report: dict[str, Any]) -> None:
    from stages.evaluate.report import write_report

    write_report(path, report)


def _figures(report: dict[str, Any]) -> dict[str, float]:
    """Every number of the report by dotted name, without the per-frame lists."""
    found: dict[str, float] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix] = float(value)

    walk("", report)
    return found


SAID = {
    "paired.psnr.mean": "PSNR {:.2f} dB",
    "paired.l1.mean": "L1 {:.4f}",
    "paired.ssim.mean": "SSIM {:.4f}",
    "pose.upper_body_mm": "upper body off by {:.0f} mm",
    "pose.left_hand_mm": "left hand {:.0f} mm",
    "pose.right_hand_mm": "right hand {:.0f} mm",
    "pose.head_change_degrees": "head's turning off by {:.1f} degrees",
    "pose.lip_gap_correlation": "lips correlate {:.2f}",
}
"""Figures of the summary line; the file has all of them."""


def _summary(report: dict[str, Any]) -> str:
    figures = _figures(report)
    return ", ".join(text.format(figures[name]) for name, text in SAID.items() if name in figures)
