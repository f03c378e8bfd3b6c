"""Settings of training. Defaults are the paper's (3.4, 4.1, 0.B). Settings that the paper does not state say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stages.errors import InputError

STORAGES = ("full", "fp8")
TUNES = ("lora", "all")


@dataclass(frozen=True)
class TrainConfig:
    """The training recipe."""

    steps: int = 6500
    """Number of optimiser steps."""
    batch_size: int = 32
    """Samples per step over all GPUs together. A GPU computes samples_at_once at a time and accumulates the
    gradients."""
    learning_rate: float = 1e-4
    """Learning rate of Adam."""
    rank: int = 32
    """Rank of the LoRA on the 12 linear layers of each block. Its alpha equals the rank."""
    shares: tuple[float, ...] = ()
    """Share of the samples that comes from each cache, one number per CACHE of the command, in any unit. The paper's
    three sets (4.1): [37.8, 60.6, 1.6]."""
    temporal_probability: float = 0.5
    """Probability that a sample is a later chunk, whose first latents (encode.overlap_frames) are known. Else it is a
    first chunk."""
    auxiliary_probability: float = 0.1
    """Probability that a later chunk also gets an auxiliary frame of the same clip, in the slot that SAC uses when a
    video is generated."""
    augment_probability: float = 0.5
    """Probability that the reference photo is augmented: slightly rotated, shifted and cropped."""
    flow_shift: float = 5.0
    """Shift of the noise levels: above 1, more samples have high noise. 5 as when a video is
    generated; the paper states none."""
    tune: str = "lora"
    """What is trained: `lora` trains a LoRA and the motion embedding, `all` trains every weight (for small models)."""
    warmup_steps: int = 0
    """Number of first steps in which the learning rate rises linearly from 0. The paper states none."""
    decay_share: float = 0.0
    """Share of the steps, at the end, in which the learning rate falls to a twentieth. The paper states none."""
    ema_decay: float = 0.0
    """Decay of the exponential moving average (EMA) of the weights, which is saved instead of the last weights. 0: no
    average, as in the paper."""
    samples_at_once: int = 1
    """Samples of equal length that a GPU computes in one pass. More is faster and needs more memory; the gradients are
    the same."""
    loss_on_temporal: bool = True
    """Whether the loss includes a later chunk's known latents. Reference and auxiliary frame are never included."""
    max_grad_norm: float = 1.0
    """Norm to which gradients are clipped. 0: no clipping. The paper states none."""
    dtype: str = "bfloat16"
    """Number type of the computation and of the frozen weights: bfloat16 or float32. Trained weights are kept in
    float32."""
    storage: str = "full"
    """How the frozen linear layers are stored: `full` as dtype says; `fp8` in 8 bits, so that the base fits a card of
    24 GB. Products are computed in dtype either way."""
    offload_weights: bool = False
    """Keep the frozen linear layers in host memory and copy each to the card when it is used. Slower, saves card
    memory. Needs storage fp8 and a single card."""
    gradient_checkpointing: bool = True
    """Recompute each block in the backward pass instead of keeping its activations. Slower, saves card memory."""
    offload_activations: bool = False
    """Keep the blocks' inputs in host memory between forward and backward pass. Slower, saves card memory."""
    save_every: int = 250
    """Number of steps between two checkpoints."""
    keep_checkpoints: int = 2
    """Number of checkpoints that are kept; older ones are deleted."""
    validate_every: int = 500
    """Number of steps between two validations. Validation runs only where validation clips are given (--validation)."""
    tracker: str = "tensorboard"
    """Where the curves of loss and scores are logged: one of accelerate's trackers, such as tensorboard, or none."""
    seed: int = 0
    """Seed of every random choice. Sample n is the same on any number of GPUs."""

    def __post_init__(self) -> None:
        """Raises InputError for values that do not work, alone or together."""
        for name in (
            "steps",
            "batch_size",
            "rank",
            "save_every",
            "keep_checkpoints",
            "validate_every",
            "samples_at_once",
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("temporal_probability", "auxiliary_probability", "augment_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 0 to 1")
        if not all(0 < share < math.inf for share in self.shares):
            raise InputError(f"shares are {list(self.shares)}, expected numbers above 0, one per cache")
        if self.tune not in TUNES:
            raise InputError(f"tune is {self.tune!r}, expected one of: {', '.join(TUNES)}")
        if self.tune == "all" and self.storage != "full":
            raise InputError('tune = "all" cannot train weights that are stored in 8 bits; set storage = "full"')
        if not 0 <= self.decay_share <= 1 or not 0 <= self.ema_decay < 1 or self.warmup_steps < 0:
            raise InputError("decay_share must be 0 to 1, ema_decay 0 to below 1, warmup_steps at least 0")
        finite = math.isfinite(self.learning_rate + self.flow_shift + self.max_grad_norm)
        if not finite or self.learning_rate <= 0 or self.flow_shift <= 0 or self.max_grad_norm < 0:
            raise InputError("learning_rate and flow_shift must be above 0, max_grad_norm at least 0, none infinite")
        if self.dtype not in ("bfloat16", "float32"):
            raise InputError(f"dtype is {self.dtype!r}, expected bfloat16 or float32")
        if self.storage not in STORAGES:
            raise InputError(f"storage is {self.storage!r}, expected one of: {', '.join(STORAGES)}")
        if self.offload_activations and not self.gradient_checkpointing:
            raise InputError("offload_activations moves checkpointed inputs; set gradient_checkpointing = true")
        if self.offload_weights and self.storage != "fp8":
            raise InputError('offload_weights needs weights stored in 8 bits; set storage = "fp8"')
