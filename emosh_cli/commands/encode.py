"""`emosh encode`: present in the command line, completed with the diffusion backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

Cond = Annotated[Path, typer.Option("--cond", metavar="MP4", help="The condition map, from emosh render-cond.")]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "encode", STAGES)
    def encode(run: Run, ref: options.Ref, cond: Cond, out: options.Out = None) -> None:
        """Turn photo and condition map into latents for the diffusion model. [yellow]Not built yet.[/yellow]

        Example: emosh encode --ref photo.png --cond cond.mp4 -o clip.safetensors
        """
        raise InputError(
            "encode is not built yet: it comes with the wan backend; "
            "the puppet needs no latents: emosh generate --ref PHOTO --motion NPZ --backend puppet"
        )
