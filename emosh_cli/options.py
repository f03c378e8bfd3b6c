"""Options and arguments that several commands share. They mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SETTINGS, OUTPUT, DIFFUSION = "Settings", "Output", "Diffusion model"
"""Panels of a command's help page."""

Ref = Annotated[
    Path,
    typer.Option("--ref", metavar="PHOTO", help="The reference: a photo of the person to animate."),
]
RefMotion = Annotated[
    Path,
    typer.Option(
        "--ref", metavar="PHOTO|NPZ", help="The reference: a photo of the person, or the motion tracked from it."
    ),
]
MotionArgument = Annotated[
    Path, typer.Argument(metavar="MOTION", help="A motion .npz. - reads standard input.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="PATH",
        help="Where to write the result. Without it: beside the input, with a name like the input's.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Body = Annotated[
    str,
    typer.Option("--body", metavar="NAME|NPZ", help="The body model: open, ehm, or a body file (.npz)."),
]

# ---- options of several stages
Person = Annotated[
    int | None,
    typer.Option(
        "--person",
        metavar="N",
        min=0,
        help="Which person to track: 0 is the largest in the picture, 1 the next.",
        show_default="0",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 2 where the photo does not show what has to be drawn, before anything is "
                 "drawn."),
]  # fmt: skip
NoDisentangle = Annotated[
    bool,
    typer.Option("--no-disentangle", help="Keep the body shape of the driver (the paper's ablation)."),
]
NoContacts = Annotated[
    bool,
    typer.Option("--no-contacts", help="Keep the driver's joint angles where hands touch the body (the paper's)."),
]
NoHybrid = Annotated[
    bool, typer.Option("--no-hybrid", help="Draw only the coloured mesh, without key lines (the paper's ablation).")
]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="auto|wan|puppet",
        help="What draws the video. wan: the diffusion model. puppet: a fast preview from the photo. "
        "auto: wan if its weights and a GPU are there, else puppet.",
    ),
]
Framing = Annotated[
    str | None,
    typer.Option(
        "--framing",
        metavar="ref|drive",
        help="ref: keep the framing of the photo. drive: follow the driver's camera.",
        show_default="ref for puppet, drive for wan",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size", metavar="PX", help="With the puppet: longer side of the video, at most the photo's.",
        show_default="the photo's, up to 1920",
    ),
]  # fmt: skip
Workers = Annotated[
    int,
    typer.Option("--workers", "--jobs", metavar="N", min=0, help="Number of processes. Each uses one core.",
                 show_default="as many as cores and memory allow"),
]  # fmt: skip
EngineName = Annotated[
    str,
    typer.Option("--engine", metavar="local|ray", help="local: processes on this machine. ray: Ray Data, on the "
                 "cluster of RAY_ADDRESS or a new local one (pip install 'emosh\\[ray]')."),
]  # fmt: skip
TableJobs = Annotated[
    int,
    typer.Option(
        "--jobs", metavar="N", min=0, help="Number of processes that measure clips.", show_default="one per core"
    ),
]
Cores = Annotated[
    int,
    typer.Option("--jobs", metavar="N", min=0, help="Number of cores to work on.", show_default="all"),
]
DrawingCores = Annotated[
    int,
    typer.Option("--jobs", metavar="N", min=0, help="Number of cores for tracking, contacts and the puppet.",
                 show_default="all"),
]  # fmt: skip

# ---- the diffusion model
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="PATH|NAME", help="A diffusers folder, a .gguf or fp8_scaled file, or a name in models/.",
        show_default="the installed model", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Adapter = Annotated[
    str | None,
    typer.Option(
        "--adapter", metavar="FILE|none", help="The adapter from EMOSH's training. none: no adapter.",
        show_default="the installed one", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|cuda[:N]", help="Device that the model runs on.", rich_help_panel=DIFFUSION
    ),
]
Drawing = Annotated[
    str | None,
    typer.Option(
        "--drawing", metavar="mesh|skeleton", help="What the model reads. mesh: the paper's map, for a trained "
        "adapter. skeleton: Wan-Animate's own, with the face beside it.", show_default="what the model was trained on",
        rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Face = Annotated[
    str | None,
    typer.Option(
        "--face", metavar="driver|body", help="With the skeleton. driver: cut the face out of the driving video. "
        "body: draw it from the fitted body, so that nothing of the driver's looks is used.",
        show_default="driver where the video is at hand", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Replace = Annotated[
    bool,
    typer.Option(
        "--replace", help="With the skeleton: put the photo's person into the driving video, and keep its background.",
        rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="Seed of the noise. The same seed gives the same video.", show_default="0",
                 rich_help_panel=DIFFUSION),
]  # fmt: skip
NoSac = Annotated[
    bool,
    typer.Option(
        "--no-sac", help="Do not anchor later chunks to the first (the paper's ablation).", rich_help_panel=DIFFUSION
    ),
]
ColorAnchor = Annotated[
    bool,
    typer.Option(
        "--color-anchor", help="Match the colours of each chunk to the chunk before it.", rich_help_panel=DIFFUSION
    ),
]
Vram = Annotated[
    float | None,
    typer.Option(
        "--vram", metavar="GB", help="Use at most this much GPU memory, by offloading, 8-bit storage and tiles.",
        show_default="all that is free", rich_help_panel=DIFFUSION,
    ),
]  # fmt: skip
PlanOnly = Annotated[
    bool,
    typer.Option("--plan", help="Print where each part runs, and the peak memory and time of each step. Draw nothing.",
                 rich_help_panel=DIFFUSION),
]  # fmt: skip

# ---- options of every command
_Config = Annotated[
    list[str],
    typer.Option(
        "--config",
        metavar="FILE.toml|PRESET",
        help="A TOML file or a preset (see: emosh config list). May be repeated: a later one wins.",
        rich_help_panel=SETTINGS,
        show_default=False,
    ),
]
_Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting (see: emosh config show). May be repeated.",
        rich_help_panel=SETTINGS,
        show_default=False,
    ),
]
_DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check everything and print what would be made. Make nothing.", rich_help_panel=OUTPUT
    ),
]
_Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Overwrite a file that emosh did not write. Make cached steps again.", rich_help_panel=OUTPUT
    ),
]
_Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print only the path of the result, and errors.", rich_help_panel=OUTPUT)
]
_Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print a JSON object on stdout, and progress as JSON lines on stderr.", rich_help_panel=OUTPUT
    ),
]

RUN_OPTIONS: dict[str, tuple[Any, Any]] = {
    "config": (_Config, []),
    "settings": (_Set, []),
    "dry_run": (_DryRun, False),
    "force": (_Force, False),
}
CONSOLE_OPTIONS: dict[str, tuple[Any, Any]] = {"quiet": (_Quiet, False), "as_json": (_Json, False)}
