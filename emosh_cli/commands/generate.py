"""`emosh generate`: a photo and a motion become a video, with whatever is missing in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emosh_cli import diffusion, options, pipes
from emosh_cli.commands import animate
from emosh_cli.commands.render_cond import NoHybrid
from emosh_cli.commands.retarget import NoDisentangle
from emosh_cli.outputs import PIPE, VIDEO, need, settle
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.chain import Chain
    from stages.artifacts.motion import Motion
    from stages.artifacts.provenance import Provenance

Ref = Annotated[
    Path | None, typer.Option("--ref", metavar="PHOTO", help="The reference: a photo of the person to animate.")
]
MotionFile = Annotated[
    Path | None,
    typer.Option("--motion", metavar="NPZ", help="Any motion; one not yet retargeted is. - reads standard input."),
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
        backend: animate.Backend = "auto",
        framing: animate.Framing = None,
        no_sac: diffusion.NoSac = False,
        no_hybrid: NoHybrid = False,
        no_disentangle: NoDisentangle = False,
        color_anchor: diffusion.ColorAnchor = False,
        model: diffusion.Model = None,
        adapter: diffusion.Adapter = None,
        device: diffusion.Device = "auto",
        seed: diffusion.Seed = None,
        vram: diffusion.Vram = None,
        plan: diffusion.PlanOnly = False,
        body: options.Body = "open",
    ) -> None:
        """Draw the person in the photo moving as in the motion.

        What is missing in between is made in OUT.emosh/: the photo's motion, the retargeted one, map and latents.
        Long videos are drawn chunk by chunk: a run that was killed goes on from its last whole chunk.

        Example: emosh generate --ref photo.png --motion drive.npz -o out.mp4
        """
        asked = animate.Asked(model, adapter, device)
        sampling = {"seed": seed, "sac": False if no_sac else None, "color_anchor": color_anchor or None}
        if latents is not None:
            refuse_beside_latents(ref, motion, backend, framing, no_hybrid or no_disentangle)
            _from_latents(run, latents, out, asked, sampling, {"vram_gb": vram}, plan)
            return
        if ref is None or motion is None:
            missing = "--ref PHOTO" if ref is None else "--motion NPZ"
            raise InputError(f"generate needs {missing}; for example: emosh generate --ref a.png --motion drive.npz")
        flags = {
            "retarget": {"disentangle": False if no_disentangle else None},
            "render_cond": {"hybrid": False if no_hybrid else None},
            "puppet": {"framing": animate.checked_framing(framing)},
            "wan": sampling,
            "wan_run": {"vram_gb": vram},
        }
        _generate(run, ref, motion, out, backend, body, flags, asked, plan)


def refuse_beside_latents(
    ref: Path | None, motion: Path | None, backend: str, framing: str | None, ablated: bool
) -> None:
    """Latents hold photo and map already: what would change those comes too late. Raises InputError."""
    if ref is not None or motion is not None:
        raise InputError("--latents holds photo and motion already; leave --ref and --motion out")
    if backend == "puppet" or framing is not None:
        raise InputError("--latents are drawn by the wan backend; the puppet takes --ref PHOTO --motion NPZ")
    if ablated:
        raise InputError("--no-hybrid and --no-disentangle come before encoding; give --ref and --motion for them")


def _from_latents(
    run: Run, latents: Path, out: Path | None, asked: animate.Asked, sampling: dict, running: dict, plan: bool
) -> None:
    need(latents, "latents from emosh encode")
    target = settle(out, VIDEO, [latents], run.force, beside=latents)
    from emosh_cli.pipeline import WorkFolder
    from stages.artifacts.latents import Latents

    configs = run.configured_all(("wan", "wan_run"), {"wan": sampling, "wan_run": running})
    config = configs["wan"]
    opened = Latents(latents)
    model = diffusion.opened(asked.model, asked.adapter, asked.device, run.console)
    model.check(configs, opened)
    if plan:
        run.planned(model.plan(diffusion.clip_of(latents), config, configs["wan_run"]).lines())
        return
    model.check_runnable(configs)
    work = WorkFolder(target, run.console, run.force, run.dry_run)
    audio_from = sound(opened.header.provenance, latents)
    report = model.generate(work, latents, config, configs["wan_run"], target, audio_from)
    if run.dry_run:
        run.planned([*work.plan, f"-> {target}"], output=str(target))
        return
    summary = f"drawn by wan in {run.seconds:.1f} s; what was measured is in {work.folder}"
    run.done(target, summary, backend="wan", work=str(work.folder), steps=work.plan, **report)


def _generate(
    run: Run,
    ref: Path,
    motion: Path,
    out: Path | None,
    backend: str,
    body: str,
    flags: dict,
    asked: animate.Asked,
    plan: bool,
) -> None:
    need(ref, "a photo of a person")
    need(motion, "a motion .npz")
    target = settle(out, VIDEO, [ref, motion], run.force, beside=motion, ending=f"-{ref.stem}")
    animate.check_photo(ref)
    from stages.artifacts.motion import load_motion

    with pipes.readable(motion) as driver:
        loaded = load_motion(driver)
        chain = animate.opened_chain(run, ref, target, backend, body, flags, asked, making=not plan)
        if plan:
            animate.print_plan(run, chain, len(loaded))
            return
        reference = chain.track(ref, "ref.npz", "photo")
        audio_from = sound(loaded.provenance, motion)
        if is_retargeted(loaded, reference, chain):
            animate.say_made(run, chain, chain.generate(reference, driver, chain.render(driver), audio_from))
        else:
            animate.finish(run, chain, driver, reference, audio_from)


def is_retargeted(motion: Motion, reference: Path, chain: Chain) -> bool:
    """Whether the motion was retargeted onto this very reference, or deliberately not given its shape."""
    from stages.artifacts.motion import load_motion

    if motion.provenance.stage != "retarget" or not reference.exists():
        return motion.provenance.stage == "retarget" and chain.work.dry
    import numpy as np

    theirs = load_motion(reference)
    if (chain.configs["retarget"].disentangle, motion.provenance.config.get("disentangle")) == (False, True):
        raise InputError("the motion has the reference's shape already; --no-disentangle needs the driver's own motion")
    same = np.array_equal(motion.betas, theirs.betas) and np.array_equal(motion.head_betas, theirs.head_betas)
    if same or motion.provenance.config.get("disentangle") is False:
        return True
    chain.console.note("the motion was retargeted onto another person; it is retargeted again onto this reference")
    return False


def sound(record: Provenance, given: Path) -> Path | None:
    """The driving video, if it can still be found and has sound: as its path was given, or beside the file."""
    from stages.video.source import probe

    source = record.notes.get("source")
    path = source.get("path") if isinstance(source, dict) else source
    if not isinstance(path, str):
        return None
    beside = [] if given == PIPE else [given.parent / Path(path).name]
    for candidate in (Path(path), *beside):
        if candidate.is_file():
            try:
                return candidate if probe(candidate).has_audio else None
            except InputError:
                return None
    return None
