"""Flow matching (paper 3.4): the transformer says z1 - z0 of z_t, judged where the clip's own frames are."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stages.train.examples import Example
from stages.wan.denoise import TRAIN_TIMESTEPS
from stages.wan.layout import Layout


def first_judged(layout: Layout, on_temporal: bool) -> int:
    """The first slot that bears loss."""
    return layout.lead + (0 if on_temporal else layout.temporal)


def flow_loss(
    predicted: Float[Tensor, "samples 16 slots h w"],
    clean: Float[Tensor, "samples 16 slots h w"],
    noise: Float[Tensor, "samples 16 slots h w"],
    layout: Layout,
    on_temporal: bool = True,
) -> Float[Tensor, ""]:
    """Mean squared error against noise - clean, without the reference and the auxiliary slot."""
    first = first_judged(layout, on_temporal)
    target = noise[:, :, first:] - clean[:, :, first:]
    return (predicted[:, :, first:].float() - target).square().mean()


def predicted(
    model: Any, example: Example, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "samples 16 slots h w"]:
    """What the transformer says of samples, computed in `dtype` but for what it keeps in float32."""
    hidden_states = torch.cat([example.noisy, example.condition], dim=1)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return model(
            hidden_states=hidden_states.to(device, dtype),
            timestep=(example.t * TRAIN_TIMESTEPS).to(device),
            encoder_hidden_states=example.prompt_embeds.to(device, dtype),
            encoder_hidden_states_image=example.image_embeds.to(device, dtype),
            motion_hidden_states=example.motion.to(device, dtype),
            return_dict=False,
        )[0]


def sample_loss(
    model: Any, example: Example, device: torch.device, dtype: torch.dtype, on_temporal: bool = True
) -> Float[Tensor, ""]:
    """The loss of one sample, or the mean over several."""
    said = predicted(model, example, device, dtype)
    return flow_loss(said, example.clean.to(device), example.noise.to(device), example.layout, on_temporal)
