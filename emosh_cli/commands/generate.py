"""`emosh generate`: a photo and a motion become a video, with whatever is missing in between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emosh_cli import options, pipes
from emosh_cli.commands import animate
from emosh_cli.outputs import PIPE, VIDEO, need, settle
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.chain import Chain
    from stages.artifacts.motion import Motion

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
        body: options.Body = "open",
    ) -> None:
        """Draw the person in the photo moving as in the motion.

        Tracks the photo, retargets and draws the condition map if that is missing, in OUT.emosh/ beside the result.

        Example: emosh generate --ref photo.png --motion drive.npz -o out.mp4
        """
        if latents is not None:
            raise InputError(
                "generating from latents needs the wan backend, which is not built yet; "
                "use: emosh generate --ref PHOTO --motion NPZ --backend puppet"
            )
        if ref is None or motion is None:
            missing = "--ref PHOTO" if ref is None else "--motion NPZ"
            raise InputError(f"generate needs {missing}; for example: emosh generate --ref a.png --motion drive.npz")
        _generate(run, ref, motion, out, backend, body, {"puppet": {"framing": animate.checked_framing(framing)}})


def _generate(run: Run, ref: Path, motion: Path, out: Path | None, backend: str, body: str, flags: dict) -> None:
    need(ref, "a photo of a person")
    need(motion, "a motion .npz")
    target = settle(out, VIDEO, [ref, motion], run.force, beside=motion, ending=f"-{ref.stem}")
    animate.check_photo(ref)
    from stages.artifacts.motion import load_motion

    with pipes.readable(motion) as driver:
        loaded = load_motion(driver)
        chain = animate.opened_chain(run, ref, target, backend, body, flags)
        reference = chain.track(ref, "ref.npz", "photo")
        audio_from = sound(loaded, motion)
        if is_retargeted(loaded, reference, chain):
            chain.render(driver)
            animate.say_made(run, chain, chain.generate(reference, driver, audio_from))
        else:
            animate.finish(run, chain, driver, reference, audio_from)


def is_retargeted(motion: Motion, reference: Path, chain: Chain) -> bool:
    """Whether the motion was retargeted onto this very reference, or deliberately not given its shape."""
    from stages.artifacts.motion import load_motion

    if motion.provenance.stage != "retarget" or not reference.exists():
        return motion.provenance.stage == "retarget" and chain.work.dry
    import numpy as np

    theirs = load_motion(reference)
    same = np.array_equal(motion.betas, theirs.betas) and np.array_equal(motion.head_betas, theirs.head_betas)
    if same or motion.provenance.config.get("disentangle") is False:
        return True
    chain.console.note("the motion was retargeted onto another person; it is retargeted again onto this reference")
    return False


def sound(motion: Motion, given: Path) -> Path | None:
    """The driving video, if it can still be found and has sound: as its path was given, or beside the motion."""
    from stages.video.source import probe

    source = motion.provenance.notes.get("source")
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
