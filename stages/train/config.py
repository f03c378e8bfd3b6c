"""What a user may change about training. Defaults are the paper's (3.4, 4.1, 0.B); what it does not state is marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stages.errors import InputError

STORAGES = ("full", "fp8")
TUNES = ("lora", "all")


@dataclass(frozen=True)
class TrainConfig:
    """The recipe."""

    steps: int = 6500
    """Optimiser steps."""
    batch_size: int = 32
    """Samples of one step, over all GPUs; each holds `samples_at_once` at a time and adds up."""
    learning_rate: float = 1e-4
    """Adam's."""
    rank: int = 32
    """Of the LoRA on the 12 linears of each block; alpha equals it."""
    temporal_probability: float = 0.5
    """How often a sample is a later chunk, which knows its first two latents."""
    auxiliary_probability: float = 0.1
    """How often a later chunk also gets an auxiliary frame of the same clip, where SAC is at inference."""
    moved_probability: float = 0.5
    """How often the reference is a little turned, shifted and cropped."""
    flow_shift: float = 5.0
    """Shift of the noise levels towards noise, as at inference."""
    tune: str = "lora"
    """What learns: `lora`, the adapter and the motion embedding; `all`, every weight of a small model."""
    warmup_steps: int = 0
    """Steps in which the learning rate rises from 0. The paper states none."""
    decay_share: float = 0.0
    """The last share of the steps, in which the learning rate falls to a twentieth. The paper states none."""
    ema: float = 0.0
    """Decay of the mean over steps that is kept of the weights in place of the last ones; 0: none, as in the paper."""
    samples_at_once: int = 1
    """Samples of one length that go through the model together, where there is memory; the sum is the same."""
    loss_on_temporal: bool = True
    """Whether the temporal slots bear loss; reference and auxiliary never do."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm; 0 never. Not stated in the paper."""
    dtype: str = "bfloat16"
    """Of the arithmetic and of the frozen weights: bfloat16, or float32. What is tuned is kept in float32."""
    storage: str = "full"
    """`fp8` keeps the blocks' frozen linears in 8 bits and computes in dtype, so that the base fits a 24 GB card."""
    offload_weights: bool = False
    """With storage fp8 on one card: keep those linears in host memory, and bring each over when it is multiplied."""
    gradient_checkpointing: bool = True
    """Compute each block again on the way back instead of keeping what it made."""
    offload_activations: bool = False
    """Keep the blocks' inputs in host memory between the ways forth and back."""
    save_every: int = 250
    """Steps between checkpoints."""
    keep: int = 2
    """Checkpoints kept, the newest ones."""
    validate_every: int = 500
    """Steps between validations, where clips for it are given."""
    tracker: str = "tensorboard"
    """Where curves go: one of accelerate's trackers, or none."""
    seed: int = 0
    """Of every draw. Sample n is the same on any number of GPUs."""

    def __post_init__(self) -> None:
        """Raises InputError for values that cannot be trained with."""
        for name in ("steps", "batch_size", "rank", "save_every", "keep", "validate_every", "samples_at_once"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("temporal_probability", "auxiliary_probability", "moved_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 0 to 1")
        if self.tune not in TUNES:
            raise InputError(f"tune is {self.tune!r}, expected one of: {', '.join(TUNES)}")
        if self.tune == "all" and self.storage != "full":
            raise InputError('what learns cannot be stored in 8 bits; set storage = "full"')
        if not 0 <= self.decay_share <= 1 or not 0 <= self.ema < 1 or self.warmup_steps < 0:
            raise InputError("decay_share is a share from 0 to 1, ema from 0 to below 1, warmup_steps at least 0")
        finite = math.isfinite(self.learning_rate + self.flow_shift + self.max_grad_norm)
        if not finite or self.learning_rate <= 0 or self.flow_shift <= 0 or self.max_grad_norm < 0:
            raise InputError("learning_rate and flow_shift must be above 0, max_grad_norm at least 0, none infinite")
        if self.dtype not in ("bfloat16", "float32"):
            raise InputError(f"dtype is {self.dtype!r}, expected bfloat16 or float32")
        if self.storage not in STORAGES:
            raise InputError(f"storage is {self.storage!r}, expected one of: {', '.join(STORAGES)}")
        if self.offload_activations and not self.gradient_checkpointing:
            raise InputError("offload_activations keeps checkpointed blocks' inputs; turn gradient_checkpointing on")
        if self.offload_weights and self.storage != "fp8":
            raise InputError('offload_weights moves weights that are stored in 8 bits; set storage = "fp8"')
