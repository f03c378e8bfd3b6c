"""`emosh track`: tracks a person in a video or a photo, and writes the motion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import (
    MOTION,
    OVERLAY,
    OVERLAY_OF_PHOTO,
    PEOPLE,
    PIPE,
    output_folder,
    output_path,
    require_file,
)
from emosh_cli.run import Run
from stages.cores import use_cores
from stages.errors import InputError

Source = Annotated[Path, typer.Argument(metavar="VIDEO|PHOTO", help="What to track.", show_default=False)]
Overlay = Annotated[
    Path | None,
    typer.Option("--overlay", metavar="MP4|PNG", help="Also write the source with the fitted body drawn over it."),
]
PriorFiles = Annotated[
    list[Path],
    typer.Option("--prior", metavar="FILE", help="Start from another tracker's result on this clip: GVHMR .pt, HaMeR, "
                 "TEASER, SMPLer-X folder, EHM-Tracker, AMASS, motion .npz. May be repeated.", show_default=False),
]  # fmt: skip
Keypoints = Annotated[
    Path | None,
    typer.Option("--keypoints", metavar="FILE", help="Use 2-D points of DWPose or OpenPose from a file: npz, JSON, or "
                 "OpenPose's folder.", show_default=False),
]  # fmt: skip

EVERYONE = "all"
Person = Annotated[
    str | None,
    typer.Option("--person", metavar="N|all", help="Which person to track: 0 is the largest, 1 the next. all: "
                 "everyone, a file each in the folder OUT.", show_default="0"),
]  # fmt: skip
Solver = Annotated[
    str | None,
    typer.Option(
        "--solver", metavar="gn|adamw|none", help="gn: Gauss-Newton, fast. adamw: the paper's recipe. none: the "
        "detector's estimates without a fit.", show_default="gn"
    ),
]  # fmt: skip
Fov = Annotated[
    float | None,
    typer.Option("--fov", metavar="DEGREES", help="The camera's horizontal field of view.",
                 show_default="from the file, else estimated"),
]  # fmt: skip
FocalPx = Annotated[
    float | None,
    typer.Option("--focal-px", metavar="PX", help="The camera's focal length in pixels, instead of --fov.",
                 show_default=False),
]  # fmt: skip
HeightCm = Annotated[
    float | None,
    typer.Option("--height-cm", metavar="CM", help="How tall the person is.", show_default="estimated"),
]  # fmt: skip
Detector = Annotated[
    str | None,
    typer.Option("--detector", metavar="mediapipe|dwpose", help="What finds the 2-D points. dwpose runs your own ONNX "
                 "files (emosh models add dwpose FILE).", show_default="mediapipe"),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "track", STAGES)
    def track(
        run: Run,
        source: Source,
        out: options.Out = None,
        overlay: Overlay = None,
        person: Person = None,
        fov: Fov = None,
        focal_px: FocalPx = None,
        height_cm: HeightCm = None,
        solver: Solver = None,
        body: options.Body = "open",
        prior: PriorFiles = [],  # noqa: B006  typer makes the list anew for every call
        keypoints: Keypoints = None,
        detector: Detector = None,
        strict: options.Strict = False,
        jobs: options.Cores = 0,
    ) -> None:
        """Track one person: body, hands, face and camera, one row per frame.

        The result is a .npz with the keys of AMASS. Frames without the person are
        marked invalid and stay in the file. --person all writes a file per person
        into a folder.

        Example: emosh track drive.mp4 -o drive.npz --overlay overlay.mp4
        """
        use_cores(jobs)
        if fov is not None and focal_px is not None:
            raise InputError("--fov and --focal-px say the same; give one of them")
        others = {"priors": prior, "keypoints": keypoints}
        flags = {"solver": solver, "detector": detector, "fov_degrees": fov}
        flags["focal_px"] = 0.0 if fov is not None else focal_px
        if person == EVERYONE:
            one = {"--overlay": overlay, "--prior": prior, "--keypoints": keypoints, "--height-cm": height_cm}
            one["--strict"] = strict
            _refuse_for_everyone(one)
            _track_everyone(run, source, out, flags, body)
        else:
            flags |= {"person": _number(person), "height_cm": height_cm}
            _track(run, source, out, overlay, flags, body, {**others, "strict": strict})


def _number(person: str | None) -> int | None:
    """The number given with --person. Anything else is a usage error."""
    if person is None:
        return None
    if not person.isdecimal():
        raise typer.BadParameter(f"'{person}' is no number from 0 on and not {EVERYONE}", param_hint="--person")
    return int(person)


def _refuse_for_everyone(flags: dict[str, object]) -> None:
    """Raises InputError for an option that is of one person."""
    for name, value in flags.items():
        if value:
            raise InputError(f"{name} is for one person; leave it out with --person {EVERYONE}, or choose one person")


def _track_everyone(run: Run, source: Path, out: Path | None, flags: dict, body: str) -> None:
    from emosh_cli.workflows.tracking import PERSON_FILE, track_people
    from stages.video.source import probe

    if source == PIPE:
        raise InputError("a video cannot be read from a pipe; name a file")
    require_file(source, "a video or a photo")
    folder = output_folder(out, PEOPLE, [source], run.force, source, "-people", PERSON_FILE.format(0))
    config, described = run.load_config("track", **flags), probe(source)
    if run.dry_run:
        plan = f"track everyone in {source} ({described.width}x{described.height}) -> {folder}"
        run.show_plan([plan], output=str(folder))
        return
    made = track_people(run, source, body, config, folder)
    people = "1 person" if len(made) == 1 else f"{len(made)} people"
    run.done(folder, f"{people}; {run.seconds:.1f} s", people=[str(path) for path, _ in made])


def _track(
    run: Run, source: Path, out: Path | None, overlay: Path | None, flags: dict, body: str, others: dict
) -> None:
    if source == PIPE:
        raise InputError("a video cannot be read from a pipe; name a file")
    require_file(source, "a video or a photo")
    target = output_path(out, MOTION, [source], run.force, beside=source)
    config = run.load_config("track", **flags)
    from stages.video.source import probe

    described = probe(source)
    if others["strict"] and not described.is_photo:
        raise InputError(f"--strict looks at a photo, and {source} is a video; leave it out")
    if overlay is not None:
        output_path(overlay, OVERLAY_OF_PHOTO if described.is_photo else OVERLAY, [source, target], run.force)
    if run.dry_run:
        frames = "a photo" if described.is_photo else f"about {described.frame_count} frames"
        run.show_plan(
            [f"track {source} ({frames}, {described.width}x{described.height}) -> {target}"], output=str(target)
        )
        return
    from emosh_cli import pipes
    from emosh_cli.workflows.tracking import summary_of, track_source
    from stages.artifacts.motion import save_motion

    motion = track_source(run, source, body, config, **others)
    if overlay is not None:
        from stages.body.store import open_body
        from stages.track.overlay import write_overlay

        write_overlay(source, motion, open_body(body), overlay, run.console.progress)
    try:
        pipes.write(target, lambda path: save_motion(path, motion))
    except BaseException:
        if overlay is not None:
            overlay.unlink(missing_ok=True)
        raise
    summary, figures = summary_of(motion, run.seconds)
    run.done(None if target == PIPE else target, summary, summary_figures=figures, overlay=overlay)
