"""`emosh evaluate ablate`: draws pairs with parts of the method switched off, and writes the paper's Table 4."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.run import Run

Pairs = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="A folder with drive/NAME.mp4 and ref/NAME.png.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "evaluate ablate", STAGES)
    def evaluate_ablate(
        run: Run,
        pairs: Pairs,
        out: options.Out = None,
        backend: options.Backend = "auto",
        jobs: options.TableJobs = 0,
        model: options.Model = None,
        adapter: options.Adapter = None,
        device: options.Device = "auto",
        seed: options.Seed = None,
        body: options.Body = "open",
    ) -> None:
        """Draw every pair with the full method and with one part switched off, and print the paper's Table 4.

        Without a ref folder the first frame of each driving video is the photo, and
        the driving video is the truth. Videos are kept in OUT.emosh/, and a rerun
        makes only what changed. Write settings as section.key=value.

        Example: emosh evaluate ablate pairs -o ablation.json
        """
        from emosh_cli.workflows.ablation import ablate
        from emosh_cli.workflows.animation import ModelChoice
        from emosh_cli.workflows.drawn_clips import DrawOptions

        ablate(run, pairs, out, DrawOptions(backend, body, ModelChoice(model, adapter, device), seed), jobs)
