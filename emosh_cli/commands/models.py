"""`emosh models`: lists, installs, downloads and converts model files."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli.command import MACHINE, command
from emosh_cli.run import Run
from emosh_cli.subcommands import Group
from emosh_cli.terminal import cell, one_line
from emosh_cli.workflows.model_files import METRIC_NETWORKS, MODEL_FILES, installed_path, is_installed
from stages.errors import InputError

Baked = Annotated[str, typer.Argument(metavar="open|ehm", help="Which body.", show_default=False)]
Fetched = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A name from: emosh models list. wan: all parts that --backend wan needs.",
        show_default=False,
    ),
]  # fmt: skip
Source = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER|FILE", help="A diffusers folder, one of its parts, or a weights file.", show_default=False
    ),
]
LicensedFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="The file, if the first word is a name: smplx, flame, dwpose, lpips.",
        show_default=False,
    ),
]
As = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of the model. Without it: recognised by its config and headers."),
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy the files. Without it: emosh links to them.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Accept a network file (lpips, inception, i3d, arcface) of unknown sha256. Such a file can run code.",
    ),
]
Transformer = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="A transformer folder. Without it: the installed one.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="models",
        cls=Group,
        help="Install model files, and list them with licence and source.\n\nExample: emosh models list",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    app.add_typer(group, rich_help_panel=MACHINE)

    @command(group, "list", "Commands", run_options=False)
    def list_(run: Run) -> None:
        """List every model file with licence, source, size and sha256, and whether it is installed.

        Example: emosh models list
        """
        rows = [
            {**asdict(entry), "place": str(installed_path(entry)), "installed": is_installed(entry)}
            for entry in MODEL_FILES
        ]
        if run.console.as_json:
            run.console.data({"models": rows})
        else:
            _print(rows)

    @command(group, "bake", "Commands", run_options=False)
    def bake(run: Run, name: Baked) -> None:
        """Make a body file. open needs only the installed packages. ehm needs your own SMPL-X and FLAME files.

        Example: emosh models bake open
        """
        from emosh_cli.workflows import install_models

        if name == "ehm":
            install_models.bake_ehm(run)
            return
        if name != "open":
            raise InputError(f"no body is called '{name}'; choose open or ehm")
        from stages.body.store import open_body

        body = open_body(name, progress=run.console.progress)
        run.done(body.path, f"{len(body.v_template)} vertices, {len(body.expression_names)} facial actions")

    @command(group, "add", "Commands", run_options=False)
    def add(
        run: Run, source: Source, file: LicensedFile = None, name: As = None, copy: Copy = False, trust: Trust = False
    ) -> None:
        """Install model files that you have, after checking that they are complete and the right ones.

        A diffusers pipeline folder is installed part by part. Only configs and
        headers are read. For other files, name the model first:
        emosh models add smplx SMPLX_NEUTRAL_2020.npz

        Example: emosh models add Wan2.2-Animate-14B-Diffusers
        """
        from emosh_cli.workflows import install_models

        if file is not None:
            source, name = file, str(source)
        if name in METRIC_NETWORKS:
            install_models.add_network(run, name, source, trust)
            return
        if trust:
            raise InputError("--trust is for network files: emosh models add lpips|inception|i3d|arcface FILE --trust")
        install_models.add(run, source, name, copy)

    @command(group, "fetch", "Commands", run_options=False)
    def fetch(run: Run, name: Fetched) -> None:
        """Download a model whose licence allows it. Size and licence are printed first.

        Example: emosh models fetch wan
        """
        from emosh_cli.workflows import install_models

        install_models.fetch_model(run, name)

    @command(group, "prepare", "Commands", run_options=False)
    def prepare(run: Run, folder: Transformer = None) -> None:
        """Convert the fp32 shards of a transformer to bf16, once. It halves their size and the memory to load them.

        Example: emosh models prepare
        """
        from emosh_cli.workflows import install_models

        install_models.prepare_base(run, folder)


def _print(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if os.isatty(1) else 200, highlight=False)
    for row in rows:
        state = Text("installed", "green") if row["installed"] else Text("not installed", "yellow")
        console.print(Text.assemble((row["name"], "bold"), f": {one_line(row['purpose'])}, ", state))
        for label in ("licence", "source", "size", "sha256", "place", "how"):
            console.print(cell(f"  {label}: {row[label]}"), soft_wrap=True)
