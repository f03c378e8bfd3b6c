"""`emosh evaluate`: how close a result is to its truth, to its photo, and to the motion that drove it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emosh_cli import options
from emosh_cli.outputs import PLOT, REPORT, need, settle
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion

Result = Annotated[Path | None, typer.Argument(metavar="[VIDEO]", help="The video to judge.", show_default=False)]
TableFile = Annotated[
    Path | None,
    typer.Option("--table", metavar="TOML", help="Instead of one video: folders of real videos and of "
                 "several methods' results, named in this file, as the paper's tables."),
]  # fmt: skip
Jobs = Annotated[
    int,
    typer.Option("--jobs", metavar="N", min=0, help="Processes that measure many clips.", show_default="one a core"),
]
Truth = Annotated[
    Path | None,
    typer.Option("--truth", metavar="VIDEO", help="The real video, frame by frame: PSNR, L1, SSIM, LPIPS, colour."),
]
MotionFile = Annotated[
    Path | None,
    typer.Option("--motion", metavar="NPZ", help="The motion that drove it: pose error of the result tracked again."),
]
RefPhoto = Annotated[
    Path | None,
    typer.Option("--ref", metavar="PHOTO", help="The reference photo: body shape, and identity with ArcFace."),
]
Tracked = Annotated[
    Path | None,
    typer.Option("--tracked", metavar="NPZ", help="The result's own motion, where it is tracked already."),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="SVG", help="Also draw colour and identity over time, here.",
        rich_help_panel=options.OUTPUT, show_default=False,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a result is compared with."""

    result: Path
    truth: Path | None
    motion: Path | None
    ref: Path | None
    tracked: Path | None
    plot: Path | None
    body: str

    @property
    def given(self) -> dict[str, Path]:
        """Role -> file, of everything that was named."""
        roles = {"video": self.result, "truth": self.truth, "motion": self.motion, "photo": self.ref,
                 "tracked": self.tracked}  # fmt: skip
        return {role: path for role, path in roles.items() if path is not None}


OVER_MANY_CLIPS = {
    "fid": "a figure of many clips, not of one: emosh evaluate --table",
    "fvd": "a figure of many clips, not of one: emosh evaluate --table",
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "evaluate", STAGES)
    def evaluate(
        run: Run,
        result: Result = None,
        truth: Truth = None,
        motion: MotionFile = None,
        ref: RefPhoto = None,
        tracked: Tracked = None,
        plot: Plot = None,
        table: TableFile = None,
        jobs: Jobs = 0,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Measure a result against the real video, its photo, or the motion that drove it, into a report.json.

        Every figure stands beside how it was made; what could not be measured is listed with the reason.
        With --table, several methods over many clips: means, intervals and the best, as JSON, Markdown, LaTeX and CSV;
        a rerun goes on where one was stopped. docs/evaluate.md shows the file it takes.
        What people think of results: emosh evaluate study --help

        Example: emosh evaluate out.mp4 --truth drive.mp4 --ref photo.png -o report.json
        """
        if table is not None:
            if any(each is not None for each in (result, truth, motion, ref, tracked, plot)):
                raise InputError(
                    "--table names all its videos itself; leave VIDEO, --truth, --ref, --motion and --plot out"
                )
            from emosh_cli.commands.evaluate_table import evaluate_table

            evaluate_table(run, table, out, body, jobs)
            return
        if result is None:
            raise InputError(
                "evaluate needs a video to judge, or --table runs.toml for many; see: emosh evaluate --help"
            )
        if truth is None and motion is None and ref is None:
            raise InputError(
                "evaluate needs something to compare with: --truth VIDEO, --ref PHOTO, --motion NPZ, or several"
            )
        if tracked is not None and motion is None:
            raise InputError("--tracked is the result's motion; name the motion that drove it with --motion NPZ")
        _evaluate(run, Asked(result, truth, motion, ref, tracked, plot, body), out)


def _evaluate(run: Run, asked: Asked, out: Path | None) -> None:
    expected = {"video": "a video", "truth": "the real video", "motion": "a motion .npz",
                "photo": "a photo of the person", "tracked": "a motion .npz"}  # fmt: skip
    given = [need(path, expected[role]) for role, path in asked.given.items()]
    target = settle(out, REPORT, given, run.force, beside=asked.result, ending="-report")
    if asked.plot is not None:
        settle(asked.plot, PLOT, [*given, target], run.force)
    configs = run.configured_all(("evaluate", "track"))
    if run.dry_run:
        against = " and ".join(str(path) for path in given[1:])
        run.planned([f"evaluate {asked.result} against {against} -> {target}"], output=str(target))
        return
    sections, weights = _sections(run, asked, configs)
    provenance = _provenance(configs, asked, weights)
    _write(target, {"provenance": json.loads(provenance), **sections})
    if asked.plot is not None:
        from stages.evaluate.curves import draw

        draw(asked.plot, {asked.result.name: sections})
    run.done(target, _summary(sections), figures=_figures(sections), plot=asked.plot)


def _sections(run: Run, asked: Asked, configs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Every section that what was given allows, and the networks' sha256; first what is quick to refuse videos that do
    not belong together.
    """
    from emosh_cli import judges
    from stages.evaluate.colour import colour_over_time
    from stages.evaluate.evaluate import evaluate_paired

    config, progress = configs["evaluate"], run.console.progress
    report: dict[str, Any] = {}
    weights: dict[str, str] = {}
    left_out = dict(OVER_MANY_CLIPS)
    if asked.truth is not None:
        found = judges.paired(config)
        paired = evaluate_paired(asked.result, asked.truth, config, progress, networks=found.metrics)
        definitions = {**paired["definitions"], **found.definitions}
        report["paired"] = {**paired, "definitions": definitions, "networks": found.files}
        weights, left_out = found.weights, {**left_out, **found.left_out}
    report["colour"] = colour_over_time(asked.result, asked.truth, config, progress)
    own = None
    if asked.motion is not None:
        own, sections = _pose(run, asked, configs["track"])
        report |= sections
    if asked.ref is not None:
        from emosh_cli.commands.evaluate_parts import identity_section, shape_section

        if config.shape_frames:
            report["shape"] = shape_section(
                progress, asked.result, asked.ref, asked.body, configs["track"], config, own
            )
        else:
            left_out["shape"] = "not asked for: evaluate.shape_frames is 0"
        section, filed, why = identity_section(progress, asked.result, asked.ref)
        if section is None:
            left_out["identity"] = why
        else:
            report["identity"] = section
            weights = {**weights, **filed}
    report["left_out"] = left_out
    for figure in set(left_out) - set(OVER_MANY_CLIPS):
        run.console.note(f"left out: {figure}: {left_out[figure]}")
    return report, weights


def _pose(run: Run, asked: Asked, config: Any) -> tuple[Motion, dict[str, Any]]:
    """The result's motion, and the sections pose and, where the result is tracked here, tracking."""
    from emosh_cli.commands.evaluate_parts import read_motion, tracked_result
    from stages.body.store import open_body
    from stages.evaluate.evaluate import pose_error

    assert asked.motion is not None
    driving = read_motion(asked.motion)
    if asked.tracked is not None:
        own = read_motion(asked.tracked)
        return own, {"pose": pose_error(own, driving, open_body(asked.body))}
    own, tracking = tracked_result(run, asked.result, asked.body, config)
    return own, {"pose": pose_error(own, driving, open_body(asked.body)), "tracking": tracking}


def _provenance(configs: dict[str, Any], asked: Asked, weights: dict[str, str]) -> str:
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    inputs = {role: sha256_file(path) for role, path in asked.given.items() if path.is_file()}
    config = {section: config_dict(value) for section, value in configs.items()}
    notes = {role: str(path) for role, path in asked.given.items()}
    return Provenance("evaluate", config, inputs, weights, notes=notes).to_json()


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
    "paired.l1.mean": "L1 {:.4g}",
    "paired.ssim.mean": "SSIM {:.4f}",
    "paired.lpips_alex.mean": "LPIPS (alex) {:.4f}",
    "paired.lpips_vgg.mean": "LPIPS (vgg) {:.4f}",
    "identity.cosine.mean": "identity {:.3f}",
    "identity.misses_as_zero.mean": "({:.3f} with misses as zero)",
    "colour.from_truth.mean": "colour off by {:.1f} (CIE76)",
    "colour.from_start.per_second": "colour drifts {:+.2f} a second",
    "pose.upper_body_mm": "upper body off by {:.0f} mm",
    "pose.left_hand_mm": "left hand {:.0f} mm",
    "pose.right_hand_mm": "right hand {:.0f} mm",
    "pose.head_change_degrees": "head's turning off by {:.1f} degrees",
    "pose.lip_gap_correlation": "lips correlate {:.2f}",
    "shape.to_reference.betas_cosine": "body shape's cosine {:.3f}",
    "shape.to_reference.sizeless_cosine": "at one height {:.3f}",
    "shape.repeat.sizeless_cosine": "(the tracker's own {:.3f})",
    "tracking.frames_per_second": "tracked at {:.1f} frames/s",
}
"""Figures of the summary line; the file has all of them."""


def _summary(report: dict[str, Any]) -> str:
    figures = _figures(report)
    return ", ".join(text.format(figures[name]) for name, text in SAID.items() if name in figures)
