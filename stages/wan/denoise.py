"""The sampler: from noise to one chunk's latents, on flow sigmas shifted towards noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from jaxtyping import Float
from torch import Tensor

from stages.progress import Progress, silent
from stages.wan.config import WanConfig
from stages.wan.layout import LATENT_CHANNELS, Layout
from stages.wan.transformer import EmoshTransformer3DModel

TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True)
class Embeddings:
    """Inputs of the cross-attention, equal for all chunks: prompt (512 tokens) and CLIP tokens of the photo."""

    prompt_embeds: Float[Tensor, "1 text text_dim"]
    image_embeds: Float[Tensor, "1 image image_dim"]
    negative_prompt_embeds: Float[Tensor, "1 text text_dim"] | None = None


def make_scheduler(config: WanConfig, device: torch.device | str = "cpu") -> Any:
    """A new scheduler with its timesteps set. Schedulers keep state, so every chunk needs a new one.

    `FlowMatchEulerDiscreteScheduler.set_timesteps(n)` would apply the shift twice. With the unshifted sigmas it applies
    the shift once, as Wan's own code does.
    """
    steps, shift = config.num_inference_steps, config.flow_shift
    if config.scheduler == "euler":
        euler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=TRAIN_TIMESTEPS, shift=shift)
        euler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps).tolist(), device=device)
        return euler
    kinds = {"unipc": UniPCMultistepScheduler, "dpm++": DPMSolverMultistepScheduler}
    solver = kinds[config.scheduler](
        num_train_timesteps=TRAIN_TIMESTEPS, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
    )
    solver.set_timesteps(steps, device=device)
    return solver


def noise(
    layout: Layout, height: int, width: int, generator: torch.Generator, device: torch.device | str = "cpu"
) -> Float[Tensor, "1 16 slots h w"]:
    """Noise for every slot, also the known ones. `height` and `width` in latents. Drawn on the generator's device."""
    shape = (1, LATENT_CHANNELS, layout.slots, height, width)
    return torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32).to(device)


@torch.no_grad()
def denoise(
    transformer: EmoshTransformer3DModel,
    latents: Float[Tensor, "1 16 slots h w"],
    condition: Float[Tensor, "1 20 slots h w"],
    motion: Float[Tensor, "1 16 video h w"] | None,
    embeddings: Embeddings,
    config: WanConfig,
    lead: int = 1,
    progress: Progress = silent,
) -> Float[Tensor, "1 16 slots h w"]:
    """Denoise one chunk. `latents` is its noise. With `renoise`, the first `lead` slots get new noise at every step.

    Step caches of the transformer are emptied first, because the chunk before may have another length or photo.
    """
    transformer._reset_stateful_cache()
    device, dtype = latents.device, transformer.dtype
    scheduler = make_scheduler(config, device)
    start, clean = latents, condition[:, -LATENT_CHANNELS:, :lead]
    image_embeds = embeddings.image_embeds.to(device, dtype)
    motion = None if motion is None else motion.to(device, dtype)
    prompts = {"cond": embeddings.prompt_embeds.to(device, dtype)}
    if config.guidance_scale > 1:
        assert embeddings.negative_prompt_embeds is not None
        prompts["uncond"] = embeddings.negative_prompt_embeds.to(device, dtype)
    for step, timestep in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[step])
        if config.renoise:
            latents = latents.clone()
            latents[:, :, :lead] = (1 - sigma) * clean + sigma * start[:, :, :lead]
        hidden_states = torch.cat([latents, condition], dim=1).to(dtype)
        flow = {}
        for name, prompt_embeds in prompts.items():
            with transformer.cache_context(
                name, step_index=step, sigma=sigma, num_inference_steps=config.num_inference_steps
            ):
                flow[name] = transformer(
                    hidden_states=hidden_states,
                    timestep=timestep.expand(1),
                    encoder_hidden_states=prompt_embeds,
                    encoder_hidden_states_image=image_embeds,
                    motion_hidden_states=motion,
                    return_dict=False,
                )[0]
        predicted = flow["cond"]
        if "uncond" in flow:
            predicted = flow["uncond"] + config.guidance_scale * (flow["cond"] - flow["uncond"])
        latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
        progress("denoising", step + 1, config.num_inference_steps)
    return latents
