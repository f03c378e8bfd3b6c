"""The training loop on accelerate: one GPU, several GPUs, several machines, or the CPU.

Sample n of step s is random draw s x batch_size + n, no matter which process computes it. A process computes
`samples_at_once` samples of equal length at a time and accumulates gradients. Does not know how a validation clip is
drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.artifacts.provenance import Provenance, config_dict
from stages.artifacts.training_cache import TrainingCache
from stages.drawing.drawings import drawing, drawn_by
from stages.drawing.names import MESH
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.train import checkpoint as store
from stages.train.config import TrainConfig
from stages.train.examples import grouped, read_example
from stages.train.model import load_trainable, tuned_parameters
from stages.train.objective import first_slot_with_loss, sample_loss
from stages.train.random_draws import draw
from stages.train.save_model import MODEL, write_folder
from stages.train.schedule import WeightAverage, learning_rate
from stages.train.training_set import TrainingSet
from stages.wan.folder import ModelFolder
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.loading import DTYPES

NO_EFFECT_ON_WEIGHTS = (
    "steps", "save_every", "keep_checkpoints", "validate_every", "tracker", "gradient_checkpointing",
    "offload_activations", "offload_weights", "samples_at_once",
)  # fmt: skip
"""Settings that do not change the weights after a step."""
LOST_PROCESS_WORDS = (
    "connection closed",
    "peer",
    "nccl",
    "gloo",
    "timed out",
    "distbackend",
    "broken pipe",
    "connection reset",
)
"""Words in torch's errors when another process has ended."""

Validate = Callable[[Any, Path, int], dict[str, float]]
"""(model, its checkpoint's adapter, step) -> scores by name. Called in the main process."""


@dataclass
class Trained:
    """Result of a run: last step and its adapter, loss per step, scores per validation."""

    step: int
    adapter: Path
    losses: list[float] = field(default_factory=list)
    validations: list[dict[str, float]] = field(default_factory=list)


def train(
    folder: ModelFolder,
    data: TrainingSet,
    config: TrainConfig,
    out: Path,
    *,
    accelerator: Any = None,
    weights: dict[str, str] | None = None,
    validate: Validate | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train to `config.steps`. Continues from the newest complete checkpoint in `out`, if there is one.

    Raises InputError for data, weights or settings that do not fit, a full disk, a lost process, or a loss that is
    not finite. The checkpoint before stays as it is.
    """
    accelerator = accelerator or make_accelerator(config, out)
    check_inputs(folder, data, config, accelerator.num_processes)
    if validate is not None and getattr(accelerator.state, "fsdp_plugin", None) is not None:
        raise InputError("validation runs in one process, but FSDP splits the model over all; leave --validation out")
    record = provenance(data, config, weights or {})
    found = store.checkpoints(out)
    if found:
        store.check_continues(found[-1], record)
    try:
        model = load_trainable(folder, config, accelerator.device)
        optimizer = torch.optim.Adam([parameter for _, parameter in tuned_parameters(model)], lr=config.learning_rate)
        model, optimizer = accelerator.prepare(model, optimizer)
        begun, plain = 0, accelerator.unwrap_model(model)
        mean = WeightAverage(plain, config.ema_decay) if config.ema_decay else None
        if found:
            kept = store.load(found[-1], plain, optimizer.optimizer, record)
            begun = found[-1].step
            if mean is not None:
                mean.values = {name: kept[name].to(value.device) for name, value in mean.values.items()}
        if config.tracker != "none":
            accelerator.init_trackers("emosh", config=config_dict(config))
        run = TrainingRun(accelerator, model, optimizer, data, config, out, record, validate, mean)
        trained = _steps(run, begun, found[-1].adapter if found else None, progress)
        if config.tune == "all" and accelerator.is_main_process:
            with mean.applied(plain) if mean is not None else nullcontext():
                write_folder(out / MODEL, plain, folder, data.first.index.drawing)
    except RuntimeError as error:
        raise _explained(error, accelerator, out) from error
    finally:
        accelerator.end_training()
    return trained


def make_accelerator(config: TrainConfig, out: Path, cpu: bool = False) -> Any:
    """accelerate's `Accelerator`, configured by its launcher and the settings.

    Raises InputError for FSDP version 1, and for a tracker that is unknown or not installed.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # an earlier run in this process may have used another precision
    try:
        accelerator = Accelerator(
            cpu=cpu,
            mixed_precision="bf16" if config.dtype == "bfloat16" else "no",
            log_with=None if config.tracker == "none" else config.tracker,
            project_dir=str(out),
        )
    except ValueError as error:
        raise InputError(f"accelerate: {error}; see: emosh config show train") from error
    if config.tracker != "none" and not accelerator.log_with:
        raise InputError(
            f'the tracker "{config.tracker}" is not installed; install its package, or set tracker = "none"'
        )
    if getattr(accelerator.state, "fsdp_plugin", None) is not None:
        configure_fsdp(accelerator.state.fsdp_plugin)
    return accelerator


def configure_fsdp(plugin: Any) -> None:
    """Switch off mixed precision in accelerate's FSDP and leave it to autocast, as on one card.

    accelerate's own policy would round norms, timesteps (by up to 2 of 1,000) and accumulated gradients to bfloat16.
    Raises InputError for FSDP 1.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy

    if plugin.fsdp_version != 2:
        raise InputError(
            "training mixes frozen bf16 and trained float32 weights, which needs FSDP 2; launch with: --fsdp_version 2"
        )
    plugin.mixed_precision_policy = MixedPrecisionPolicy()


def check_inputs(folder: ModelFolder, data: TrainingSet, config: TrainConfig, processes: int) -> None:
    """Refuse data, weights and settings that do not fit together, before anything is loaded."""
    for cache in data.caches:
        _check_cache(folder, cache)
    if config.tune == "all" and processes > 1:
        raise InputError("tune = 'all' trains in one process; start it without a launcher")
    if config.offload_weights and processes > 1:
        raise InputError(
            "offload_weights works on one card only; on several, shard the weights (accelerate launch --use_fsdp)"
        )
    if config.batch_size % processes:
        raise InputError(
            f"batch_size {config.batch_size} is not a multiple of the {processes} processes; choose one that is"
        )


def _check_cache(folder: ModelFolder, cache: TrainingCache) -> None:
    """Raise InputError where a cache was encoded for another model, layout or drawing."""
    if cache.index.layout != LAYOUT_VERSION:
        raise InputError(f"{cache.folder} was encoded for slot layout {cache.index.layout}, expected {LAYOUT_VERSION}")
    if cache.index.drawing != drawing(MESH).version:
        shown = drawn_by(cache.index.drawing)
        raise InputError(
            f"{cache.folder} shows {cache.index.drawing if shown is None else shown.name}, and emosh trains on the "
            f"{MESH} ({drawing(MESH).version}); encode the manifest again"
        )
    text_dim = folder.config.get("text_dim")
    if text_dim is not None and cache.prompt_embeds.shape[1] != text_dim:
        raise InputError(
            f"{cache.folder} was encoded with another model: its text_dim is {cache.prompt_embeds.shape[1]}, "
            f"that of {folder.path} is {text_dim}; encode the manifest again"
        )
    image_dim, tokens = folder.config.get("image_dim"), cache.window(0).image_tokens
    if folder.has_image_encoder and image_dim is not None and tokens[1] != image_dim:
        raise InputError(
            f"{cache.folder} was encoded with another model: its image_dim is {tokens[1]}, that of "
            f"{folder.path} is {image_dim}; encode the manifest again"
        )


def provenance(data: TrainingSet, config: TrainConfig, weights: dict[str, str]) -> Provenance:
    """Record of everything that decides the trained weights. `steps` counts only with `decay_share`, which depends on
    it."""
    ignored = [key for key in NO_EFFECT_ON_WEIGHTS if key != "steps" or not config.decay_share]
    ignored += [] if config.shares else ["shares"]
    settings = {key: value for key, value in config_dict(config).items() if key not in ignored}
    return Provenance("train", settings, data.fingerprints(), weights, config.seed)


@dataclass
class TrainingRun:
    """State of a run that every step needs."""

    accelerator: Any
    model: Any
    optimizer: Any
    data: TrainingSet
    config: TrainConfig
    out: Path
    record: Provenance
    validate: Validate | None
    mean: WeightAverage | None


def _steps(run: TrainingRun, begun: int, last: Path | None, progress: Progress) -> Trained:
    config, trained = run.config, Trained(begun, last or run.out)
    for step in range(begun, config.steps):
        loss, norm = take_step(run, step)
        trained.losses.append(loss)
        figures = {"loss": loss, "grad_norm": norm}
        done = step + 1
        if done % config.save_every == 0 or done == config.steps:
            plain = run.accelerator.unwrap_model(run.model)
            with run.mean.applied(plain) if run.mean is not None else nullcontext() as raw:
                trained.step, trained.adapter = done, _saved(run, done, raw)
                if run.validate and (done % config.validate_every == 0 or done == config.steps):
                    validated = _validated(run, trained.adapter, done)
                    trained.validations.append(validated)
                    figures |= {f"validation/{name}": value for name, value in validated.items()}
        run.accelerator.log(figures, step=done)
        progress(f"training (loss {loss:.4f})", done, config.steps)
    return trained


def take_step(run: TrainingRun, step: int) -> tuple[float, float]:
    """One optimiser step over the batch. Returns (mean loss, norm of the gradients before clipping)."""
    accelerator, config, model = run.accelerator, run.config, run.model
    share = config.batch_size // accelerator.num_processes
    first = step * config.batch_size + accelerator.process_index * share
    total = torch.zeros((), device=accelerator.device)
    drawn = [draw(first + number, run.data.windows, config) for number in range(share)]
    samples = grouped(
        [read_example(run.data.caches, each) for each in drawn], config.samples_at_once,
        lambda slots: first_slot_with_loss(slots, config.loss_on_temporal),
    )  # fmt: skip
    for number, made in enumerate(samples):
        last = number == len(samples) - 1
        with nullcontext() if last else accelerator.no_sync(model):
            loss = sample_loss(model, made, accelerator.device, DTYPES[config.dtype], config.loss_on_temporal)
            accelerator.backward(loss * (len(made) / share))
        total += loss.detach() * (len(made) / share)
    mean = float(accelerator.reduce(total, "mean"))
    norm = accelerator.clip_grad_norm_([p for _, p in tuned_parameters(model)], config.max_grad_norm or math.inf)
    norm = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        kept = store.checkpoints(run.out)
        where = f"the checkpoint of step {kept[-1].step} is complete" if kept else "no checkpoint was written"
        what = "loss" if not math.isfinite(mean) else "gradient"
        raise InputError(
            f"the {what} of step {step + 1} is not finite; {where}; lower learning_rate or check the clips"
        )
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.mean is not None:
        run.mean.update(accelerator.unwrap_model(model), step)
    return mean, norm


def _saved(run: TrainingRun, step: int, raw: dict[str, Tensor] | None) -> Path:
    unwrapped = run.accelerator.unwrap_model(run.model)
    made = store.save(
        run.out, step, unwrapped, run.optimizer.optimizer, 0 if run.config.tune == "all" else run.config.rank,
        run.record, run.accelerator.is_main_process, run.config.keep_checkpoints, raw,
    )  # fmt: skip
    run.accelerator.wait_for_everyone()
    return made.adapter


def _validated(run: TrainingRun, adapter: Path, step: int) -> dict[str, float]:
    """Validate in the main process while the others wait."""
    figures: dict[str, float] = {}
    if run.accelerator.is_main_process and run.validate is not None:
        with torch.no_grad():
            figures = run.validate(run.accelerator.unwrap_model(run.model), adapter, step)
    run.accelerator.wait_for_everyone()
    return figures


def _explained(error: RuntimeError, accelerator: Any, out: Path) -> Exception:
    """Turn out of memory and a lost process into an InputError; return any other error unchanged."""
    kept = store.checkpoints(out)
    advice = f"run it again to continue from step {kept[-1].step}" if kept else "run it again"
    if isinstance(error, torch.OutOfMemoryError):
        return InputError(f"out of card memory; set train.storage=fp8 or train.offload_activations=true, and {advice}")
    if accelerator.num_processes > 1 and any(word in str(error).lower() for word in LOST_PROCESS_WORDS):
        return InputError(f"another process of this run ended; {advice}")
    return error
