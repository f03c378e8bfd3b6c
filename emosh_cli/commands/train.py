"""`emosh train` and `emosh curate`: present in the command line, completed with the diffusion backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

Clips = Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Clips, or folders of clips.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add both commands."""

    @command(app, "train", STAGES)
    def train(run: Run, clips: Clips, out: options.Out = None) -> None:
        """Train an adapter for the diffusion model on curated clips. [yellow]Not built yet.[/yellow]

        Example: emosh train clips/ -o adapter.safetensors
        """
        raise InputError("train is not built yet: it comes with the wan backend; tracking and retargeting work today")

    @command(app, "curate", STAGES)
    def curate(run: Run, clips: Clips, out: options.Out = None) -> None:
        """Choose the clips worth training on. [yellow]Not built yet.[/yellow]

        Example: emosh curate clips/ -o curated.json
        """
        raise InputError(
            "curate is not built yet: it comes with training; emosh track says today how well a clip can be tracked"
        )
