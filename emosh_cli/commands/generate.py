"""`emosh generate`: draws a photo and a motion as a video, and makes the missing steps in between."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from emosh_cli import options, pipes
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import VIDEO, output_path, require_file
from emosh_cli.run import Run
from stages.cores import use_cores
from stages.errors import InputError

Ref = Annotated[
    Path | None, typer.Option("--ref", metavar="PHOTO", help="The reference: a photo of the person to animate.")
]
MotionFile = Annotated[
    Path | None,
    typer.Option(
        "--motion",
        metavar="NPZ",
        help="A motion .npz. It is retargeted first if it is not yet. - reads standard input.",
    ),
]
Latents = Annotated[
    Path | None,
    typer.Option("--latents", metavar="SAFETENSORS", help="Latents from emosh encode, for the wan backend."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "generate", STAGES)
    def generate(
        run: Run,
        ref: Ref = None,
        motion: MotionFile = None,
        latents: Latents = None,
        out: options.Out = None,
        backend: options.Backend = "auto",
        framing: options.Framing = None,
        size: options.Size = None,
        drawing: options.Drawing = None,
        face: options.Face = None,
        replace: options.Replace = False,
        no_sac: options.NoSac = False,
        no_hybrid: options.NoHybrid = False,
        no_disentangle: options.NoDisentangle = False,
        no_contacts: options.NoContacts = False,
        color_anchor: options.ColorAnchor = False,
        model: options.Model = None,
        adapter: options.Adapter = None,
        device: options.Device = "auto",
        seed: options.Seed = None,
        vram: options.Vram = None,
        plan: options.PlanOnly = False,
        body: options.Body = "open",
        jobs: options.DrawingCores = 0,
    ) -> None:
        """Draw a video of the person in the photo, moving as in a tracked motion.

        Missing steps are made in OUT.emosh/: the photo's motion, the retargeted
        motion, the condition map and the latents. The diffusion model draws a
        long video in chunks, and a killed run continues after its last whole chunk.
        The sound is that of the tracked video, if that video lies beside the motion.

        Example: emosh generate --ref photo.png --motion drive.npz -o out.mp4
        """
        from emosh_cli.workflows.animation import ModelChoice

        use_cores(jobs)
        choice = ModelChoice(model, adapter, device)
        sampling = {"seed": seed, "sac": False if no_sac else None, "color_anchor": color_anchor or None}
        if latents is not None:
            before = {"--framing": framing, "--drawing": drawing, "--face": face, "--replace": replace or None,
                      "--no-hybrid": no_hybrid or None, "--no-disentangle": no_disentangle or None,
                      "--no-contacts": no_contacts or None, "--size": size}  # fmt: skip
            refuse_beside_latents(ref, motion, backend, before)
            _from_latents(run, latents, out, choice, {"wan": sampling, "wan_run": {"vram_gb": vram}}, plan)
            return
        if ref is None or motion is None:
            missing = "--ref PHOTO" if ref is None else "--motion NPZ"
            raise InputError(f"generate needs {missing}; for example: emosh generate --ref a.png --motion drive.npz")
        flags = {
            "retarget": {
                "disentangle": False if no_disentangle else None,
                "contacts": False if no_contacts else None,
            },
            "render_cond": {"hybrid": False if no_hybrid else None, "drawing": drawing},
            "puppet": {"size": size},
            "encode": {"face": face, "replace": replace or None},
            "wan": sampling,
            "wan_run": {"vram_gb": vram},
        }
        drawn_with = {"backend": backend, "body": body, "flags": flags, "choice": choice, "framing": framing}
        _from_motion(run, ref, motion, out, plan, **drawn_with)


def refuse_beside_latents(
    ref: Path | None, motion: Path | None, backend: str, before: dict[str, str | bool | None]
) -> None:
    """Raise InputError for options that change photo or condition map, which are already encoded in the latents."""
    if ref is not None or motion is not None:
        raise InputError("--latents already holds photo and motion; leave --ref and --motion out")
    if backend == "puppet":
        raise InputError("--latents are drawn by the wan backend; the puppet takes --ref PHOTO --motion NPZ")
    given = [option for option, value in before.items() if value is not None]
    if given:
        raise InputError(f"{given[0]} acts before encoding; use it with --ref and --motion")


def _from_latents(
    run: Run, latents: Path, out: Path | None, choice: Any, flags: dict[str, dict[str, Any]], plan: bool
) -> None:
    from emosh_cli.workflows.latents_to_video import LatentsToVideo

    require_file(latents, "latents from emosh encode")
    target = output_path(out, VIDEO, [latents], run.force, beside=latents)
    clip = LatentsToVideo.open(run, latents, target, choice, run.load_configs(("wan", "wan_run"), flags))
    if plan:
        run.show_plan(clip.plan_lines())
        return
    report, work = clip.draw()
    if run.dry_run:
        run.show_plan([*work.plan, f"-> {target}"], output=str(target))
        return
    summary = f"drawn by wan in {run.seconds:.1f} s; the measured figures are in {work.folder}"
    run.done(target, summary, backend="wan", work=str(work.folder), steps=work.plan, **report)


def _from_motion(run: Run, ref: Path, motion: Path, out: Path | None, plan: bool, **drawn_with: Any) -> None:
    from emosh_cli.workflows import animation
    from stages.artifacts.motion import load_motion

    require_file(ref, "a photo of a person")
    require_file(motion, "a motion .npz")
    target = output_path(out, VIDEO, [ref, motion], run.force, beside=motion, ending=f"-{ref.stem}")
    animation.check_photo(ref)
    with pipes.readable(motion) as driver:
        loaded = load_motion(driver)
        pipeline = animation.open_pipeline(run, animation.Request(ref, target, **drawn_with), plan_only=plan)
        if plan:
            run.show_plan(pipeline.plan_lines(len(loaded)))
            return
        video, missing = animation.find_video(loaded.provenance, motion, run.console)
        result = animation.generate_from_motion(pipeline, driver, loaded, video, missing)
        animation.report_result(run, pipeline, result)
