"""`emosh animate`: the whole pipeline, from a photo and a video to the animated video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import PIPELINE, command
from emosh_cli.outputs import VIDEO, output_path, require_file
from emosh_cli.run import Run
from stages.cores import use_cores
from stages.errors import InputError

Drive = Annotated[Path, typer.Option("--drive", metavar="VIDEO", help="The driving video. Its motion is used.")]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "animate", PIPELINE)
    def animate(
        run: Run,
        ref: options.Ref,
        drive: Drive,
        out: options.Out = None,
        backend: options.Backend = "auto",
        framing: options.Framing = None,
        drawing: options.Drawing = None,
        face: options.Face = None,
        replace: options.Replace = False,
        person: options.Person = None,
        strict: options.Strict = False,
        size: options.Size = None,
        no_disentangle: options.NoDisentangle = False,
        no_contacts: options.NoContacts = False,
        model: options.Model = None,
        adapter: options.Adapter = None,
        device: options.Device = "auto",
        seed: options.Seed = None,
        vram: options.Vram = None,
        plan: options.PlanOnly = False,
        body: options.Body = "open",
        jobs: options.DrawingCores = 0,
    ) -> None:
        """Animate the person in a photo with the motion of a video: all stages in one command.

        It tracks photo and video, retargets the motion, draws the condition map
        and generates the result. Every intermediate file is kept in OUT.emosh/
        beside the result, and a rerun makes only what changed.

        Example: emosh animate --ref photo.png --drive video.mp4 -o out.mp4
        """
        from emosh_cli.workflows import animation

        use_cores(jobs)
        require_file(ref, "a photo of a person")
        require_file(drive, "a driving video")
        target = output_path(out, VIDEO, [ref, drive], run.force, beside=drive, ending=f"-{ref.stem}")
        animation.check_photo(ref)
        frames = _frame_count(drive)
        flags = {
            "track": {"person": person},
            "retarget": {
                "disentangle": False if no_disentangle else None,
                "contacts": False if no_contacts else None,
            },
            "render_cond": {"drawing": drawing},
            "puppet": {"size": size},
            "encode": {"face": face, "replace": replace or None},
            "wan": {"seed": seed},
            "wan_run": {"vram_gb": vram},
        }
        choice = animation.ModelChoice(model, adapter, device)
        request = animation.Request(ref, target, backend, body, flags, choice, framing, strict)
        pipeline = animation.open_pipeline(run, request, plan_only=plan)
        if plan:
            run.show_plan(pipeline.plan_lines(frames))
        else:
            animation.report_result(run, pipeline, animation.animate(pipeline, drive))


def _frame_count(drive: Path) -> int:
    """Frames of the driving video. Raises InputError for a photo, or a video that cannot be read."""
    from stages.video.source import probe

    clip = probe(drive)
    if clip.is_photo:
        raise InputError(f"{drive} is a photo; --drive takes a video of the motion, --ref the photo")
    return clip.frame_count or round(clip.duration_seconds * clip.fps)
