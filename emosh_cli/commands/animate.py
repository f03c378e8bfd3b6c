"""`emosh animate`: the whole chain from a photo and a video to the animated video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emosh_cli import diffusion, options
from emosh_cli.commands.retarget import NoDisentangle
from emosh_cli.commands.track import Person
from emosh_cli.outputs import VIDEO, need, settle
from emosh_cli.run import CHAINS, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.chain import Chain

Drive = Annotated[Path, typer.Option("--drive", metavar="VIDEO", help="The driving video: whose motion is used.")]
Backend = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="auto|wan|puppet",
        help="What draws the result. auto: wan where its weights, an adapter and a GPU are there, else puppet.",
    ),
]
Framing = Annotated[
    str | None,
    typer.Option("--framing", metavar="ref|drive", help="Keep the photo's framing, or the driver's camera.",
                 show_default="ref"),
]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a command line says of the diffusion model."""

    model: str | None = None
    adapter: str | None = None
    device: str = "auto"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "animate", CHAINS)
    def animate(
        run: Run,
        ref: options.Ref,
        drive: Drive,
        out: options.Out = None,
        backend: Backend = "auto",
        framing: Framing = None,
        person: Person = None,
        no_disentangle: NoDisentangle = False,
        model: diffusion.Model = None,
        adapter: diffusion.Adapter = None,
        device: diffusion.Device = "auto",
        seed: diffusion.Seed = None,
        vram: diffusion.Vram = None,
        plan: diffusion.PlanOnly = False,
        body: options.Body = "open",
    ) -> None:
        """The whole chain: track both, retarget, draw the condition map, generate.

        Every intermediate file is kept in OUT.emosh/ beside the result; a rerun makes only what changed.

        Example: emosh animate --ref photo.png --drive video.mp4 -o out.mp4
        """
        flags = {
            "track": {"person": person},
            "retarget": {"disentangle": False if no_disentangle else None},
            "puppet": {"framing": checked_framing(framing)},
            "wan": {"seed": seed},
            "wan_run": {"vram_gb": vram},
        }
        _animate(run, ref, drive, out, backend, body, flags, Asked(model, adapter, device), plan)


def _animate(
    run: Run,
    ref: Path,
    drive: Path,
    out: Path | None,
    backend: str,
    body: str,
    flags: dict,
    asked: Asked,
    plan: bool,
) -> None:
    need(ref, "a photo of a person")
    need(drive, "a driving video")
    target = settle(out, VIDEO, [ref, drive], run.force, beside=drive, ending=f"-{ref.stem}")
    from stages.video.source import probe

    check_photo(ref)
    clip = probe(drive)
    if clip.is_photo:
        raise InputError(f"{drive} is a photo; --drive takes a video of the motion, --ref the photo")
    chain = opened_chain(run, ref, target, backend, body, flags, asked, making=not plan)
    if plan:
        print_plan(run, chain, clip.frame_count or round(clip.duration_seconds * clip.fps))
        return
    driver = chain.track(drive, "drive.npz", "video")
    reference = chain.track(ref, "ref.npz", "photo")
    finish(run, chain, driver, reference, drive)


def check_photo(ref: Path) -> None:
    """Refuse a video, an artifact or a damaged picture given as the reference."""
    from stages.video.source import probe

    if ref.suffix.lower() == ".npz":
        raise InputError(f"{ref} is a motion; --ref takes the photo here, since its pixels are drawn")
    if not probe(ref).is_photo:
        raise InputError(f"{ref} is a video; --ref takes a photo of the person to animate")


def checked_framing(framing: str | None) -> str | None:
    """One of the two framings."""
    if framing not in (None, "ref", "drive"):
        raise InputError(f"--framing {framing}: choose ref or drive")
    return framing


def opened_chain(
    run: Run,
    ref: Path,
    target: Path,
    backend: str,
    body: str,
    flags: dict,
    asked: Asked | None = None,
    making: bool = True,
) -> Chain:
    """Everything that can be refused before work begins: backend, model, settings, work folder.

    Without `making` no work folder is made.
    """
    asked = asked or Asked()
    from emosh_cli.chain import SECTIONS, Chain
    from emosh_cli.pipeline import WorkFolder
    from stages.body.store import home
    from stages.generate.backends import choose

    name, why = choose(backend, home(), asked.model is not None, asked.device)
    run.console.note(f"backend: {name}, {why}")
    configs = run.configured_all(SECTIONS[name], only_of(name, flags))
    model = None
    if name == "wan":
        model = diffusion.opened(asked.model, asked.adapter, asked.device, run.console)
        model.check(configs)
        if making:
            model.check_runnable(configs)
    work = WorkFolder(target, run.console, run.force, run.dry_run or not making)
    return Chain(ref, target, configs, body, run.console, work, name, model)


def only_of(backend: str, flags: dict[str, dict]) -> dict[str, dict]:
    """The flags of the backend's own sections. Raises InputError for one that the other backend owns."""
    owned = {"puppet": ("puppet",), "wan": ("encode", "wan", "wan_run")}
    for other, sections in owned.items():
        given = [key for section in sections for key, value in flags.get(section, {}).items() if value is not None]
        if given and other != backend:
            name = given[0].replace("_", "-")
            raise InputError(f"--{name} is an option of the {other} backend; choose it with --backend {other}")
    if backend == "puppet":
        for section, key in (("retarget", "disentangle"), ("render_cond", "hybrid")):
            if flags.get(section, {}).get(key) is False:
                raise InputError(
                    f"--no-{key} changes nothing of a puppet, which is cut from the photo and reads no condition map; "
                    "it needs --backend wan"
                )
    return {section: each for section, each in flags.items() if section not in owned[_other(backend)]}


def _other(backend: str) -> str:
    return "puppet" if backend == "wan" else "wan"


def print_plan(run: Run, chain: Chain, frames: int) -> None:
    """What drawing that many frames would take. Raises InputError for the puppet, which needs no plan."""
    if chain.diffusion is None:
        raise InputError("--plan is for the wan backend; the puppet needs no plan: leave it out, or add --backend wan")
    run.planned(chain.diffusion.plan(chain.clip(frames), chain.configs["wan"], chain.configs["wan_run"]).lines())


def finish(run: Run, chain: Chain, driver: Path, reference: Path, audio_from: Path | None) -> None:
    """Retarget, render, generate, and say what was made."""
    target = chain.retarget(driver, reference)
    say_made(run, chain, chain.generate(reference, target, chain.render(target), audio_from))


def say_made(run: Run, chain: Chain, result: Path) -> None:
    """The result's path, or the plan of a dry run."""
    if run.dry_run:
        run.planned([*chain.work.plan, f"-> {result}"], output=str(result))
        return
    made = [step for step in chain.work.plan if not step.endswith(": cached")]
    took = f"drawn by {chain.backend} in {run.seconds:.1f} s" if made else "nothing had changed"
    summary = f"{took}; the steps are in {chain.work.folder}"
    work = str(chain.work.folder)
    run.done(result, summary, backend=chain.backend, work=work, steps=chain.work.plan, **chain.reports)
