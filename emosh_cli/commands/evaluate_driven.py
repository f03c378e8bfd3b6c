"""`emosh evaluate cross` and `emosh evaluate self`: draw and measure the paper's two test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.run import Run

Refs = Annotated[Path, typer.Option("--refs", metavar="FOLDER", help="A folder of photos of people to animate.")]
Drivers = Annotated[Path, typer.Option("--drivers", metavar="FOLDER", help="A folder of driving videos.")]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant", metavar="NAME", help="Also draw with a part switched off: no-sac, no-hybrid, no-disentangle, "
        "no-tracker, no-gates; or with another anchor: frontal-anchor. May be repeated.", show_default=False,
    ),
]  # fmt: skip

InputsFor = Annotated[
    list[str] | None,
    typer.Option(
        "--inputs-for", metavar="METHOD", help="Also write photos and drivers padded to the size of another method, "
        "such as mimicmotion, into OUT/inputs/METHOD. May be repeated.", show_default=False,
    ),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add both commands."""

    @command(app, "evaluate cross", STAGES)
    def evaluate_cross(
        run: Run,
        refs: Refs,
        drivers: Drivers,
        variant: Variants = None,
        inputs_for: InputsFor = None,
        out: options.Out = None,
        backend: options.Backend = "auto",
        workers: options.Workers = 0,
        engine: options.EngineName = "local",
        model: options.Model = None,
        adapter: options.Adapter = None,
        device: options.Device = "auto",
        seed: options.Seed = None,
        body: options.Body = "open",
    ) -> None:
        """Animate every photo of a folder with every video of another, and measure all results.

        It writes OUT/emosh/PHOTO--DRIVER.mp4, identity and body shape as tables
        (report.json, .md, .tex, .csv), identity and colour over time (report.svg)
        and, where there is a second method, a page that asks people (study.html).

        Results of another method are compared too: put them into OUT/NAME under the
        same names. A stopped run continues. On several GPUs each draws its own pair.

        Example: emosh evaluate cross --refs people --drivers moves -o crossed
        """
        from emosh_cli.workflows.animation import ModelChoice
        from emosh_cli.workflows.drawn_clips import DrawOptions
        from emosh_cli.workflows.driven_sets import cross_pairs, draw_and_measure

        drawing = DrawOptions(backend, body, ModelChoice(model, adapter, device), seed)
        pairs = cross_pairs(refs, drivers)
        draw_and_measure(run, pairs, "cross", out, variant or [], inputs_for or [], drawing, engine, workers)

    @command(app, "evaluate self", STAGES)
    def evaluate_self(
        run: Run,
        drivers: Drivers,
        variant: Variants = None,
        inputs_for: InputsFor = None,
        out: options.Out = None,
        backend: options.Backend = "auto",
        workers: options.Workers = 0,
        engine: options.EngineName = "local",
        model: options.Model = None,
        adapter: options.Adapter = None,
        device: options.Device = "auto",
        seed: options.Seed = None,
        body: options.Body = "open",
    ) -> None:
        """Animate the first frame of every video of a folder with that video, and compare with the video.

        It writes OUT/emosh/NAME.mp4 and the similarity to the real videos as tables,
        with the same files, options and reruns as: emosh evaluate cross

        Example: emosh evaluate self --drivers moves -o selfdriven
        """
        from emosh_cli.workflows.animation import ModelChoice
        from emosh_cli.workflows.drawn_clips import DrawOptions
        from emosh_cli.workflows.driven_sets import draw_and_measure, self_pairs

        drawing = DrawOptions(backend, body, ModelChoice(model, adapter, device), seed)
        pairs = self_pairs(drivers)
        draw_and_measure(run, pairs, "self", out, variant or [], inputs_for or [], drawing, engine, workers)
