"""`emosh models`: the model files that could be installed, and the one that emosh makes itself."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli.catalogue import CATALOGUE, installed, named, place
from emosh_cli.run import MACHINE, Run, command
from stages.errors import InputError

Name = Annotated[str, typer.Argument(metavar="NAME", help="One of the names in: emosh models list", show_default=False)]
Source = Annotated[Path, typer.Argument(metavar="FILE", help="The file you have.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="models",
        help="Model files: licence, source, where each goes.\n\nExample: emosh models list",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    app.add_typer(group, rich_help_panel=MACHINE)

    @command(group, "list", "Commands", works=False)
    def list_(run: Run) -> None:
        """List every model file with its licence, and whether it is installed.

        Example: emosh models list
        """
        rows = [{**asdict(entry), "place": str(place(entry)), "installed": installed(entry)} for entry in CATALOGUE]
        if run.console.as_json:
            run.console.data({"models": rows})
        else:
            _print(rows)

    @command(group, "bake", "Commands", works=False)
    def bake(run: Run, name: Name) -> None:
        """Make a body file. `open` needs nothing but the installed packages.

        Example: emosh models bake open
        """
        if name == "ehm":
            raise InputError("baking ehm from your SMPL-X and FLAME files is not built yet; --body open needs neither")
        if name != "open":
            raise InputError(f"there is no body called '{name}' to bake; choose open")
        from stages.body.store import body_path, open_body

        body = open_body(name, progress=run.console.progress)
        run.done(body_path(name), f"{len(body.v_template)} vertices, {len(body.expression_names)} facial actions")

    @command(group, "add", "Commands", works=False)
    def add(run: Run, name: Name, source: Source) -> None:
        """Put a model file that you have into its place. [yellow]Not built yet.[/yellow]

        Example: emosh models add smplx SMPLX_NEUTRAL_2020.npz
        """
        raise InputError(f"models add is not built yet{_where(name)}")

    @command(group, "fetch", "Commands", works=False)
    def fetch(run: Run, name: Name) -> None:
        """Download a model file whose licence allows it. [yellow]Not built yet.[/yellow]

        Example: emosh models fetch wan
        """
        raise InputError(f"models fetch is not built yet{_where(name)}")


def _where(name: str) -> str:
    entry = named(name)
    if entry is None:
        return f", and no model is called '{name}'; see: emosh models list"
    return f"; {name} comes from {entry.source} and goes to {place(entry)}"


def _print(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if os.isatty(1) else 200, highlight=False)
    for row in rows:
        state = Text("installed", "green") if row["installed"] else Text("not installed", "yellow")
        console.print(Text.assemble((row["name"], "bold"), f": {row['purpose']}, ", state))
        for label in ("licence", "source", "place", "how"):
            console.print(Text(f"  {label}: {row[label]}"), soft_wrap=True)
