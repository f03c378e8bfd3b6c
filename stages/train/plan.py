"""What a training run needs and takes, said before anything is loaded: memory of each GPU, seconds a step, hours.

Operations are counted as in `stages/wan/cost.py`. Of frozen linears the way back computes only the gradient of their
input: as many operations as the way forth. Attention's way back is two and a half times its way forth (it computes
the scores again). With checkpointing every block is computed twice. Activations of one block, forth and back, are
counted on the meta device. Rates are the device's; hours are at those rates, without loading, logging or waiting.
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
from stages.wan.plan import GB, RESERVE_BYTES, ROUNDING, Networks, spoken

CARD_GB = {"GB200": 192, "B200": 192, "H200": 141, "H20": 96, "H100": 80, "H800": 80, "A100": 80, "L40S": 48,
           "RTX PRO 6000": 96, "RTX 5090": 32, "RTX 4090": 24, "RTX 3090": 24, "A6000": 48}  # fmt: skip
TUNED_BYTES = 16
"""Of a tuned number: itself, its gradient and Adam's two averages, in float32."""
PAPER_HOURS, PAPER_STEPS, PAPER_GPUS, PAPER_BATCH = 100.0, 6500, 32, 32
PAPER_PEAK = 148e12
"""An H20's dense bf16 by its datasheet."""


@dataclass(frozen=True)
class Material:
    """What is trained on."""

    height: int = 512
    width: int = 512
    chunk_frames: int = 77
    overlap_frames: int = 5


@dataclass(frozen=True)
class Hardware:
    """Equal cards. `device` None: the CPU, whose rate is not known."""

    gpus: int
    device: Device | None
    card_bytes: float
    sharded: bool = False
    """Whether accelerate shards the weights over the cards (FSDP)."""


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that is known before the weights are loaded. Bytes are of one GPU."""

    config: TrainConfig
    hardware: Hardware
    bytes_by_part: dict[str, float]
    sample_operations: float
    step_seconds: float | None

    @property
    def peak_bytes(self) -> float:
        """The most that one GPU holds."""
        return sum(self.bytes_by_part.values())

    @property
    def hours(self) -> float | None:
        """Of the whole run."""
        return None if self.step_seconds is None else self.step_seconds * self.config.steps / 3600

    @property
    def fits(self) -> bool:
        """Whether a card holds it."""
        return self.peak_bytes <= self.hardware.card_bytes

    def line(self) -> str:
        """In one line."""
        time = "time unknown here"
        if self.step_seconds is not None:
            time = f"{spoken(self.step_seconds)} a step, {spoken(self.step_seconds * self.config.steps)} in all"
        return (
            f"plan: {self.config.steps} steps of {self.config.batch_size} samples on {self.hardware.gpus} "
            f"x {self.name}, {self.peak_bytes / GB:.1f} GB of {self.hardware.card_bytes / GB:.0f} on each, "
            f"{self.sample_operations / 1e15:.2f} PFLOP a sample, {time}{'' if self.fits else '; IT DOES NOT FIT'}"
        )

    @property
    def name(self) -> str:
        """Of a card."""
        return "CPU" if self.hardware.device is None else self.hardware.device.match or "this card"

    def lines(self) -> list[str]:
        """The whole plan."""
        said = [self.line(), *(f"  {name}: {size / GB:.2f} GB" for name, size in self.bytes_by_part.items())]
        if not self.fits:
            said.append(f"  {remedy(self)}")
        return said

    def figures(self) -> dict[str, Any]:
        """For --json."""
        return {
            "peak_gb": round(self.peak_bytes / GB, 2), "fits": self.fits, "step_seconds": self.step_seconds,
            "hours": self.hours, "pflop_per_sample": self.sample_operations / 1e15,
        }  # fmt: skip


def make_plan(
    transformer: Mapping[str, Any], material: Material, config: TrainConfig, hardware: Hardware
) -> TrainingPlan:
    """Count a run."""
    linear, attention = sample_operations(transformer, material, config)
    seconds = None
    if hardware.device is not None:
        share = -(-config.batch_size // hardware.gpus)
        seconds = linear / hardware.device.matmul + attention / hardware.device.attention
        if config.offload_weights:  # every weight comes over twice on the way forth and once on the way back
            held = Networks(transformer, {}, WanConfig(dtype=config.dtype)).fp8_bytes
            seconds += (3 if config.gradient_checkpointing else 2) * held / hardware.device.link
        seconds *= share
    return TrainingPlan(config, hardware, _memory(transformer, material, config, hardware), linear + attention, seconds)


def layouts(material: Material, config: TrainConfig) -> list[tuple[float, Layout]]:
    """(how often, which) of the kinds of sample."""
    later, auxiliary = config.temporal_probability, config.temporal_probability * config.auxiliary_probability
    frames = material.chunk_frames, material.overlap_frames
    return [
        (1 - later, layout(*frames, True, False)),
        (later - auxiliary, layout(*frames, False, False)),
        (auxiliary, layout(*frames, False, True)),
    ]


def sample_operations(transformer: Mapping[str, Any], material: Material, config: TrainConfig) -> tuple[float, float]:
    """(linear, attention) of one sample forth and back, the mean over its kinds."""
    linear = attention = 0.0
    forth = 2 if config.gradient_checkpointing else 1
    for share, slots in layouts(material, config):
        once = transformer_operations(transformer, slots, material.height, material.width)
        lora = 2.0 * slots.tokens(material.height, material.width) * tuned_numbers(transformer, config.rank)
        whole = config.tune == "all"
        linear += share * ((forth + 2) * once.linear if whole else (forth + 1) * once.linear + (forth + 2) * lora)
        attention += share * (forth + 2.5) * once.attention
    return linear, attention


def tuned_numbers(transformer: Mapping[str, Any], rank: int) -> int:
    """LoRA on 12 linears of each block, and the motion embedding."""
    d, ffn = transformer["num_attention_heads"] * transformer["attention_head_dim"], transformer["ffn_dim"]
    patch = transformer["patch_size"]
    embedding = d * (16 * patch[0] * patch[1] * patch[2] + 1)
    return transformer["num_layers"] * rank * (10 * 2 * d + 2 * (d + ffn)) + embedding


def _memory(
    transformer: Mapping[str, Any], material: Material, config: TrainConfig, hardware: Hardware
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
        "tuned weights, gradients and Adam": (TUNED_BYTES + (4 if config.ema else 0)) * tuned / shards,
        "activations": (two + kept) * config.samples_at_once * ROUNDING,
        "driver and libraries": RESERVE_BYTES,
    }


def activation_bytes(
    transformer: Mapping[str, Any], slots: Layout, material: Material, config: TrainConfig, blocks: int
) -> int:
    """Most bytes alive, forth and back, besides weights and inputs, with that many blocks."""
    described = json.dumps({**transformer, "num_layers": blocks})
    return _counted(described, slots, material, config.dtype, config.gradient_checkpointing, config.rank)


@lru_cache
def _counted(described: str, slots: Layout, material: Material, dtype: str, checkpointing: bool, rank: int) -> int:
    from stages.wan.adapter import add_adapter

    config, kind = json.loads(described), getattr(torch, dtype)
    model = meta_transformer(config, kind)
    with torch.device("meta"):
        add_adapter(model, rank)
    for parameter in model.parameters():  # autocast computes with tuned weights in the arithmetic's type
        if parameter.requires_grad:
            parameter.data = parameter.data.to(kind)
    if checkpointing:
        model.enable_gradient_checkpointing(_checkpointed)
    given = meta_inputs(config, slots, material.height, material.width, kind)
    with _fused_attention(), LiveBytes([*model.parameters(), *model.buffers(), *given.values()]) as live:
        said = model(**given, return_dict=False)[0]
        said.float().square().mean().backward()
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    return live.peak - gradients


def _checkpointed(module: Any, *given: Any) -> Any:
    from torch.utils.checkpoint import checkpoint

    return checkpoint(module.__call__, *given, use_reentrant=False, preserve_rng_state=False)


class _Fused(torch.autograd.Function):
    """Attention as a fused kernel keeps it: its inputs and its result, no tokens x tokens matrix."""

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
    """Attention as a fused kernel while on, on the way back too, where a function mode does not reach."""
    kept = torch.nn.functional.scaled_dot_product_attention

    def fused(*given: Any, **named: Any) -> Any:
        return _Fused.apply(*[*given, *(named[name] for name in ("query", "key", "value")[len(given) :])][:3])

    torch.nn.functional.scaled_dot_product_attention = fused  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = kept


def here(device: str) -> Hardware:
    """The cards that this run's processes have, as accelerate's launcher says; the CPU where there are none."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if device == "cpu" or not torch.cuda.is_available():
        from stages.wan.machine import free_host_bytes

        return Hardware(processes, None, free_host_bytes() / processes)
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Hardware(processes, known_device(card.name) or measured_device("cuda"), card.total_memory, sharded)


def parsed_hardware(text: str) -> Hardware:
    """`8xH100`, or `8xH100+fsdp` with the weights sharded over the cards."""
    match = re.fullmatch(r"(\d+)\s*x\s*(.+?)(\+fsdp)?", text, re.IGNORECASE)
    device = known_device(match[2]) if match else None
    if match is None or device is None or int(match[1]) < 1:
        raise InputError(f"--hardware {text}: write it as 8xH100 or 8xH100+fsdp; known are: {', '.join(CARD_GB)}")
    return Hardware(int(match[1]), device, CARD_GB[device.match] * GB, bool(match[3]))


def checked(plan: TrainingPlan) -> TrainingPlan:
    """The plan, if a card holds it. Raises InputError naming the option to change."""
    if not plan.fits:
        size = plan.hardware.card_bytes / GB
        raise InputError(f"training needs {plan.peak_bytes / GB:.1f} GB, {size:.1f} GB are there; {remedy(plan)}")
    return plan


def remedy(plan: TrainingPlan) -> str:
    """The next option that needs less."""
    config = plan.config
    if not config.gradient_checkpointing:
        return "set train.gradient_checkpointing=true"
    if config.storage != "fp8":
        return "set train.storage=fp8, or shard over several cards (accelerate launch --use_fsdp --fsdp_version 2)"
    if not config.offload_activations:
        return "set train.offload_activations=true"
    if not config.offload_weights:
        return "set train.offload_weights=true (one card)"
    return "encode the clips smaller (--set render_cond.width=384 --set render_cond.height=384)"


def paper_line(transformer: Mapping[str, Any]) -> str:
    """The paper's own run by the same counts, to judge the plan's hours by."""
    share = paper_share(transformer)
    return (
        f"the paper's {PAPER_HOURS:g} hours on {PAPER_GPUS} H20 for {PAPER_STEPS:,} steps are {share:.0%} of those "
        "cards' peak by these counts"
    )


def paper_share(transformer: Mapping[str, Any]) -> float:
    """Share of an H20's datasheet rate that the paper's 100 hours imply, by these counts."""
    config = TrainConfig(steps=PAPER_STEPS, batch_size=PAPER_BATCH)
    linear, attention = sample_operations(transformer, Material(), config)
    seconds = PAPER_HOURS * 3600 / PAPER_STEPS
    return (linear + attention) * PAPER_BATCH / PAPER_GPUS / seconds / PAPER_PEAK
