"""Flow matching (paper 3.4): the transformer predicts z1 - z0 from z_t. The loss covers the slots of the clip's
frames."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from stages.train.examples import Example
from stages.wan.denoise import TRAIN_TIMESTEPS
from stages.wan.layout import Layout


def first_slot_with_loss(layout: Layout, on_temporal: bool) -> int:
    """Index of the first slot that the loss includes."""
    return layout.lead + (0 if on_temporal else layout.temporal)


def flow_loss(
    predicted: Float[Tensor, "samples 16 slots h w"],
    clean: Float[Tensor, "samples 16 slots h w"],
    noise: Float[Tensor, "samples 16 slots h w"],
    layout: Layout,
    on_temporal: bool = True,
) -> Float[Tensor, ""]:
    """Mean squared error against noise - clean, without the reference and auxiliary slots."""
    first = first_slot_with_loss(layout, on_temporal)
    target = noise[:, :, first:] - clean[:, :, first:]
    return (predicted[:, :, first:].float() - target).square().mean()


def predict_flow(
    model: Any, example: Example, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "samples 16 slots h w"]:
    """The flow that the transformer predicts, computed in `dtype` except for its float32 modules."""
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
    flow = predict_flow(model, example, device, dtype)
    return flow_loss(flow, example.clean.to(device), example.noise.to(device), example.layout, on_temporal)
