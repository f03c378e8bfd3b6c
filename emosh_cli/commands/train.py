"""`emosh train`: an adapter for the diffusion model, learned from an encoded training set."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from emosh_cli import diffusion, options, training
from emosh_cli.outputs import RUN, settle_folder
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

Cache = Annotated[
    Path | None,
    typer.Argument(metavar="CACHE", help="A training cache, from emosh encode --manifest.", show_default=False),
]
Validation = Annotated[
    Path | None,
    typer.Option(
        "--validation", metavar="DIR", help="NAME.safetensors from emosh encode, NAME.mp4 the real video beside it."
    ),
]
PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Say memory per GPU, seconds per step and hours of the run; train nothing.")
]
Hardware = Annotated[
    str | None,
    typer.Option("--hardware", metavar="NxCARD", help="Plan for other cards than those here, such as 8xH100."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "train", STAGES)
    def train(
        run: Run,
        cache: Cache = None,
        out: options.Out = None,
        validation: Validation = None,
        plan: PlanOnly = False,
        hardware: Hardware = None,
        model: diffusion.Model = None,
        device: diffusion.Device = "auto",
    ) -> None:
        """Train an adapter for the diffusion model on an encoded training set, on one GPU or many.

        On many GPUs: accelerate launch -m emosh_cli train cache/ -o run/ --config emosh_14b

        Example: emosh train cache/ -o run/ --config emosh_14b
        """
        if plan:
            _plan(run, cache, hardware, model)
        elif cache is None:
            raise InputError("name the training cache; make one with: emosh encode --manifest manifest.jsonl -o cache/")
        else:
            _train(run, cache, out, validation, model, device)


def _train(run: Run, cache: Path, out: Path | None, validation: Path | None, model: str | None, device: str) -> None:
    from stages.artifacts.training_cache import TrainingCache
    from stages.wan.ranks import is_helper

    run.console.quiet |= is_helper()  # one process speaks for all; each still tells its own error
    configs = run.configured_all(("train", "wan"))
    config, opened_cache = configs["train"], TrainingCache(cache)
    target = settle_folder(out, RUN, [], True, cache, "-run", "adapter.safetensors")
    opened = diffusion.opened(model, "none", device, run.console, adapted=False)
    pairs = [] if validation is None else training.validation_pairs(validation)
    said = planned(config, opened_cache, opened.folder.config, None, opened.device)
    run.console.note(said.line())
    if run.dry_run:
        run.planned([said.line(), f"train on {len(opened_cache)} windows of {cache} -> {target}"], output=str(target))
        return
    from stages.train.loop import made_accelerator, train
    from stages.wan.digests import folder_digests

    target.mkdir(exist_ok=True)
    accelerator = made_accelerator(config, target, cpu=opened.device == "cpu")
    if run.force and accelerator.is_main_process:
        begin_anew(target)
    accelerator.wait_for_everyone()
    weights = folder_digests(opened.folder, ("transformer",), opened.cache, run.console.progress)
    validate = training.validator(pairs, opened, configs["wan"], target) if pairs else None
    trained = train(
        opened.folder, opened_cache, config, target,
        accelerator=accelerator, weights=weights, validate=validate, progress=run.console.progress,
    )  # fmt: skip
    if is_helper():
        return
    loss = f", loss {trained.losses[-1]:.4f}" if trained.losses else ", nothing left to do"
    run.done(trained.adapter, f"step {trained.step}{loss}", step=trained.step, **_last(trained.validations))


def _last(validations: list[dict[str, float]]) -> dict[str, Any]:
    return {"validation": validations[-1]} if validations else {}


def begin_anew(folder: Path) -> None:
    """Remove a run's checkpoints and its finished model: what --force asks for."""
    from stages.train.folder import MODEL

    for pattern in ("adapter-*.safetensors", "state-*.safetensors"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / MODEL, ignore_errors=True)


def _plan(run: Run, cache: Path | None, hardware: str | None, model: str | None) -> None:
    from stages.artifacts.training_cache import TrainingCache
    from stages.wan.folder import open_folder
    from stages.wan.machine import DEFAULTS

    config = run.configured("train")
    described = DEFAULTS if model is None else {**DEFAULTS, **open_folder(Path(model)).config}
    found = planned(config, None if cache is None else TrainingCache(cache), described, hardware, "auto")
    from stages.train.plan import paper_line

    paper = [paper_line(described)] if described["num_layers"] == DEFAULTS["num_layers"] else []
    run.planned([*found.lines(), *paper], **found.figures())


def planned(config: Any, cache: Any, transformer: dict[str, Any], hardware: str | None, device: str) -> Any:
    """The plan of a run, for the cards here or for others. Raises InputError where it would not fit here."""
    from stages.train.plan import Material, checked, here, make_plan, parsed_hardware
    from stages.wan.machine import DEFAULTS

    index = None if cache is None else cache.index
    material = Material() if index is None else Material(
        index.height, index.width, index.chunk_frames, index.overlap_frames
    )  # fmt: skip
    cards = here(device) if hardware is None else parsed_hardware(hardware)
    plan = make_plan({**DEFAULTS, **transformer}, material, config, cards)
    return plan if hardware is not None or device == "auto" else checked(plan)
