"""A fixed codec, which a small model uses in place of Wan's VAE where no VAE can be trained.

Each block of 8x8 pixels becomes 16 numbers: its first principal components. The first frame is coded alone, later
frames in groups of four. The grid is that of Wan's VAE, and it is causal in time: a frame changes no earlier latent.
The codec is not a VAE and is not trained; `fit_codec` finds its components in seconds. In a model folder it is stored
in `vae/`.
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
from stages.artifacts.safetensors_file import load_tensors, save_tensors
from stages.errors import InputError

KIND = "BlockCodec"
SIDE, GROUP, CHANNELS = 8, 4, 16
WEIGHTS = "diffusion_pytorch_model.safetensors"
BLOCKS_FITTED = 200_000
"""Largest number of blocks of each kind (first frame, group of four) that a fit uses."""


class BlockCodec(nn.Module):
    """Has the methods of `AutoencoderKLWan` that emosh calls."""

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
        """Number type of the computation."""
        return self.first_mean.dtype

    @property
    def device(self) -> torch.device:
        """Device of the buffers."""
        return self.first_mean.device

    def enable_tiling(self) -> None:
        """Nothing to do: blocks are encoded one by one, so memory is small already."""

    def encode(self, pixels: Float[Tensor, "batch 3 frames height width"]) -> Any:
        """Latents of 4n + 1 frames in [-1, 1]: one for the first frame and one per further four frames.

        They are returned as the mode of a distribution, as a VAE returns them.
        """
        first = _to_blocks(pixels[:, :, :1], 1) - self.first_mean
        coded = [first @ self.first_encode]
        if pixels.shape[2] > 1:
            coded.append((_to_blocks(pixels[:, :, 1:], GROUP) - self.group_mean) @ self.group_encode)
        latents = torch.cat(coded, 1).permute(0, 4, 1, 2, 3)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: Float[Tensor, "batch 16 t h w"], return_dict: bool = False) -> tuple[Tensor]:
        """Frames in about [-1, 1]."""
        coded = latents.permute(0, 2, 3, 4, 1)
        frames = [_to_frames(coded[:, :1] @ self.first_decode + self.first_mean, 1)]
        if latents.shape[2] > 1:
            frames.append(_to_frames(coded[:, 1:] @ self.group_decode + self.group_mean, GROUP))
        return (torch.cat(frames, 2),)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and the weights in the layout of a VAE's folder."""

        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS) as part:
            save_tensors(part, {name: tensor.contiguous() for name, tensor in self.state_dict().items()})
        with atomic_path(folder / "config.json") as part:
            part.write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")


def load_codec(folder: Path, config: dict[str, Any]) -> BlockCodec:
    """Read a codec's folder. Raises InputError for a damaged one."""
    try:
        codec = BlockCodec(list(config["latents_mean"]), list(config["latents_std"]))
        codec.load_state_dict(load_tensors(folder / WEIGHTS, "make it again"))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder} holds no complete fixed codec ({str(error).splitlines()[0]}); make it again"
        ) from error
    return codec


def fit_codec(clips: Iterable[UInt8[np.ndarray, "frames height width 3"]], seed: int = 0) -> BlockCodec:
    """Fit a codec to clips. Give videos and condition maps, because it must code both.

    Each channel is scaled so that its deviation is the square root of what it was. With equal deviations the noise in
    the last channels would count as much as the picture; unscaled, only the first channel would count.
    """
    random = np.random.default_rng(seed)
    kinds: dict[str, list[np.ndarray]] = {"first": [], "group": []}
    for clip in clips:
        pixels = torch.from_numpy(clip.copy()).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        whole = pixels[:, :, : 1 + (pixels.shape[2] - 1) // GROUP * GROUP]
        kinds["first"].append(_to_blocks(whole[:, :, :1], 1).flatten(0, 3).numpy())
        kinds["group"].append(_to_blocks(whole[:, :, 1:], GROUP).flatten(0, 3).numpy())
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


def _to_blocks(pixels: Float[Tensor, "batch 3 frames height width"], group: int) -> Float[Tensor, "batch t h w length"]:
    batch, _, frames, height, width = pixels.shape
    cut = pixels.reshape(batch, 3, frames // group, group, height // SIDE, SIDE, width // SIDE, SIDE)
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def _to_frames(blocks: Float[Tensor, "batch t h w length"], group: int) -> Float[Tensor, "batch 3 frames height width"]:
    batch, t, h, w, _ = blocks.shape
    cut = blocks.reshape(batch, t, h, w, 3, group, SIDE, SIDE).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cut.reshape(batch, 3, t * group, h * SIDE, w * SIDE)
