"""The training loop on accelerate: one GPU, many, many machines, or the CPU.

Sample n of step s is sample s x batch_size + n of the draws, whoever computes it. A process holds `samples_at_once`
samples of one length at a time and adds gradients up. Knows nothing of how a validation clip is drawn.
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
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.train import checkpoint as store
from stages.train.config import TrainConfig
from stages.train.examples import example, together
from stages.train.model import trainable, tuned
from stages.train.objective import first_judged, sample_loss
from stages.train.random_draws import draw
from stages.train.save_model import MODEL, write_folder
from stages.train.schedule import Mean, learning_rate
from stages.wan.folder import ModelFolder
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.loading import DTYPES

UNDECIDING = (
    "steps", "save_every", "keep", "validate_every", "tracker", "gradient_checkpointing", "offload_activations",
    "offload_weights", "samples_at_once",
)  # fmt: skip
"""Settings that change no weight of a step."""
LOST = ("connection closed", "peer", "nccl", "gloo", "timed out", "distbackend", "broken pipe", "connection reset")
"""Words in torch's errors when another process has gone."""

Validate = Callable[[Any, Path, int], dict[str, float]]
"""(model, its checkpoint's adapter, step) -> figures. Called on the main process."""


@dataclass
class Trained:
    """How a run ended."""

    step: int
    adapter: Path
    losses: list[float] = field(default_factory=list)
    validations: list[dict[str, float]] = field(default_factory=list)


def train(
    folder: ModelFolder,
    cache: TrainingCache,
    config: TrainConfig,
    out: Path,
    *,
    accelerator: Any = None,
    weights: dict[str, str] | None = None,
    validate: Validate | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train to `config.steps`, going on from the newest whole checkpoint in `out`.

    Raises InputError for data, weights or settings that do not fit, a full disk, a lost process, or a loss that is
    not finite; the checkpoint before stays as it is.
    """
    accelerator = accelerator or made_accelerator(config, out)
    check(folder, cache, config, accelerator.num_processes)
    if validate is not None and getattr(accelerator.state, "fsdp_plugin", None) is not None:
        raise InputError("validation draws on one process, and FSDP spreads the model over all; leave --validation out")
    record = provenance(cache, config, weights or {})
    found = store.checkpoints(out)
    if found:
        store.check(found[-1], record)
    try:
        model = trainable(folder, config, accelerator.device)
        optimizer = torch.optim.Adam([parameter for _, parameter in tuned(model)], lr=config.learning_rate)
        model, optimizer = accelerator.prepare(model, optimizer)
        begun, plain = 0, accelerator.unwrap_model(model)
        mean = Mean(plain, config.ema) if config.ema else None
        if found:
            kept = store.load(found[-1], plain, optimizer.optimizer, record)
            begun = found[-1].step
            if mean is not None:
                mean.values = {name: kept[name].to(value.device) for name, value in mean.values.items()}
        if config.tracker != "none":
            accelerator.init_trackers("emosh", config=config_dict(config))
        run = Running(accelerator, model, optimizer, cache, config, out, record, validate, mean)
        trained = _steps(run, begun, found[-1].adapter if found else None, progress)
        if config.tune == "all" and accelerator.is_main_process:
            with mean.shown(plain) if mean is not None else nullcontext():
                write_folder(out / MODEL, plain, folder)
    except RuntimeError as error:
        raise _worded(error, accelerator, out) from error
    finally:
        accelerator.end_training()
    return trained


def made_accelerator(config: TrainConfig, out: Path, cpu: bool = False) -> Any:
    """accelerate's, as its launcher and the settings have it. Raises InputError for FSDP's first version, and for a
    tracker that is unknown or not installed."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # a run before in this process may have had another precision
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
        settle_sharding(accelerator.state.fsdp_plugin)
    return accelerator


def settle_sharding(plugin: Any) -> None:
    """Keep accelerate's FSDP from rounding: by its own policy it casts norms, timesteps (by up to 2 of 1,000) and the
    gradients that it adds up to bfloat16. Autocast does what is wanted, as on one card. Raises InputError for FSDP 1.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy

    if plugin.fsdp_version != 2:
        raise InputError("frozen bf16 and tuned float32 weights need FSDP 2; launch with: --fsdp_version 2")
    plugin.mixed_precision_policy = MixedPrecisionPolicy()


def check(folder: ModelFolder, cache: TrainingCache, config: TrainConfig, processes: int) -> None:
    """Refuse early what does not belong together."""
    if cache.index.layout != LAYOUT_VERSION:
        raise InputError(f"{cache.folder} was encoded for slot layout {cache.index.layout}, expected {LAYOUT_VERSION}")
    wanted = folder.config.get("text_dim")
    if wanted is not None and cache.prompt_embeds.shape[1] != wanted:
        raise InputError(
            f"{cache.folder} was encoded with another model: its text_dim is {cache.prompt_embeds.shape[1]}, "
            f"{folder.path}'s {wanted}; encode the manifest again"
        )
    wanted, tokens = folder.config.get("image_dim"), cache.window(0).image_tokens
    if folder.sees and wanted is not None and tokens[1] != wanted:
        raise InputError(
            f"{cache.folder} was encoded with another model: its image_dim is {tokens[1]}, {folder.path}'s {wanted}; "
            "encode the manifest again"
        )
    if config.tune == "all" and processes > 1:
        raise InputError("every weight of a small model is trained on one process; leave the launcher away")
    if config.offload_weights and processes > 1:
        raise InputError("offload_weights is for one card; shard the weights over several (accelerate's FSDP)")
    if config.batch_size % processes:
        raise InputError(f"batch_size {config.batch_size} does not divide among {processes} processes")


def provenance(cache: TrainingCache, config: TrainConfig, weights: dict[str, str]) -> Provenance:
    """What decides the trained weights. The number of steps does only where the rate falls towards the last."""
    free = [key for key in UNDECIDING if key != "steps" or not config.decay_share]
    settings = {key: value for key, value in config_dict(config).items() if key not in free}
    return Provenance("train", settings, {"cache": cache.index.fingerprint}, weights, config.seed)


@dataclass
class Running:
    """What the steps need."""

    accelerator: Any
    model: Any
    optimizer: Any
    cache: TrainingCache
    config: TrainConfig
    out: Path
    record: Provenance
    validate: Validate | None
    mean: Mean | None


def _steps(run: Running, begun: int, last: Path | None, progress: Progress) -> Trained:
    config, trained = run.config, Trained(begun, last or run.out)
    for step in range(begun, config.steps):
        loss, norm = take_step(run, step)
        trained.losses.append(loss)
        figures = {"loss": loss, "grad_norm": norm}
        done = step + 1
        if done % config.save_every == 0 or done == config.steps:
            plain = run.accelerator.unwrap_model(run.model)
            with run.mean.shown(plain) if run.mean is not None else nullcontext() as raw:
                trained.step, trained.adapter = done, _saved(run, done, raw)
                if run.validate and (done % config.validate_every == 0 or done == config.steps):
                    validated = _validated(run, trained.adapter, done)
                    trained.validations.append(validated)
                    figures |= {f"validation/{name}": value for name, value in validated.items()}
        run.accelerator.log(figures, step=done)
        progress(f"training (loss {loss:.4f})", done, config.steps)
    return trained


def take_step(run: Running, step: int) -> tuple[float, float]:
    """One optimiser step over the batch; its mean loss and the gradients' norm before clipping."""
    accelerator, config, model = run.accelerator, run.config, run.model
    share = config.batch_size // accelerator.num_processes
    first = step * config.batch_size + accelerator.process_index * share
    total = torch.zeros((), device=accelerator.device)
    drawn = [draw(first + number, len(run.cache), config) for number in range(share)]
    samples = together(
        [example(run.cache, each) for each in drawn], config.samples_at_once,
        lambda slots: first_judged(slots, config.loss_on_temporal),
    )  # fmt: skip
    for number, made in enumerate(samples):
        last = number == len(samples) - 1
        with nullcontext() if last else accelerator.no_sync(model):
            loss = sample_loss(model, made, accelerator.device, DTYPES[config.dtype], config.loss_on_temporal)
            accelerator.backward(loss * (len(made) / share))
        total += loss.detach() * (len(made) / share)
    mean = float(accelerator.reduce(total, "mean"))
    norm = accelerator.clip_grad_norm_([p for _, p in tuned(model)], config.max_grad_norm or math.inf)
    norm = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        kept = store.checkpoints(run.out)
        where = f"the checkpoint of step {kept[-1].step} is whole" if kept else "no checkpoint had been written"
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


def _saved(run: Running, step: int, raw: dict[str, Tensor] | None) -> Path:
    unwrapped = run.accelerator.unwrap_model(run.model)
    made = store.save(
        run.out, step, unwrapped, run.optimizer.optimizer, 0 if run.config.tune == "all" else run.config.rank,
        run.record, run.accelerator.is_main_process, run.config.keep, raw,
    )  # fmt: skip
    run.accelerator.wait_for_everyone()
    return made.adapter


def _validated(run: Running, adapter: Path, step: int) -> dict[str, float]:
    """The main process draws and scores the clips; the others wait."""
    figures: dict[str, float] = {}
    if run.accelerator.is_main_process and run.validate is not None:
        with torch.no_grad():
            figures = run.validate(run.accelerator.unwrap_model(run.model), adapter, step)
    run.accelerator.wait_for_everyone()
    return figures


def _worded(error: RuntimeError, accelerator: Any, out: Path) -> Exception:
    """One line for what a machine can do to a run; anything else as it is."""
    kept = store.checkpoints(out)
    where = f"run it again to go on from step {kept[-1].step}" if kept else "run it again"
    if isinstance(error, torch.OutOfMemoryError):
        return InputError(f"out of card memory; set train.storage=fp8 or train.offload_activations=true, and {where}")
    if accelerator.num_processes > 1 and any(word in str(error).lower() for word in LOST):
        return InputError(f"another process of this run was lost; {where}")
    return error
