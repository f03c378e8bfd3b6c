"""Encode and decode with Wan's VAE. Pixels are in [-1, 1], latents are normalised per channel.

Encoding takes the mode of the latents' distribution, never a sample.
"""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from jaxtyping import Float, UInt8
from torch import Tensor

from stages.wan.fixed_codec import BlockCodec

Vae = AutoencoderKLWan | BlockCodec
"""Wan's VAE, or the fixed codec that a small model has in its place."""


@torch.no_grad()
def encode(vae: Vae, pixels: Float[Tensor, "1 3 frames height width"]) -> Float[Tensor, "1 16 t h w"]:
    """Normalised float32 latents of frames in [-1, 1], on the VAE's device.

    Each latent depends on all earlier frames. So a clip that starts at a later frame must be encoded again.
    """
    latents = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()  # type: ignore[union-attr]
    mean, inverse_std = _statistics(vae, latents)
    return ((latents - mean) * inverse_std).float()


@torch.no_grad()
def decode(vae: Vae, latents: Float[Tensor, "1 16 t h w"]) -> Float[Tensor, "1 3 frames height width"]:
    """Frames in [-1, 1]. The first latent gives one frame, every further latent four frames."""
    latents = latents.to(vae.device, vae.dtype)
    mean, inverse_std = _statistics(vae, latents)
    return vae.decode(latents / inverse_std + mean, return_dict=False)[0]


def _statistics(vae: Vae, like: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, inverse standard deviation) per channel, rounded in the same order as in diffusers."""
    mean = torch.tensor(vae.config["latents_mean"]).view(1, -1, 1, 1, 1).to(like)
    return mean, 1.0 / torch.tensor(vae.config["latents_std"]).view(1, -1, 1, 1, 1).to(like)


def grey_latents(vae: Vae, frames: int, height: int, width: int) -> Float[Tensor, "1 16 t h w"]:
    """Latents of an all-grey clip: the known latents of chunk 1. The same for every clip of one size."""
    return encode(vae, torch.zeros(1, 3, frames, height, width))


def known_latents(vae: Vae, tail: Float[Tensor, "1 3 known height width"], frames: int) -> Float[Tensor, "1 16 t h w"]:
    """Known latents of a later chunk: the last frames of the chunk before, then grey up to `frames`, encoded
    together."""
    grey = tail.new_zeros(1, 3, frames - tail.shape[2], *tail.shape[3:])
    return encode(vae, torch.cat([tail, grey], dim=2))


def pixels(rgb: UInt8[Tensor, "frames height width 3"]) -> Float[Tensor, "1 3 frames height width"]:
    """8-bit RGB frames as the VAE reads them, in [-1, 1]."""
    return (rgb.float() / 255).permute(3, 0, 1, 2)[None] * 2 - 1


def rgb(decoded: Float[Tensor, "1 3 frames height width"]) -> UInt8[Tensor, "frames height width 3"]:
    """Decoded frames as 8-bit RGB on the CPU, rounded to the nearest, one frame at a time."""
    eight_bits = torch.empty((*decoded.shape[2:], 3), dtype=torch.uint8)
    for frame, shown in zip(decoded[0].unbind(1), eight_bits, strict=True):
        unit = (frame.float() * 0.5 + 0.5).clamp(0, 1)
        shown.copy_((unit * 255).round().permute(1, 2, 0))
    return eight_bits
