"""`emosh evaluate`: compares a result with the real video, its photo, and the motion that drove it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import PLOT, REPORT, output_path, require_file
from emosh_cli.run import Run
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.evaluation import EvaluationInputs

Result = Annotated[Path | None, typer.Argument(metavar="VIDEO", help="The result to measure.", show_default=False)]
TableFile = Annotated[
    Path | None,
    typer.Option("--table", metavar="TOML", help="Compare several methods over many clips instead. The file "
                 "names the folders of real videos and of results."),
]  # fmt: skip
Truth = Annotated[
    Path | None,
    typer.Option("--truth", metavar="VIDEO", help="The real video: PSNR, L1, SSIM, LPIPS and colour of each frame."),
]
MotionFile = Annotated[
    Path | None,
    typer.Option(
        "--motion",
        metavar="NPZ",
        help="The motion that drove the result: the result is tracked again and the poses compared.",
    ),
]
RefPhoto = Annotated[
    Path | None,
    typer.Option(
        "--ref", metavar="PHOTO", help="The reference photo: body shape, and identity if a face network is installed."
    ),
]
Tracked = Annotated[
    Path | None,
    typer.Option("--tracked", metavar="NPZ", help="The motion of the result, if you tracked it already."),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="SVG", help="Also draw colour and identity over time into this file.",
        rich_help_panel=options.OUTPUT, show_default=False,
    ),
]  # fmt: skip


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
        jobs: options.TableJobs = 0,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Measure a result against the real video, its photo, or the motion that drove it. Write a report.

        The report says how each figure was made, and lists what could not be
        measured with the reason.

        With --table it compares several methods over many clips and writes means,
        intervals and the best as JSON, Markdown, LaTeX and CSV. A rerun continues
        where a run was stopped. docs/evaluate.md shows the file.

        To ask people what they think of results: emosh evaluate study --help

        Example: emosh evaluate out.mp4 --truth drive.mp4 --ref photo.png -o report.json
        """
        if table is not None:
            if any(each is not None for each in (result, truth, motion, ref, tracked, plot)):
                raise InputError(
                    "the file of --table names all videos; leave VIDEO, --truth, --ref, --motion and --plot out"
                )
            from emosh_cli.workflows.tables import evaluate_table

            evaluate_table(run, table, out, body, jobs)
            return
        if result is None:
            raise InputError(
                "evaluate needs a video to measure, or --table comparison.toml for many; see: emosh evaluate --help"
            )
        if truth is None and motion is None and ref is None:
            raise InputError(
                "evaluate needs something to compare with: --truth VIDEO, --ref PHOTO, --motion NPZ, or several"
            )
        if tracked is not None and motion is None:
            raise InputError("--tracked is the result's motion; name the motion that drove it with --motion NPZ")
        from emosh_cli.workflows.evaluation import EvaluationInputs

        _evaluate(run, EvaluationInputs(result, truth, motion, ref, tracked, plot, body), out)


def _evaluate(run: Run, inputs: EvaluationInputs, out: Path | None) -> None:
    expected = {"video": "a video", "truth": "the real video", "motion": "a motion .npz",
                "photo": "a photo of the person", "tracked": "a motion .npz"}  # fmt: skip
    given = [require_file(path, expected[role]) for role, path in inputs.files.items()]
    target = output_path(out, REPORT, given, run.force, beside=inputs.result, ending="-report")
    if inputs.plot is not None:
        output_path(inputs.plot, PLOT, [*given, target], run.force)
    configs = run.load_configs(("evaluate", "track"))
    if run.dry_run:
        against = " and ".join(str(path) for path in given[1:])
        run.show_plan([f"evaluate {inputs.result} against {against} -> {target}"], output=str(target))
        return
    from emosh_cli.workflows import evaluation
    from stages.evaluate.report import write_report

    report = evaluation.evaluate(run, inputs, configs)
    write_report(target, report)
    sections = {name: section for name, section in report.items() if name != "provenance"}
    if inputs.plot is not None:
        from stages.evaluate.curves import draw_report_curves

        draw_report_curves(inputs.plot, {inputs.result.name: sections})
    summary = ", ".join(evaluation.summary_phrases(sections))
    run.done(target, summary, figures=evaluation.figures_of(sections), plot=inputs.plot)
