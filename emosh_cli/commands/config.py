"""`emosh config`: settings, their defaults and meanings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import settings
from emosh_cli.command import MACHINE, command
from emosh_cli.run import Run
from emosh_cli.subcommands import Group
from emosh_cli.terminal import cell, one_line
from stages.errors import InputError

Section = Annotated[
    str | None,
    typer.Argument(
        metavar="SECTION", help=f"One of {', '.join(settings.SECTIONS)}. Without it: all.", show_default=False
    ),
]
SettingsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Where to write.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="config",
        cls=Group,
        help="Show settings and presets, and write a settings file to start from.\n\nExample: emosh config show track",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    app.add_typer(group, rich_help_panel=MACHINE)

    @command(group, "show", "Commands")
    def show(run: Run, section: Section = None) -> None:
        """Show settings with type, value and meaning. --config and --set show what they would change.

        Example: emosh config show track --set solver=adamw
        """
        sections = _sections(section)
        values = run.load_configs(sections)
        if run.console.as_json:
            from stages.artifacts.provenance import config_dict

            run.console.data({name: config_dict(value) for name, value in values.items()})
        else:
            _print(sections, values)

    @command(group, "list", "Commands", run_options=False)
    def list_(run: Run) -> None:
        """List the presets that --config takes by name.

        Example: emosh config list
        """
        presets = settings.presets()
        if run.console.as_json:
            run.console.data({"presets": {name: _headline(path) for name, path in presets.items()}})
        for name, path in {} if run.console.as_json else presets.items():
            typer.echo(one_line(f"{name}  {_headline(path)}"))
        if not presets:
            run.console.note("no presets are installed; --config takes a TOML file: emosh config init")

    @command(group, "init", "Commands")
    def init(run: Run, path: SettingsFile = Path("emosh.toml")) -> None:
        """Write a TOML file with every setting at its default, commented out, to edit and pass with --config.

        Example: emosh config init emosh.toml
        """
        if path.exists() and not run.force:
            raise InputError(f"{path} exists; overwrite it with --force, or name another file")
        if run.dry_run:
            run.show_plan([f"write every setting -> {path}"], output=str(path))
            return
        from stages.artifacts.atomic import atomic_path

        with atomic_path(path) as part:
            part.write_text(_template(), encoding="utf-8")
        run.done(path, f"pass it with: --config {path}")


def _sections(section: str | None) -> tuple[str, ...]:
    built = tuple(name for name in settings.SECTIONS if settings.is_available(name))
    if section is None:
        return built
    name = section.replace("-", "_")
    if name not in settings.SECTIONS:
        raise InputError(f"no section is called '{section}'; the sections are: {', '.join(settings.SECTIONS)}")
    if name not in built:
        raise InputError(f"the stage behind [{name}] is not in this build")
    return (name,)


def _print(sections: tuple[str, ...], values: dict) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if os.isatty(1) else 160, highlight=False)
    for section in sections:
        heads, title = ("setting", "type", "value", "meaning"), cell(f"[{section}]")
        table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
        for key, kind, default, meaning in settings.describe_settings(section):
            value = getattr(values[section], key)
            shown = settings.toml_value(value) + (
                "" if value == default else f" (default {settings.toml_value(default)})"
            )
            table.add_row(*map(cell, (key, kind, shown, meaning)))
        console.print(table)


def _template() -> str:
    lines = ["# emosh settings. Take the # off a line to change it; pass this file with --config.", ""]
    for section in _sections(None):
        lines.append(f"[{section}]")
        for key, kind, default, meaning in settings.describe_settings(section):
            lines += [
                f"# {meaning} ({kind})" if meaning else f"# ({kind})",
                f"# {key} = {settings.toml_value(default)}",
            ]
        lines.append("")
    return "\n".join(lines)


def _headline(path: Path) -> str:
    """A preset's first comment line."""
    first = path.read_text(encoding="utf-8").splitlines()[:1]
    return first[0].lstrip("# ") if first and first[0].startswith("#") else ""
