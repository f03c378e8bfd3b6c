"""`emosh train`: trains an adapter for the diffusion model on an encoded training set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.run import Run
from stages.errors import InputError

Caches = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CACHE...",
        help="A training cache, from emosh encode --manifest. Several are mixed with the shares of --set train.shares.",
        show_default=False,
    ),
]
Validation = Annotated[
    Path | None,
    typer.Option(
        "--validation",
        metavar="DIR",
        help="A folder with NAME.safetensors from emosh encode and the real video NAME.mp4 beside it.",
    ),
]
PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Print memory per GPU, seconds per step and hours of the run. Train nothing.")
]
Hardware = Annotated[
    str | None,
    typer.Option("--hardware", metavar="NxCARD", help="Plan for other GPUs than those here, for example 8xH100."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "train", STAGES)
    def train(
        run: Run,
        caches: Caches = None,
        out: options.Out = None,
        validation: Validation = None,
        plan: PlanOnly = False,
        hardware: Hardware = None,
        model: options.Model = None,
        device: options.Device = "auto",
    ) -> None:
        """Train an adapter for the diffusion model on an encoded training set, on one GPU or many.

        On many GPUs: accelerate launch -m emosh_cli train cache/ -o run/ --config emosh_14b

        Several caches: emosh train web/ talks/ faces/ -o run/ --set 'train.shares=[37.8, 60.6, 1.6]'

        Example: emosh train cache/ -o run/ --config emosh_14b
        """
        from emosh_cli.workflows import training

        if plan:
            training.plan(run, caches or [], hardware, model)
        elif not caches:
            raise InputError("name the training cache; make one with: emosh encode --manifest manifest.jsonl -o cache/")
        else:
            training.train(run, caches, out, validation, model, device)
