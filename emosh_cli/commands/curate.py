"""`emosh curate`: finds clips worth training on in a folder of videos, and tracks them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.run import Run
from stages.errors import InputError

SYNTHETIC = "Synthetic people"

Videos = Annotated[
    Path | None,
    typer.Argument(
        metavar="VIDEOS", help="A folder of videos. Folders inside it are searched too.", show_default=False
    ),
]
Synthetic = Annotated[
    int | None,
    typer.Option(
        "--synthetic",
        metavar="N",
        help="Draw N clips of synthetic people instead, each with its exact motion.",
        rich_help_panel=SYNTHETIC,
        show_default=False,
    ),
]
First = Annotated[
    int,
    typer.Option(
        "--first", metavar="N", min=0, help="Number of the first clip that is drawn.", rich_help_panel=SYNTHETIC
    ),
]
Motions = Annotated[
    list[Path] | None,
    typer.Option(
        "--motion",
        metavar="NPZ",
        help="Move half of the people as in this tracked motion. May be repeated.",
        rich_help_panel=SYNTHETIC,
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "curate", STAGES)
    def curate(
        run: Run,
        videos: Videos = None,
        out: options.Out = None,
        workers: options.Workers = 0,
        engine: options.EngineName = "local",
        synthetic: Synthetic = None,
        first: First = 0,
        motion: Motions = None,
        body: options.Body = "open",
    ) -> None:
        """Find the clips worth training on in a folder of videos, and track them.

        Every video is cut at its shots into windows of 77 to 154 frames. Each
        window is tracked. It is kept if it shows one moving person whose face
        and hands are visible: NAME-0001.mp4 with its motion NAME-0001.npz.

        manifest.jsonl lists every window with its figures and, if it was
        rejected, the reason. summary.html draws each figure with its threshold,
        so that you can choose thresholds for your footage (emosh config show
        curate). A new threshold is applied to the figures measured before.

        If the command is stopped, run it again and it continues.
        Next: emosh encode --manifest clips/manifest.jsonl -o cache/

        Example: emosh curate videos/ -o clips/
        """
        from emosh_cli.workers.engines import choose_engine

        if synthetic is not None:
            if videos is not None:
                raise InputError("--synthetic draws its own clips; leave VIDEOS out")
            from emosh_cli.workflows.synthetic_clips import write_synthetic

            write_synthetic(run, synthetic, first, out, motion or [], choose_engine(engine, workers), body)
        elif videos is None:
            raise InputError("name the folder of videos, or draw clips of synthetic people with --synthetic N")
        elif first or motion:
            raise InputError("--first and --motion are for synthetic people; add --synthetic N, or leave them out")
        else:
            from emosh_cli.workflows import curation

            curation.curate(run, videos, out, choose_engine(engine, workers), body)
