"""The plan of a training run, made before anything is loaded: memory per GPU, seconds per step, hours.

Operations are counted as in `stages/wan/cost.py`. The backward pass of a frozen linear layer computes only the gradient
of its input, with as many operations as the forward pass. The backward pass of attention takes 2.5 times the operations
of its forward pass, because it computes the scores again. With checkpointing, the forward pass of every block runs
twice. Activations of one block, forward and backward, are counted on the meta device. Rates are those of drawing on the
device; a step of training is slower by `SLOWER_THAN_DRAWING`. Hours do not include loading, logging or waiting.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from stages.errors import InputError
from stages.train.config import TrainConfig
from stages.wan.config import WanConfig
from stages.wan.cost import LiveBytes, meta_inputs, meta_transformer, transformer_operations
from stages.wan.device_speeds import Device, known_device, measured_device
from stages.wan.layout import Layout, layout
from stages.wan.plan import GB, RESERVE_BYTES, ROUNDING, Networks, duration_text

CARD_GB = {"GB200": 192, "B200": 192, "H200": 141, "H20": 96, "H100": 80, "H800": 80, "A100": 80, "L40S": 48,
           "RTX PRO 6000": 96, "RTX 5090": 32, "RTX 4090": 24, "RTX 3090": 24, "A6000": 48}  # fmt: skip
TUNED_BYTES = 16
"""Bytes per trained number: itself, its gradient and Adam's two averages, in float32."""
SLOWER_THAN_DRAWING = 1.36
"""Measured seconds of a sample over those of its operations at the rates of drawing: 7.70 s on an H200 with weights in
bf16 (benchmarks/gpu_train.py). Blocks are not compiled here."""
PAPER_HOURS, PAPER_STEPS, PAPER_GPUS, PAPER_BATCH = 100.0, 6500, 32, 32
PAPER_PEAK = 148e12
"""Dense bf16 operations per second of an H20 by its datasheet."""


@dataclass(frozen=True)
class TrainingData:
    """Size of the training windows: picture in pixels, frames per chunk, frames of overlap."""

    height: int = 512
    width: int = 512
    chunk_frames: int = 77
    overlap_frames: int = 5


@dataclass(frozen=True)
class Hardware:
    """Number and kind of the cards, which are all equal. `device` None: the CPU, whose rate is not known."""

    gpus: int
    device: Device | None
    card_bytes: float
    sharded: bool = False
    """Whether accelerate shards the weights over the cards (FSDP)."""


@dataclass(frozen=True)
class TrainingPlan:
    """Memory and time of a training run. Bytes are per GPU."""

    config: TrainConfig
    hardware: Hardware
    bytes_by_part: dict[str, float]
    sample_operations: float
    step_seconds: float | None

    @property
    def peak_bytes(self) -> float:
        """Peak memory of one GPU."""
        return sum(self.bytes_by_part.values())

    @property
    def hours(self) -> float | None:
        """Hours of the whole run; None where the device's rate is unknown."""
        return None if self.step_seconds is None else self.step_seconds * self.config.steps / 3600

    @property
    def fits(self) -> bool:
        """Whether the memory of a card is enough."""
        return self.peak_bytes <= self.hardware.card_bytes

    def line(self) -> str:
        """The plan in one line."""
        time = "time unknown here"
        if self.step_seconds is not None:
            whole = self.step_seconds * self.config.steps
            time = f"{duration_text(self.step_seconds)} per step, {duration_text(whole)} in all"
        return (
            f"plan: {self.config.steps} steps of {self.config.batch_size} samples on {self.hardware.gpus} "
            f"x {self.name}, {self.peak_bytes / GB:.1f} GB of {self.hardware.card_bytes / GB:.0f} on each, "
            f"{self.sample_operations / 1e15:.2f} PFLOP per sample, {time}{'' if self.fits else '; IT DOES NOT FIT'}"
        )

    @property
    def name(self) -> str:
        """Name of the card, for messages."""
        return "CPU" if self.hardware.device is None else self.hardware.device.match or "this card"

    def lines(self) -> list[str]:
        """The whole plan: its line, then one line per part of the memory."""
        lines = [self.line(), *(f"  {name}: {size / GB:.2f} GB" for name, size in self.bytes_by_part.items())]
        if not self.fits:
            lines.append(f"  {remedy(self)}")
        return lines

    def figures(self) -> dict[str, Any]:
        """The plan's figures for --json."""
        return {
            "peak_gb": round(self.peak_bytes / GB, 2), "fits": self.fits, "step_seconds": self.step_seconds,
            "hours": self.hours, "pflop_per_sample": self.sample_operations / 1e15,
        }  # fmt: skip


def make_plan(
    transformer: Mapping[str, Any], material: TrainingData, config: TrainConfig, hardware: Hardware
) -> TrainingPlan:
    """Memory, operations and time of a run."""
    linear, attention = sample_operations(transformer, material, config)
    seconds = None
    if hardware.device is not None:
        share = -(-config.batch_size // hardware.gpus)
        seconds = SLOWER_THAN_DRAWING * (linear / hardware.device.linear + attention / hardware.device.attention)
        if config.offload_weights:  # the card receives every weight in each forward pass and once in the backward pass
            copied = Networks(transformer, {}, WanConfig(dtype=config.dtype)).fp8_bytes
            seconds += (3 if config.gradient_checkpointing else 2) * copied / hardware.device.link
        seconds *= share
    return TrainingPlan(config, hardware, _memory(transformer, material, config, hardware), linear + attention, seconds)


def layouts(material: TrainingData, config: TrainConfig) -> list[tuple[float, Layout]]:
    """(share of the samples, layout) of each kind of sample."""
    later, auxiliary = config.temporal_probability, config.temporal_probability * config.auxiliary_probability
    frames = material.chunk_frames, material.overlap_frames
    return [
        (1 - later, layout(*frames, True, False)),
        (later - auxiliary, layout(*frames, False, False)),
        (auxiliary, layout(*frames, False, True)),
    ]


def sample_operations(
    transformer: Mapping[str, Any], material: TrainingData, config: TrainConfig
) -> tuple[float, float]:
    """(linear, attention) operations of one sample, forward and backward, averaged over the kinds of sample."""
    linear = attention = 0.0
    forward = 2 if config.gradient_checkpointing else 1
    for share, slots in layouts(material, config):
        once = transformer_operations(transformer, slots, material.height, material.width)
        lora = 2.0 * slots.tokens(material.height, material.width) * tuned_numbers(transformer, config.rank)
        whole = config.tune == "all"
        frozen = (forward + 1) * once.linear + (forward + 2) * lora
        linear += share * ((forward + 2) * once.linear if whole else frozen)
        attention += share * (forward + 2.5) * once.attention
    return linear, attention


def tuned_numbers(transformer: Mapping[str, Any], rank: int) -> int:
    """Number of trained numbers: LoRA on 12 linear layers of each block, and the motion embedding."""
    d, ffn = transformer["num_attention_heads"] * transformer["attention_head_dim"], transformer["ffn_dim"]
    patch = transformer["patch_size"]
    embedding = d * (16 * patch[0] * patch[1] * patch[2] + 1)
    return transformer["num_layers"] * rank * (10 * 2 * d + 2 * (d + ffn)) + embedding


def _memory(
    transformer: Mapping[str, Any], material: TrainingData, config: TrainConfig, hardware: Hardware
) -> dict[str, float]:
    networks = Networks(transformer, {}, WanConfig(dtype=config.dtype))
    base = networks.fp8_bytes if config.storage == "fp8" else networks.transformer_bytes
    if config.offload_weights:
        base -= networks.fp8_bytes // networks.transformer["num_layers"] * (networks.transformer["num_layers"] - 1)
    block = networks.block_bytes * (0.5 if config.storage == "fp8" else 1.0)
    shards = hardware.gpus if hardware.sharded else 1
    largest = max((slots for share, slots in layouts(material, config) if share > 0), key=lambda each: each.slots)
    layers, size = transformer["num_layers"], torch.bfloat16.itemsize if config.dtype == "bfloat16" else 4
    tokens = largest.tokens(material.height, material.width)
    inputs = tokens * transformer["num_attention_heads"] * transformer["attention_head_dim"] * size
    two = activation_bytes(transformer, largest, material, config, 2)
    each = (
        inputs if config.gradient_checkpointing else two - activation_bytes(transformer, largest, material, config, 1)
    )
    kept = 0 if config.offload_activations else each * (layers - 2)
    tuned = tuned_numbers(transformer, config.rank)
    if config.tune == "all":
        tuned, base = networks.transformer_bytes // size, 0
    return {
        "frozen weights": base / shards + (2 * block if shards > 1 else 0),
        "tuned weights, gradients and Adam": (TUNED_BYTES + (4 if config.ema_decay else 0)) * tuned / shards,
        "activations": (two + kept) * config.samples_at_once * ROUNDING,
        "driver and libraries": RESERVE_BYTES,
    }


def activation_bytes(
    transformer: Mapping[str, Any], slots: Layout, material: TrainingData, config: TrainConfig, blocks: int
) -> int:
    """Peak memory of forward and backward pass besides weights and inputs, in bytes, with that many blocks."""
    described = json.dumps({**transformer, "num_layers": blocks})
    return _counted(described, slots, material, config.dtype, config.gradient_checkpointing, config.rank)


@lru_cache
def _counted(described: str, slots: Layout, material: TrainingData, dtype: str, checkpointing: bool, rank: int) -> int:
    from stages.wan.adapter import add_adapter

    config, kind = json.loads(described), getattr(torch, dtype)
    model = meta_transformer(config, kind)
    with torch.device("meta"):
        add_adapter(model, rank)
    for parameter in model.parameters():  # autocast converts trained weights to the computation's number type
        if parameter.requires_grad:
            parameter.data = parameter.data.to(kind)
    if checkpointing:
        model.enable_gradient_checkpointing(_checkpointed)
    inputs = meta_inputs(config, slots, material.height, material.width, kind)
    with _fused_attention(), LiveBytes([*model.parameters(), *model.buffers(), *inputs.values()]) as live:
        flow = model(**inputs, return_dict=False)[0]
        flow.float().square().mean().backward()
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    return live.peak - gradients


def _checkpointed(module: Any, *inputs: Any) -> Any:
    from torch.utils.checkpoint import checkpoint

    return checkpoint(module.__call__, *inputs, use_reentrant=False, preserve_rng_state=False)


class _Fused(torch.autograd.Function):
    """Attention with the memory of a fused kernel: it keeps its inputs and its result, no tokens x tokens matrix."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any) -> Any:  # type: ignore[override]
        result = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:  # type: ignore[override]
        return tuple(torch.empty_like(each) for each in ctx.saved_tensors[:3])


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Replace attention by `_Fused` while the block runs. A function mode would not reach the backward pass."""
    original = torch.nn.functional.scaled_dot_product_attention

    def fused(*values: Any, **named: Any) -> Any:
        return _Fused.apply(*[*values, *(named[name] for name in ("query", "key", "value")[len(values) :])][:3])

    torch.nn.functional.scaled_dot_product_attention = fused  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = original


def this_hardware(device: str) -> Hardware:
    """The cards of this run's processes by accelerate's launcher, or the CPU where there are none."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if device == "cpu" or not torch.cuda.is_available():
        from stages.wan.machine import free_host_bytes

        return Hardware(processes, None, free_host_bytes() / processes)
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Hardware(processes, known_device(card.name) or measured_device("cuda"), card.total_memory, sharded)


def parse_hardware(text: str) -> Hardware:
    """Hardware from a text: `8xH100`, or `8xH100+fsdp` for weights sharded over the cards. Raises InputError."""
    match = re.fullmatch(r"(\d+)\s*x\s*(.+?)(\+fsdp)?", text, re.IGNORECASE)
    device = known_device(match[2]) if match else None
    if match is None or device is None or int(match[1]) < 1:
        raise InputError(f"--hardware {text}: write it as 8xH100 or 8xH100+fsdp; known cards: {', '.join(CARD_GB)}")
    return Hardware(int(match[1]), device, CARD_GB[device.match] * GB, bool(match[3]))


def check_fits(plan: TrainingPlan) -> TrainingPlan:
    """The plan, unchanged. Raises InputError that names the option to change where the memory is not enough."""
    if not plan.fits:
        size = plan.hardware.card_bytes / GB
        raise InputError(f"training needs {plan.peak_bytes / GB:.1f} GB, {size:.1f} GB are available; {remedy(plan)}")
    return plan


def remedy(plan: TrainingPlan) -> str:
    """The next option to change that needs less memory."""
    config = plan.config
    if not config.gradient_checkpointing:
        return "set train.gradient_checkpointing=true"
    if config.storage != "fp8":
        return "set train.storage=fp8, or shard over several cards (accelerate launch --use_fsdp --fsdp_version 2)"
    if not config.offload_activations:
        return "set train.offload_activations=true"
    if not config.offload_weights:
        return "set train.offload_weights=true (one card)"
    return "encode smaller clips (--set render_cond.width=384 --set render_cond.height=384)"


def paper_line(transformer: Mapping[str, Any]) -> str:
    """The paper's run by the same counts, for comparison with the plan's hours."""
    share = paper_share(transformer)
    return (
        f"the paper trained {PAPER_STEPS:,} steps in {PAPER_HOURS:g} hours on {PAPER_GPUS} H20: by the same counts "
        f"{share:.0%} of the cards' peak rate"
    )


def paper_share(transformer: Mapping[str, Any]) -> float:
    """Share of an H20's datasheet rate that the paper's 100 hours mean, by these counts."""
    config = TrainConfig(steps=PAPER_STEPS, batch_size=PAPER_BATCH)
    linear, attention = sample_operations(transformer, TrainingData(), config)
    seconds = PAPER_HOURS * 3600 / PAPER_STEPS
    return (linear + attention) * PAPER_BATCH / PAPER_GPUS / seconds / PAPER_PEAK
