"""A fixed codec: what a small model uses in place of Wan's VAE, where none can be trained.

Blocks of 8x8 pixels, the first frame's alone and then four frames' together, each become 16 numbers: the first
principal components of such blocks. That is the VAE's own grid, causal in time: a frame changes no latent before its
own. It is no VAE and learns nothing; `fit_codec` finds its components in seconds. In a model folder it lies where the
VAE would.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError

KIND = "BlockCodec"
SIDE, GROUP, CHANNELS = 8, 4, 16
WEIGHTS = "diffusion_pytorch_model.safetensors"
BLOCKS_FITTED = 200_000
"""Blocks of each kind that a fit looks at, at most."""


class BlockCodec(nn.Module):
    """Encodes and decodes as `AutoencoderKLWan` does, as far as emosh asks it to."""

    def __init__(self, mean: list[float] | None = None, std: list[float] | None = None) -> None:
        super().__init__()
        self.config = {
            "_class_name": KIND, "z_dim": CHANNELS, "latents_mean": mean or [0.0] * CHANNELS,
            "latents_std": std or [1.0] * CHANNELS,
        }  # fmt: skip
        for name, length in (("first", 3 * SIDE * SIDE), ("group", 3 * GROUP * SIDE * SIDE)):
            self.register_buffer(f"{name}_mean", torch.zeros(length))
            self.register_buffer(f"{name}_encode", torch.zeros(length, CHANNELS))
            self.register_buffer(f"{name}_decode", torch.zeros(CHANNELS, length))

    first_mean: Tensor
    first_encode: Tensor
    first_decode: Tensor
    group_mean: Tensor
    group_encode: Tensor
    group_decode: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """Of its arithmetic."""
        return self.first_mean.dtype

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.first_mean.device

    def encode(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Any:
        """Latents of 4n + 1 frames in [-1, 1], one for the first frame and one for every further four, as the mode of a
        distribution that has no spread."""
        first = _blocks(pixels[:, :, :1], 1) - self.first_mean
        coded = [first @ self.first_encode]
        if pixels.shape[2] > 1:
            coded.append((_blocks(pixels[:, :, 1:], GROUP) - self.group_mean) @ self.group_encode)
        latents = torch.cat(coded, 1).permute(0, 4, 1, 2, 3)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: Float[Tensor, "batch 16 t h w"], return_dict: bool = False) -> tuple[Tensor]:
        """Frames in about [-1, 1]."""
        coded = latents.permute(0, 2, 3, 4, 1)
        frames = [_frames(coded[:, :1] @ self.first_decode + self.first_mean, 1)]
        if latents.shape[2] > 1:
            frames.append(_frames(coded[:, 1:] @ self.group_decode + self.group_mean, GROUP))
        return (torch.cat(frames, 2),)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and the weights, as a VAE's folder holds them."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS) as part:
            save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, part)
        with atomic_path(folder / "config.json") as part:
            part.write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")


def load_codec(folder: Path, config: dict[str, Any]) -> BlockCodec:
    """Read one back. Raises InputError for a damaged folder."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        codec = BlockCodec(list(config["latents_mean"]), list(config["latents_std"]))
        codec.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder} holds no whole fixed codec ({str(error).splitlines()[0]}); make it again"
        ) from error
    return codec


def fit_codec(clips: Iterable[UInt8[np.ndarray, "frames height width 3"]], seed: int = 0) -> BlockCodec:
    """The codec of such clips: videos and condition maps alike, as it must code both.

    Channels are scaled so that each has the square root of its own deviation: with equal deviations the last channels'
    noise would count as much as the picture, with their own the first would be all that counts.
    """
    random = np.random.default_rng(seed)
    kinds: dict[str, list[np.ndarray]] = {"first": [], "group": []}
    for clip in clips:
        pixels = torch.from_numpy(clip.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        whole = pixels[:, :, : 1 + (pixels.shape[2] - 1) // GROUP * GROUP]
        kinds["first"].append(_blocks(whole[:, :, :1], 1).flatten(0, 3).numpy())
        kinds["group"].append(_blocks(whole[:, :, 1:], GROUP).flatten(0, 3).numpy())
    codec, spread = BlockCodec(), {}
    for name, blocks in kinds.items():
        rows = np.concatenate(blocks)
        rows = rows[random.permutation(len(rows))[:BLOCKS_FITTED]].astype(np.float64)
        mean = rows.mean(0)
        values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        basis = vectors[:, ::-1][:, :CHANNELS]
        spread[name] = np.sqrt(np.maximum(values[::-1][:CHANNELS], 1e-8))
        codec.get_buffer(f"{name}_mean").copy_(torch.from_numpy(mean))
        codec.get_buffer(f"{name}_encode").copy_(torch.from_numpy(basis.copy()))
        codec.get_buffer(f"{name}_decode").copy_(torch.from_numpy(basis.T.copy()))
    ratio = torch.from_numpy(spread["group"] / spread["first"]).float()
    codec.get_buffer("first_encode").mul_(ratio)
    codec.get_buffer("first_decode").div_(ratio[:, None])
    std = np.sqrt(spread["group"]) * np.sqrt(spread["group"].mean())
    codec.config["latents_std"] = [float(value) for value in std]
    return codec


def _blocks(pixels: Float[Tensor, "batch 3 frames height width"], group: int) -> Float[Tensor, "batch t h w length"]:
    batch, _, frames, height, width = pixels.shape
    cut = pixels.reshape(batch, 3, frames // group, group, height // SIDE, SIDE, width // SIDE, SIDE)
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def _frames(blocks: Float[Tensor, "batch t h w length"], group: int) -> Float[Tensor, "batch 3 frames height width"]:
    batch, t, h, w, _ = blocks.shape
    cut = blocks.reshape(batch, t, h, w, 3, group, SIDE, SIDE).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cut.reshape(batch, 3, t * group, h * SIDE, w * SIDE)
