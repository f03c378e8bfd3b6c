"""`emosh encode`: encodes photo and condition map as latents for the diffusion model."""

from __future__ import annotations

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


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "encode", STAGES)
    def encode(
        run: Run,
        ref: Ref = None,
        cond: Cond = None,
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
        cannot be encoded is named and left out.
        Next: emosh train cache/ -o run/

        Example: emosh encode --ref photo.png --cond cond.mp4 -o clip.safetensors
        """
        if manifest is not None:
            if ref is not None or cond is not None:
                raise InputError("--manifest encodes whole clips; leave --ref and --cond out")
            from emosh_cli.workflows.training_set import encode_manifest

            encode_manifest(run, manifest, out, model, device, body, jobs)
            return
        if ref is None or cond is None:
            raise InputError("give --ref and --cond for one clip, or --manifest for a training set")
        _encode(run, ref, cond, out, model, device)


def _encode(run: Run, ref: Path, cond: Path, out: Path | None, model: str | None, device: str) -> None:
    require_file(ref, "a photo of a person")
    require_file(cond, "a condition map")
    target = output_path(out, LATENTS, [ref, cond], run.force, beside=cond, ending=f"-{ref.stem}")
    config = run.load_config("encode")
    from emosh_cli.workflows import diffusion_model
    from emosh_cli.workflows.animation import check_photo
    from stages.encode.encode import encode, read_condition_map
    from stages.wan.offload import explained_out_of_memory

    check_photo(ref)
    info, _ = read_condition_map(cond)
    opened = diffusion_model.open_model(model, "none", device, run.console, uses_adapter=False)
    opened.check_encoding(config.prompt)
    if run.dry_run:
        size = f"{info.width}x{info.height}"
        run.show_plan([f"encode {ref} and {cond}, {info.frame_count} frames of {size} -> {target}"], output=str(target))
        return
    with explained_out_of_memory(None, "encoding"):
        encode(
            ref, cond, opened.folder, config, target,
            device=opened.device, cache=opened.cache, weights=opened.encode_weights(), progress=run.console.progress,
        )  # fmt: skip
    run.done(target, f"{info.frame_count} frames, {info.width}x{info.height}, encoded in {run.seconds:.1f} s")
