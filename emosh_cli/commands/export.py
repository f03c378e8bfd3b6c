"""`emosh export`: a motion for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options, pipes
from emosh_cli.outputs import AMASS, PIPE, need, settle
from emosh_cli.run import FILES, Run, command
from stages.errors import InputError

LATER = ("glb", "bvh", "wan-animate")
To = Annotated[str, typer.Option("--to", metavar="FORMAT", help="amass (glb, bvh and wan-animate are not built yet).")]
Fps = Annotated[
    int | None, typer.Option("--fps", metavar="N", min=1, max=1000, help="Whole frame rate; the motion's own, rounded."
                             " Blender's add-on wants at least 30.", show_default=False)
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "export", FILES)
    def export(
        run: Run,
        motion: options.MotionArgument,
        to: To = "amass",
        fps: Fps = None,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Write a motion for other tools: upright (y up), on the floor, flat hands, a whole frame rate.

        The AMASS file opens in Blender's SMPL-X add-on (format "AMASS (Y-up)").

        Example: emosh export drive.npz --to amass --fps 30 -o blender.npz
        """
        if to in LATER:
            raise InputError(
                f"export --to {to} is not built yet; --to amass opens in Blender, which writes glb and bvh"
            )
        if to != "amass":
            raise InputError(f"export knows no format '{to}'; use --to amass")
        _export(run, motion, fps, out, body)


def _export(run: Run, motion: Path, fps: int | None, out: Path | None, body: str) -> None:
    need(motion, "a motion .npz")
    target = settle(out, AMASS, [motion], run.force, beside=motion, ending="-amass")
    if run.dry_run:
        run.planned([f"export {motion} -> {target}"], output=str(target))
        return
    from stages.artifacts.motion import load_motion
    from stages.artifacts.npz import write_npz
    from stages.body.amass import to_amass
    from stages.body.store import open_body

    with pipes.readable(motion) as readable:
        loaded = load_motion(readable)
    arrays = to_amass(loaded, open_body(body, progress=run.console.progress), fps, run.console.progress)
    pipes.write(target, lambda path: write_npz(path, arrays))
    frames, rate = len(arrays["trans"]), int(arrays["mocap_frame_rate"])
    if rate < 30:
        run.console.note(f"at {rate} frames a second Blender's SMPL-X add-on refuses the file by default; use --fps 30")
    run.done(None if target == PIPE else target, f"{frames} frames at {rate} frames/s, y up", frames=frames, fps=rate)
