"""One file per command: it reads options, calls a workflow or a stage, and prints what was made. No command imports
another. Stages are imported when a command runs."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add every command to the application, in the order of its help."""
    from emosh_cli.commands import (
        animate,
        config,
        curate,
        doctor,
        encode,
        evaluate,
        evaluate_ablate,
        evaluate_driven,
        evaluate_study,
        export,
        gallery,
        generate,
        inspect,
        models,
        render_cond,
        retarget,
        sign,
        track,
        train,
        view,
    )

    for module in (
        animate, generate, track, retarget, render_cond, encode, evaluate, evaluate_driven, evaluate_ablate,
        evaluate_study, curate, train, inspect, sign, export, view, gallery, models, doctor, config,
    ):  # fmt: skip
        module.register(app)
