"""Options and arguments that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SETTINGS, OUTPUT, DIFFUSION = "Settings", "Output", "Diffusion model"
"""Panels of a command's --help."""

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

# ---- what several stages take
Person = Annotated[
    int | None,
    typer.Option("--person", metavar="N", min=0, help="Whom to track: 0 the largest, 1 the next.", show_default="0"),
]
NoDisentangle = Annotated[
    bool,
    typer.Option("--no-disentangle", help="Keep the driver's body shape: the paper's ablation."),
]
NoHybrid = Annotated[
    bool, typer.Option("--no-hybrid", help="Only the coloured mesh, no drawn key lines: the paper's ablation.")
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="auto|wan|puppet",
        help="What draws the result. auto: wan where its weights, an adapter and a GPU are there, else puppet.",
    ),
]
Framing = Annotated[
    str | None,
    typer.Option("--framing", metavar="ref|drive", help="Keep the photo's framing, or the driver's camera.",
                 show_default="ref"),
]  # fmt: skip
TableJobs = Annotated[
    int,
    typer.Option("--jobs", metavar="N", min=0, help="Processes that measure many clips.", show_default="one per core"),
]

# ---- the diffusion model
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="DIR|NAME", help="A diffusers folder, or one in emosh's models/.",
        show_default="what emosh models list shows as installed", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Adapter = Annotated[
    str | None,
    typer.Option(
        "--adapter", metavar="FILE|none", help="EMOSH's training on top of the model; none: the model alone.",
        show_default="the installed one", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the model runs.", rich_help_panel=DIFFUSION),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Of the noise; the same seed, the same video.", show_default="0",
                 rich_help_panel=DIFFUSION),
]  # fmt: skip
NoSac = Annotated[
    bool,
    typer.Option("--no-sac", help="No anchor to the first chunk: the paper's ablation.", rich_help_panel=DIFFUSION),
]
ColorAnchor = Annotated[
    bool,
    typer.Option("--color-anchor", help="Hold each chunk's colours to the one before.", rich_help_panel=DIFFUSION),
]
Vram = Annotated[
    float | None,
    typer.Option(
        "--vram", metavar="GB", help="Stay within this much card memory: picks offload, 8-bit storage, tiles.",
        show_default="what is free", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
PlanOnly = Annotated[
    bool,
    typer.Option("--plan", help="Say what lives where, every step's peak memory and time, and draw nothing.",
                 rich_help_panel=DIFFUSION),
]  # fmt: skip

# ---- what every command takes
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
