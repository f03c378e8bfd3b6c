"""`emosh export`: a motion for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emosh_cli import options, pipes
from emosh_cli.command import FILES, command
from emosh_cli.outputs import AMASS, BVH, GLB, PIPE, WAN_ANIMATE, OutputKind, output_folder, output_path, require_file
from emosh_cli.run import Run
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.export.config import ExportConfig

OUTPUT_KINDS: dict[str, OutputKind] = {"amass": AMASS, "glb": GLB, "bvh": BVH, "wan-animate": WAN_ANIMATE}
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="amass, glb, bvh or wan-animate. Without it: chosen by the suffix of -o (.npz, .glb, .bvh, a folder).",
        show_default=False,
    ),
]
Fps = Annotated[
    int | None,
    typer.Option(
        "--fps",
        metavar="N",
        min=1,
        max=1000,
        help="Frame rate, a whole number. Blender's add-on needs at least 30.",
        show_default="the motion's own, rounded",
    ),
]
Photo = Annotated[
    Path | None,
    typer.Option("--ref", metavar="PHOTO", help="wan-animate: the photo to animate. It decides the size.",
                 show_default=False),
]  # fmt: skip
Video = Annotated[
    Path | None,
    typer.Option(
        "--video",
        metavar="VIDEO",
        help="wan-animate: cut the face out of this driving video. Without it: the face is drawn from the fitted body.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class ExportOptions:
    """Settings and files that a format may need besides the motion."""

    config: ExportConfig
    ref: Path | None = None
    video: Path | None = None


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "export", FILES)
    def export(
        run: Run,
        motion: options.MotionArgument,
        to: To = None,
        fps: Fps = None,
        ref: Photo = None,
        video: Video = None,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Write a motion for other programs: upright (y up), on the floor, with a flat hand as rest pose.

        .npz: AMASS, for Blender's SMPL-X add-on (choose "AMASS (Y-up)" there).

        .glb: the animated person with skin and facial actions, for any glTF viewer.

        .bvh: the skeleton alone, in centimetres.

        a folder: the input of Wan-Animate's generate.py; it needs --ref PHOTO.

        Example: emosh export drive.npz -o drive.glb
        """
        _export(run, motion, choose_format(to, out), fps, ref, video, out, body)


def choose_format(to: str | None, out: Path | None) -> str:
    """The format: `to`, or the format of the suffix of `out`, or amass. Raises InputError for an unknown format."""
    if to is not None and to not in OUTPUT_KINDS:
        raise InputError(f"export knows no format '{to}'; choose one of: {', '.join(OUTPUT_KINDS)}")
    if to is not None or out is None or out == PIPE:
        return to or "amass"
    by_suffix = {suffix: name for name, kind in OUTPUT_KINDS.items() for suffix in kind.suffixes}
    found = by_suffix.get(out.suffix.lower())
    if found is None and not out.suffix:
        found = "wan-animate"
    if found is None:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in by_suffix.items() if suffix)
        raise InputError(
            f"{out}: no format is written as {out.suffix}; end it in {known}, or name the format with --to"
        )
    return found


def _export(
    run: Run,
    motion: Path,
    to: str,
    fps: int | None,
    ref: Path | None,
    video: Path | None,
    out: Path | None,
    body: str,
) -> None:
    require_file(motion, "a motion .npz")
    given = [motion, *_check_inputs(to, ref, video)]
    if to == "wan-animate":
        target = output_folder(out, WAN_ANIMATE, given, run.force, motion, "-wan-animate", stamped_file="src_pose.mp4")
    else:
        target = output_path(
            out, OUTPUT_KINDS[to], given, run.force, beside=motion, ending="-amass" if to == "amass" else ""
        )
    choices = ExportOptions(run.load_config("export", fps=fps), ref, video)
    if run.dry_run:
        run.show_plan([f"export {motion} as {to} -> {target}"], output=str(target))
        return
    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body

    with pipes.readable(motion) as readable:
        loaded = load_motion(readable)
    summary, figures = WRITERS[to](run, loaded, open_body(body, progress=run.console.progress), target, choices)
    run.done(None if target == PIPE else target, summary, to=to, **figures)


def _check_inputs(to: str, ref: Path | None, video: Path | None) -> list[Path]:
    """The input files besides the motion. Raises InputError for a file that the format does not use, or lacks."""
    if to != "wan-animate" and (ref is not None or video is not None):
        flag = "--ref" if ref is not None else "--video"
        raise InputError(f"{flag} is only for --to wan-animate; {to} is made from the motion alone")
    if to == "wan-animate" and ref is None:
        raise InputError("wan-animate needs the photo to animate: --ref PHOTO")
    given = []
    if ref is not None:
        from stages.video.photo import photo_size

        if photo_size(require_file(ref, "a photo of a person")) is None:
            raise InputError(f"{ref} is not a photo; --ref takes a photo of the person to animate")
        given.append(ref)
    if video is not None:
        given.append(require_file(video, "the driving video"))
    return given


Summary = tuple[str, dict[str, Any]]
"""(summary as text, figures for --json)."""


def _amass(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.artifacts.npz import write_npz
    from stages.export.amass import to_amass

    arrays = to_amass(motion, body, choices.config.fps, run.console.progress)
    pipes.write(target, lambda path: write_npz(path, arrays))
    frames, rate = len(arrays["trans"]), int(arrays["mocap_frame_rate"])
    if rate < 30:
        run.console.note(
            f"at {rate} frames per second Blender's SMPL-X add-on refuses the file by default; use --fps 30"
        )
    return f"{frames} frames at {rate} frames/s, y up", {"frames": frames, "fps": rate}


def _glb(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.glb import export_glb

    if body.posedirs is not None:
        run.console.note(f"glTF cannot store pose correctives: body '{body.name}' is written without them")
    frames, seconds = export_glb(target, motion, body, choices.config.fps, run.console.progress)
    size = target.stat().st_size / 2**20
    return f"{frames} key frames, {seconds:.2f} s, {size:.1f} MiB, y up", {"frames": frames, "length_seconds": seconds}


def _bvh(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.bvh import write_bvh

    units = choices.config.bvh_units_per_metre
    frames, rate = write_bvh(target, motion, body, choices.config.fps, units, run.console.progress)
    return f"{frames} frames at {rate} frames/s, y up, {units:g} units per metre", {"frames": frames, "fps": rate}


def _wan_animate(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.wan_animate import FPS, write_wan_animate

    assert choices.ref is not None
    config = choices.config
    area = config.area_width * config.area_height
    made = write_wan_animate(
        target, motion, body, choices.ref, choices.video, config.fps or FPS, area, run.console.progress
    )
    if made.faces_outside:
        run.console.note(
            f"the face is outside the picture in {made.faces_outside} frames; src_face.mp4 is black in them"
        )
    summary = f"{made.frames} frames at {made.fps} frames/s, {made.width}x{made.height}, faces 512x512"
    return summary, {"frames": made.frames, "fps": made.fps, "width": made.width, "height": made.height}


WRITERS: dict[str, Callable[[Run, Motion, Body, Path, ExportOptions], Summary]] = {
    "amass": _amass,
    "glb": _glb,
    "bvh": _bvh,
    "wan-animate": _wan_animate,
}
