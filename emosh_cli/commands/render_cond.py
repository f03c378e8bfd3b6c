"""`emosh render-cond`: draws a motion as the condition map that the diffusion model reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options, pipes
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import CONDITION, output_path, require_file
from emosh_cli.run import Run
from stages.errors import InputError

Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH|N", help="Picture size in pixels.", show_default="512x512"),
]
Zoom = Annotated[
    str | None,
    typer.Option(
        "--zoom",
        metavar="FACTOR|FROM:TO",
        help="Move the camera nearer. 2 halves its distance; 1:2 does so over the clip.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "render-cond", STAGES)
    def render_cond(
        run: Run,
        motion: options.MotionArgument,
        out: options.Out = None,
        size: Size = None,
        zoom: Zoom = None,
        no_hybrid: options.NoHybrid = False,
        body: options.Body = "open",
    ) -> None:
        """Draw a motion as a condition map: a lossless mp4 with one frame per motion row.

        Example: emosh render-cond target.npz -o cond.mp4 --size 512x512
        """
        _render(run, motion, out, size, zoom, no_hybrid, body)


def _render(
    run: Run, motion: Path, out: Path | None, size: str | None, zoom: str | None, no_hybrid: bool, body: str
) -> None:
    require_file(motion, "a motion .npz")
    target = output_path(out, CONDITION, [motion], run.force, beside=motion, ending="-cond")
    width, height = parsed_size(size)
    flags = {"width": width, "height": height, "hybrid": False if no_hybrid else None, "zoom": zoom}
    config = run.load_config("render_cond", **flags)
    if run.dry_run:
        run.show_plan([f"draw {motion} at {config.width}x{config.height} -> {target}"], output=str(target))
        return
    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body
    from stages.render_cond.render import write_condition

    with pipes.readable(motion) as readable:
        loaded = load_motion(readable)
    opened = open_body(body, progress=run.console.progress)
    write_condition(loaded, opened, config, target, run.console.progress)
    pace = 1000 * run.seconds / len(loaded)
    run.done(target, f"{len(loaded)} frames, {config.width}x{config.height}, {pace:.0f} ms per frame in total")


def parsed_size(text: str | None) -> tuple[int | None, int | None]:
    """`640x480` or `512`. Raises InputError for anything else."""
    if text is None:
        return None, None
    match = re.fullmatch(r"(\d+)(?:[xX](\d+))?", text)
    if not match or not all(16 <= int(side) <= 8192 for side in match.groups() if side):
        raise InputError(f"--size {text}: write it as WIDTHxHEIGHT or one number, each from 16 to 8192")
    width = int(match[1])
    return width, int(match[2] or width)
