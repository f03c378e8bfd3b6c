"""`emosh export`: a motion for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emosh_cli import options, pipes
from emosh_cli.command import FILES, command
from emosh_cli.outputs import (
    AMASS,
    BVH,
    GLB,
    PIPE,
    SCAIL_2,
    WAN_ANIMATE,
    OutputKind,
    output_folder,
    output_path,
    require_file,
)
from emosh_cli.run import Run
from stages.counted import counted
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.export.config import ExportConfig

OUTPUT_KINDS: dict[str, OutputKind] = {
    "amass": AMASS, "glb": GLB, "bvh": BVH, "wan-animate": WAN_ANIMATE, "scail-2": SCAIL_2,
}  # fmt: skip
FOLDERS = ("wan-animate", "scail-2")
"""Formats that are a folder, made with the photo."""
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="amass, glb, bvh, wan-animate or scail-2. Without it: chosen by the suffix of -o (.npz, .glb, .bvh; "
        "wan-animate for a folder).",
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
LockFeet = Annotated[
    bool | None,
    typer.Option(
        "--lock-feet/--no-lock-feet",
        help="amass, glb, bvh: planted feet stay at one place of the floor.",
        show_default="lock, where the motion has a floor",
    ),
]
FOR_MODELS = "For wan-animate and scail-2"
"""Panel of the help page."""
Photo = Annotated[
    Path | None,
    typer.Option("--ref", metavar="PHOTO", help="The photo to animate. It decides the size.", show_default=False,
                 rich_help_panel=FOR_MODELS),
]  # fmt: skip
RefMotion = Annotated[
    Path | None,
    typer.Option("--ref-motion", metavar="NPZ", help="The motion tracked in the photo: for --framing ref, and to find "
                 "the person for scail-2's mask.", show_default=False, rich_help_panel=FOR_MODELS),
]  # fmt: skip
Framing = Annotated[
    str | None,
    typer.Option("--framing", metavar="ref|drive", help="ref: the person moves where the photo shows them. drive: "
                 "follow the driver's camera.", show_default="drive", rich_help_panel=FOR_MODELS),
]  # fmt: skip
Video = Annotated[
    Path | None,
    typer.Option("--video", metavar="VIDEO", help="wan-animate: cut the face out of this driving video. Without it: "
                 "the face is drawn from the fitted body.", show_default=False, rich_help_panel=FOR_MODELS),
]  # fmt: skip
VideoMotion = Annotated[
    Path | None,
    typer.Option("--video-motion", metavar="NPZ", help="The motion tracked in --video, if MOTION is retargeted: it "
                 "tells where the driver's face is.", show_default=False, rich_help_panel=FOR_MODELS),
]  # fmt: skip


@dataclass(frozen=True)
class ExportOptions:
    """Settings and files that a format may need besides the motion."""

    config: ExportConfig
    ref: Path | None = None
    ref_motion: Motion | None = None
    video: Path | None = None
    video_motion: Motion | None = None


@dataclass(frozen=True)
class ModelInputs:
    """The files of wan-animate and scail-2, as they were named."""

    ref: Path | None
    ref_motion: Path | None
    video: Path | None
    video_motion: Path | None


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "export", FILES)
    def export(
        run: Run,
        motion: options.MotionArgument,
        to: To = None,
        fps: Fps = None,
        lock_feet: LockFeet = None,
        ref: Photo = None,
        ref_motion: RefMotion = None,
        framing: Framing = None,
        video: Video = None,
        video_motion: VideoMotion = None,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Write a motion for other programs: upright (y up), on the floor, with a flat hand as rest pose.

        .npz: AMASS, for Blender's SMPL-X add-on (choose "AMASS (Y-up)" there).

        .glb: the animated person with skin and facial actions, for any glTF viewer.

        .bvh: the skeleton alone, in centimetres.

        a folder: the input of Wan-Animate's generate.py, or with --to scail-2
        that of SCAIL-2; both need --ref PHOTO.

        Example: emosh export drive.npz -o drive.glb
        """
        given = ModelInputs(ref, ref_motion, video, video_motion)
        _export(
            run,
            motion,
            choose_format(to, out),
            {"fps": fps, "lock_feet": lock_feet, "framing": framing},
            given,
            out,
            body,
        )


def choose_format(to: str | None, out: Path | None) -> str:
    """The format: `to`, or the format of the suffix of `out`, or amass. Raises InputError for an unknown format."""
    if to is not None and to not in OUTPUT_KINDS:
        raise InputError(f"export knows no format '{to}'; choose one of: {', '.join(OUTPUT_KINDS)}")
    if to is not None or out is None or out == PIPE:
        return to or "amass"
    if not out.suffix:
        return "wan-animate"
    by_suffix = {kind.suffixes[0]: name for name, kind in OUTPUT_KINDS.items() if name not in FOLDERS}
    found = by_suffix.get(out.suffix.lower())
    if found is None:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in by_suffix.items())
        raise InputError(
            f"{out}: no format is written as {out.suffix}; end it in {known}, or name the format with --to"
        )
    return found


def _export(
    run: Run, motion: Path, to: str, flags: dict[str, Any], files: ModelInputs, out: Path | None, body: str
) -> None:
    require_file(motion, "a motion .npz")
    given = [motion, *_check_inputs(to, files, flags["framing"])]
    if to in FOLDERS and flags["lock_feet"] is not None:
        raise InputError(f"--lock-feet is not for {to}, whose pictures follow the video; leave it out")
    target = _target(run, motion, to, given, out)
    config = run.load_config("export", **flags)
    if to in FOLDERS:
        from stages.export.config import require_reference

        require_reference(config.framing, files.ref_motion is not None)
    if run.dry_run:
        run.show_plan([f"export {motion} as {to} -> {target}"], output=str(target))
        return
    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body

    with pipes.readable(motion) as readable:
        loaded = load_motion(readable)
    ref_motion, video_motion = (
        None if each is None else load_motion(each) for each in (files.ref_motion, files.video_motion)
    )
    choices = ExportOptions(config, files.ref, ref_motion, files.video, video_motion)
    if choices.video is not None:
        from stages.export.wan_animate import face_motion

        face_motion(loaded, video_motion)
    opened = open_body(body, progress=run.console.progress)
    feet = None
    if to not in FOLDERS and config.lock_feet:
        loaded, feet = _locked(run, loaded, opened)
    summary, figures = WRITERS[to](run, loaded, opened, target, choices)
    run.done(None if target == PIPE else target, summary, to=to, **figures, **({} if feet is None else {"feet": feet}))


def _locked(run: Run, motion: Motion, body: Body) -> tuple[Motion, dict[str, Any] | None]:
    """The motion with its feet locked to the floor, and what that changed; as it was, and None, without contacts."""
    from stages.contacts.lock import lock_feet

    locked, feet = lock_feet(motion, body, run.console.progress)
    if feet is None:
        if not motion.is_photo:
            run.console.note("feet are not locked: the motion has no floor (feet unseen, or never at rest)")
        return locked, None
    run.console.note(str(feet))
    return locked, feet.to_dict()


def _target(run: Run, motion: Path, to: str, given: list[Path], out: Path | None) -> Path:
    """The file or folder to write. Raises InputError as `output_path` and `output_folder` do."""
    kind = OUTPUT_KINDS[to]
    if to not in FOLDERS:
        return output_path(out, kind, given, run.force, beside=motion, ending="-amass" if to == "amass" else "")
    from stages.export import file_names

    stamped, *others = file_names.WAN_ANIMATE if to == "wan-animate" else file_names.SCAIL_2
    return output_folder(out, kind, given, run.force, motion, f"-{to}", stamped, others)


def _check_inputs(to: str, files: ModelInputs, framing: str | None) -> list[Path]:
    """The input files besides the motion. Raises InputError for a file that the format does not use, or lacks."""
    flags = {"--ref": files.ref, "--ref-motion": files.ref_motion, "--framing": framing, "--video": files.video,
             "--video-motion": files.video_motion}  # fmt: skip
    for flag, value in flags.items():
        used_by = FOLDERS[:1] if flag.startswith("--video") else FOLDERS
        if value is not None and to not in used_by:
            raise InputError(f"{flag} is only for --to {' and '.join(used_by)}; leave it out for {to}")
    if to not in FOLDERS:
        return []
    if files.ref is None:
        raise InputError(f"{to} needs the photo to animate: --ref PHOTO")
    if files.video_motion is not None and files.video is None:
        raise InputError("--video-motion is the motion tracked in --video VIDEO; give both")
    from stages.video.photo import photo_size

    if photo_size(require_file(files.ref, "a photo of a person")) is None:
        raise InputError(f"{files.ref} is not a photo; --ref takes a photo of the person to animate")
    described = {
        "the motion tracked in the photo": files.ref_motion, "the driving video": files.video,
        "the motion tracked in the driving video": files.video_motion,
    }  # fmt: skip
    return [files.ref, *(require_file(path, what) for what, path in described.items() if path is not None)]


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
    return f"{counted(frames, 'frame')} at {rate} frames/s, y up", {"frames": frames, "fps": rate}


def _glb(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.glb import export_glb

    if body.posedirs is not None:
        run.console.note(f"glTF cannot store pose correctives: body '{body.name}' is written without them")
    frames, seconds = export_glb(target, motion, body, choices.config.fps, run.console.progress)
    size = target.stat().st_size / 2**20
    return f"{counted(frames, 'key frame')}, {seconds:.2f} s, {size:.1f} MiB, y up", {
        "frames": frames,
        "length_seconds": seconds,
    }


def _bvh(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.bvh import write_bvh

    units = choices.config.bvh_units_per_metre
    frames, rate = write_bvh(target, motion, body, choices.config.fps, units, run.console.progress)
    return f"{counted(frames, 'frame')} at {rate} frames/s, y up, {units:g} units per metre", {
        "frames": frames,
        "fps": rate,
    }


def _wan_animate(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.wan_animate import FPS, write_wan_animate

    assert choices.ref is not None
    config = choices.config
    area = config.area_width * config.area_height
    made = write_wan_animate(
        target, motion, body, choices.ref, video=choices.video, video_motion=choices.video_motion,
        ref_motion=choices.ref_motion, framing=config.framing, fps=config.fps or FPS, area=area,
        progress=run.console.progress,
    )  # fmt: skip
    if made.faces_outside:
        run.console.note(
            f"the face is outside the picture in {counted(made.faces_outside, 'frame')}; src_face.mp4 is black in them"
        )
    summary = f"{counted(made.frames, 'frame')} at {made.fps} frames/s, {made.width}x{made.height}, faces 512x512"
    return summary, {"frames": made.frames, "fps": made.fps, "width": made.width, "height": made.height}


def _scail_2(run: Run, motion: Motion, body: Body, target: Path, choices: ExportOptions) -> Summary:
    from stages.export.scail_2 import write_scail_2

    assert choices.ref is not None
    config = choices.config
    made = write_scail_2(
        target, motion, body, choices.ref, ref_motion=choices.ref_motion, framing=config.framing, fps=config.fps,
        short_side=config.short_side, progress=run.console.progress,
    )  # fmt: skip
    summary = f"{counted(made.frames, 'frame')} at {float(made.fps):g} frames/s, {made.width}x{made.height}"
    return summary, {"frames": made.frames, "fps": float(made.fps), "width": made.width, "height": made.height}


WRITERS: dict[str, Callable[[Run, Motion, Body, Path, ExportOptions], Summary]] = {
    "amass": _amass,
    "glb": _glb,
    "bvh": _bvh,
    "wan-animate": _wan_animate,
    "scail-2": _scail_2,
}
