"""A training run: its plan, its folder, and the run itself with validation clips."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import RUN, output_folder
from emosh_cli.run import Run
from emosh_cli.workflows import diffusion_model
from emosh_cli.workflows.validation import validation_pairs, validator
from stages.counted import counted

if TYPE_CHECKING:
    from stages.artifacts.training_cache import TrainingCache
    from stages.train.config import TrainConfig
    from stages.train.plan import TrainingPlan
    from stages.train.training_set import TrainingSet


def train(
    run: Run, caches: list[Path], out: Path | None, validation: Path | None, model: str | None, device: str
) -> None:
    """Train an adapter on one cache or a mixture, or continue the run that lies in `out`."""
    from stages.wan.context_parallel import is_helper

    run.console.quiet |= is_helper()  # only the main process prints messages; each process still prints its own error
    configs = run.load_configs(("train", "wan"))
    config = configs["train"]
    data = open_training_set(caches, config)
    target = output_folder(out, RUN, [], True, caches[0], "-run", "adapter.safetensors")
    opened = diffusion_model.open_model(model, "none", device, run.console)
    pairs = [] if validation is None else validation_pairs(validation)
    found = make_training_plan(config, data.first, opened.folder.config, None, opened.device)
    run.console.note(found.line())
    mixture = data.report(config.shares, config.steps * config.batch_size, config.seed)
    lines = [mixture_line(each) for each in mixture]
    if run.dry_run:
        run.show_plan(
            [found.line(), *lines, f"train on {counted(sum(data.windows), 'window')} -> {target}"], output=str(target)
        )
        return
    for line in lines:
        run.console.note(line)
    from stages.artifacts.leftovers import made_folder
    from stages.train import loop
    from stages.wan.digests import folder_digests

    with made_folder(target):
        accelerator = loop.make_accelerator(config, target, cpu=opened.device == "cpu")
        if run.force and accelerator.is_main_process:
            remove_checkpoints(target)
        accelerator.wait_for_everyone()
        weights = folder_digests(opened.folder, ("transformer",), opened.cache, run.console.progress)
        validate = validator(pairs, opened, configs["wan"], target) if pairs else None
        trained = loop.train(
            opened.folder, data, config, target,
            accelerator=accelerator, weights=weights, validate=validate, progress=run.console.progress,
        )  # fmt: skip
    if is_helper():
        return
    loss = f", loss {trained.losses[-1]:.4f}" if trained.losses else ", no steps left"
    drawn = data.report(config.shares, trained.step * config.batch_size, config.seed)
    run.done(
        trained.adapter, f"step {trained.step}{loss}", step=trained.step, mixture=drawn,
        **_last_validation(trained.validations),
    )  # fmt: skip


def open_training_set(caches: list[Path], config: TrainConfig) -> TrainingSet:
    """The caches of a run. Raises InputError for one that is not complete, or where they do not fit each other."""
    from stages.artifacts.training_cache import TrainingCache
    from stages.train.training_set import TrainingSet

    return TrainingSet.of([TrainingCache(cache) for cache in caches], config.shares)


def mixture_line(part: dict[str, Any]) -> str:
    """What a run draws from one cache, in words."""
    return (
        f"data: {100 * part['share']:.4g} % from {part['cache']}: {counted(part['samples'], 'sample')} of "
        f"{part['windows']} "
        f"windows, {part['epochs']:.4g} times each"
    )


def _last_validation(validations: list[dict[str, float]]) -> dict[str, Any]:
    return {"validation": validations[-1]} if validations else {}


def remove_checkpoints(folder: Path) -> None:
    """Remove a run's checkpoints and its finished model, for --force."""
    from stages.train.save_model import MODEL

    for pattern in ("adapter-*.safetensors", "state-*.safetensors"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / MODEL, ignore_errors=True)


def plan(run: Run, caches: list[Path], hardware: str | None, model: str | None) -> None:
    """Print the memory and time of a run, and what it draws from each cache."""
    from stages.wan.folder import open_folder
    from stages.wan.machine import DEFAULTS

    config = run.load_config("train")
    described = DEFAULTS if model is None else {**DEFAULTS, **open_folder(Path(model)).config}
    data = open_training_set(caches, config) if caches else None
    found = make_training_plan(config, None if data is None else data.first, described, hardware, "auto")
    mixture = [] if data is None else data.report(config.shares, config.steps * config.batch_size, config.seed)
    from stages.train.plan import paper_line

    paper = [paper_line(described)] if described["num_layers"] == DEFAULTS["num_layers"] else []
    run.show_plan([*found.lines(), *map(mixture_line, mixture), *paper], **found.figures(), mixture=mixture)


def make_training_plan(
    config: TrainConfig, cache: TrainingCache | None, transformer: dict[str, Any], hardware: str | None, device: str
) -> TrainingPlan:
    """The plan of a run, for the GPUs here or for `hardware`. Raises InputError if it does not fit on this machine."""
    from stages.train.plan import TrainingData, check_fits, make_plan, parse_hardware, this_hardware
    from stages.wan.machine import DEFAULTS

    index = None if cache is None else cache.index
    material = TrainingData() if index is None else TrainingData(
        index.height, index.width, index.chunk_frames, index.overlap_frames
    )  # fmt: skip
    cards = this_hardware(device) if hardware is None else parse_hardware(hardware)
    plan = make_plan({**DEFAULTS, **transformer}, material, config, cards)
    return plan if hardware is not None or device == "auto" else check_fits(plan)
