"""`emosh render-cond`: draws a motion as the condition map that the diffusion model reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from emosh_cli import options, pipes
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import CONDITION, output_path, require_file
from emosh_cli.run import Run
from stages.counted import counted
from stages.drawing.names import MESH, REF
from stages.errors import InputError

Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH|N", help="Picture size in pixels.", show_default="512x512"),
]
Zoom = Annotated[
    str | None,
    typer.Option(
        "--zoom",
        metavar="FACTOR|A:B:C",
        help="Move the camera nearer. 2 halves its distance; 1:2 does so over the clip, 1:2:1 and back.",
    ),
]
Drawing = Annotated[
    str | None,
    typer.Option(
        "--drawing", metavar="NAME", help="mesh, skeleton, openpose, depth, normal or shaded.", show_default="mesh"
    ),
]
Framing = Annotated[
    str | None,
    typer.Option(
        "--framing", metavar="ref|drive", help="ref: the person's place in the photo. drive: the driver's camera.",
        show_default="drive",
    ),
]  # fmt: skip
Camera = Annotated[
    str | None,
    typer.Option(
        "--camera", metavar="driver|still", help="still: as if the driver's camera had not moved.",
        show_default="driver",
    ),
]  # fmt: skip
PhotoMotion = Annotated[
    Path | None,
    typer.Option("--ref", metavar="PHOTO|NPZ", help="For --framing ref: the photo, or the motion tracked from it."),
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
        drawing: Drawing = None,
        framing: Framing = None,
        camera: Camera = None,
        ref: PhotoMotion = None,
        no_hybrid: options.NoHybrid = False,
        body: options.Body = "open",
    ) -> None:
        """Draw a motion as a condition map: a lossless mp4 with one frame per motion row.

        mesh is the paper's map, and skeleton what Wan-Animate reads. The others
        are for other generators: openpose (DWPose's points), depth, normal, and
        shaded (a neutral body).

        Example: emosh render-cond target.npz -o cond.mp4 --size 512x512
        """
        flags = {"hybrid": False if no_hybrid else None, "zoom": zoom, "drawing": drawing, "framing": framing,
                 "camera": camera}  # fmt: skip
        _render(run, motion, out, size, ref, flags, body)


def _render(
    run: Run, motion: Path, out: Path | None, size: str | None, ref: Path | None, flags: dict[str, Any], body: str
) -> None:
    require_file(motion, "a motion .npz")
    width, height = parsed_size(size)
    configs = run.load_configs(("render_cond", "track"), {"render_cond": {**flags, "width": width, "height": height}})
    config = configs["render_cond"]
    if config.framing == REF and ref is None:
        raise InputError("--framing ref places the person as in the photo; give the photo: --ref PHOTO or ref.npz")
    if config.framing != REF and ref is not None:
        raise InputError("--ref is for --framing ref; leave it out for the driver's camera")
    from stages.drawing.drawings import drawing

    name = drawing(config.drawn).name
    inputs = [motion] if ref is None else [motion, require_file(ref, "a photo, or its tracked motion")]
    target = output_path(
        out, CONDITION, inputs, run.force, beside=motion, ending="-cond" if name == MESH else f"-{name}"
    )
    if run.dry_run:
        run.show_plan([f"draw {motion} as {name}, {config.width}x{config.height} -> {target}"], output=str(target))
        return
    from emosh_cli.workflows.tracking import reference_motion
    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body
    from stages.render_cond.render import write_condition

    with pipes.readable(motion) as readable:
        loaded = load_motion(readable)
    opened = open_body(body, progress=run.console.progress)
    reference = None if ref is None else reference_motion(run, ref, body, configs["track"])
    write_condition(loaded, opened, config, target, run.console.progress, reference)
    pace = 1000 * run.seconds / len(loaded)
    run.done(
        target,
        f"{counted(len(loaded), 'frame')} of {name}, {config.width}x{config.height}, {pace:.0f} ms per frame in total",
    )


def parsed_size(text: str | None) -> tuple[int | None, int | None]:
    """`640x480` or `512`. Raises InputError for anything else."""
    if text is None:
        return None, None
    match = re.fullmatch(r"(\d+)(?:[xX](\d+))?", text)
    if not match or not all(16 <= int(side) <= 8192 for side in match.groups() if side):
        raise InputError(f"--size {text}: write it as WIDTHxHEIGHT or one number, each from 16 to 8192")
    width = int(match[1])
    return width, int(match[2] or width)
