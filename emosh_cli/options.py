"""Options and arguments that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SETTINGS, OUTPUT = "Settings", "Output"

Ref = Annotated[
    Path,
    typer.Option("--ref", metavar="PHOTO", help="The reference: a photo of the person to animate."),
]
RefMotion = Annotated[
    Path,
    typer.Option("--ref", metavar="PHOTO|NPZ", help="The reference: a photo (tracked first) or its tracked motion."),
]
MotionArgument = Annotated[
    Path, typer.Argument(metavar="MOTION", help="A motion .npz; - reads standard input.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="PATH",
        help="Where the result goes. Without it: beside the input, named after it.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Body = Annotated[
    str,
    typer.Option("--body", metavar="NAME|NPZ", help="The body model: open, ehm, or a body file."),
]

_Config = Annotated[
    list[str],
    typer.Option(
        "--config",
        metavar="FILE.toml|PRESET",
        help="A TOML file or a preset (see: emosh config list). May be repeated; the later wins.",
        rich_help_panel=SETTINGS,
        show_default=False,
    ),
]
_Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting (see: emosh config show). May be repeated.",
        rich_help_panel=SETTINGS,
        show_default=False,
    ),
]
_DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check everything, say what would be made, make nothing.", rich_help_panel=OUTPUT),
]
_Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Overwrite a file that emosh did not write; redo what is cached.", rich_help_panel=OUTPUT
    ),
]
_Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Only the result's path, and errors.", rich_help_panel=OUTPUT)
]
_Json = Annotated[
    bool,
    typer.Option("--json", help="A JSON object on stdout; progress as JSON lines on stderr.", rich_help_panel=OUTPUT),
]

WORK: dict[str, tuple[Any, Any]] = {
    "config": (_Config, []),
    "settings": (_Set, []),
    "dry_run": (_DryRun, False),
    "force": (_Force, False),
}
TALK: dict[str, tuple[Any, Any]] = {"quiet": (_Quiet, False), "as_json": (_Json, False)}
