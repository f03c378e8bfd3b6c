"""One file per command: options in, one call, what to say. No command knows another; stages are imported as it runs."""

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
        animate, generate, track, retarget, render_cond, encode, evaluate, evaluate_ablate, evaluate_study, curate,
        train, inspect, sign, export, view, gallery, models, doctor, config,
    ):  # fmt: skip
        module.register(app)
