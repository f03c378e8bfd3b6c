"""`emosh encode`: encodes photo and condition map as latents for the diffusion model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import LATENTS, output_path, require_file
from emosh_cli.run import Run
from stages.errors import InputError

Ref = Annotated[Path | None, typer.Option("--ref", metavar="PHOTO", help="The reference: a photo of the person.")]
Cond = Annotated[Path | None, typer.Option("--cond", metavar="MP4", help="The condition map, from emosh render-cond.")]
DriverMotion = Annotated[
    Path | None,
    typer.Option(
        "--motion", metavar="NPZ", help="For a skeleton: the motion whose face is drawn. With --video: the driver's "
        "own motion.",
    ),
]  # fmt: skip
Video = Annotated[
    Path | None,
    typer.Option("--video", metavar="VIDEO", help="For a skeleton: cut the face out of this driving video."),
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--target", metavar="NPZ", help="With --replace: the retargeted motion, whose body the mask makes room for.",
        rich_help_panel=options.DIFFUSION,
    ),
]  # fmt: skip
Manifest = Annotated[
    Path | None,
    typer.Option(
        "--manifest", metavar="JSONL", help="Encode a training set instead: the manifest.jsonl of emosh curate."
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "--workers",
        metavar="N",
        min=0,
        help="With --manifest: number of clips encoded at the same time. Each uses one core.",
        show_default="as many as cores and memory allow; 1 on a GPU",
    ),
]

DRIVER_FILES = {"motion": "a motion .npz", "video": "the driving video", "target": "a retargeted motion .npz"}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "encode", STAGES)
    def encode(
        run: Run,
        ref: Ref = None,
        cond: Cond = None,
        motion: DriverMotion = None,
        video: Video = None,
        replace: options.Replace = False,
        target: Target = None,
        manifest: Manifest = None,
        jobs: Jobs = 0,
        out: options.Out = None,
        model: options.Model = None,
        device: options.Device = "auto",
        body: options.Body = "open",
    ) -> None:
        """Encode photo and condition map as latents, for the diffusion model or for its training.

        With --manifest a folder of clips becomes a training cache with one file
        per clip. A stopped run continues with the missing clips. A clip that
        cannot be encoded is named and left out. A skeleton needs --motion too,
        and with --video the face is the driver's own.
        Next: emosh train cache/ -o run/

        Example: emosh encode --ref photo.png --cond cond.mp4 -o clip.safetensors
        """
        if manifest is not None:
            if any(each is not None for each in (ref, cond, motion, video, target)) or replace:
                raise InputError("--manifest encodes whole clips; leave the options of a single clip out")
            from emosh_cli.workflows.training_set import encode_manifest

            encode_manifest(run, manifest, out, model, device, body, jobs)
            return
        if ref is None or cond is None:
            raise InputError("give --ref and --cond for one clip, or --manifest for a training set")
        driver = {"motion": motion, "video": video, "target": target}
        _encode(run, ref, cond, driver, replace, out, model, device, body)


def _encode(
    run: Run,
    ref: Path,
    cond: Path,
    driver: dict[str, Path | None],
    replace: bool,
    out: Path | None,
    model: str | None,
    device: str,
    body: str,
) -> None:
    """`driver`: the driver's motion and video, and the retargeted motion, by the names of their options."""
    require_file(ref, "a photo of a person")
    require_file(cond, "a condition map")
    given = [require_file(path, DRIVER_FILES[name]) for name, path in driver.items() if path is not None]
    target = output_path(out, LATENTS, [ref, cond, *given], run.force, beside=cond, ending=f"-{ref.stem}")
    config = run.load_config("encode", replace=replace or None)
    from emosh_cli.workflows import diffusion_model, driver_input
    from emosh_cli.workflows.animation import check_photo
    from stages.body.store import open_body
    from stages.encode.encode import encode, read_condition_map
    from stages.wan.offload import explained_out_of_memory

    check_photo(ref)
    info, record = read_condition_map(cond)
    opened = diffusion_model.open_model(model, "none", device, run.console)
    opened.check_encoding(config.prompt)
    read_body = partial(open_body, body, progress=run.console.progress)
    beside = driver_input.beside_map(record, cond, config, run.console, read_body, **driver)
    if run.dry_run:
        size = f"{info.width}x{info.height}"
        run.show_plan([f"encode {ref} and {cond}, {info.frame_count} frames of {size} -> {target}"], output=str(target))
        return
    with explained_out_of_memory(None, "encoding"):
        encode(
            ref, cond, opened.folder, config, target,
            device=opened.device, cache=opened.cache, weights=opened.encode_weights(), progress=run.console.progress,
            **beside.pictures(),
        )  # fmt: skip
    run.done(target, f"{info.frame_count} frames, {info.width}x{info.height}, encoded in {run.seconds:.1f} s")
