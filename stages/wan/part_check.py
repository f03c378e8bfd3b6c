"""Whether a part of the model is whole and of the right shape: told by its config and headers alone.

What another program quantised, a model of another family, and a folder that lacks a tensor are each refused in one
line. No weight is read.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.errors import InputError
from stages.wan.safetensors_headers import FLOATS, Entry, read_folder

FACE_MODULES = ("face_adapter.", "face_encoder.", "motion_encoder.")
"""Wan-Animate's second driving signal, which EMOSH does not load."""
EMBEDDING = "pose_patch_embedding"
LATENT_CHANNELS = 16
I2V_CHANNELS = 36
"""Noisy latent, mask, condition latent: what tells image-to-video from text-to-video (16)."""


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json; empty where there is none. Raises InputError for a damaged one."""
    path = folder / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON; fetch it again") from error
    return config if isinstance(config, dict) else {}


def class_of(config: Mapping[str, Any]) -> str:
    """The class that a config names, diffusers' or transformers' way."""
    architectures = config.get("architectures") or [""]
    return str(config.get("_class_name") or architectures[0])


def check_transformer(folder: Path, config: Mapping[str, Any], entries: Mapping[str, Entry]) -> None:
    """Compare names and shapes with the model that the config describes, built on the meta device.

    Tolerated: Wan-Animate's face modules, and an absent motion embedding. Raises InputError for anything else.
    """
    own = class_of(config) == "EmoshTransformer3DModel"
    if config.get("in_channels") != I2V_CHANNELS or not (config.get("image_dim") or own):
        channels = config.get("in_channels")
        raise InputError(
            f"{folder} is a Wan transformer with {channels} input channels; "
            f"emosh needs an image-to-video one with {I2V_CHANNELS}: Wan2.2-Animate-14B or Wan2.1-I2V-14B"
        )
    expected = expected_shapes(config)
    given = {name: entry.shape for name, entry in entries.items() if not name.startswith(FACE_MODULES)}
    optional = {f"{EMBEDDING}.weight", f"{EMBEDDING}.bias"}
    absent = expected.keys() - given.keys() - (set() if optional & given.keys() else optional)
    _refuse(folder, "lacks", sorted(absent))
    _refuse(folder, "holds what a Wan transformer does not have:", sorted(given.keys() - expected.keys()))
    for name, shape in given.items():
        if shape != expected[name]:
            raise InputError(f"{folder}: {name} is {_spelt(shape)}, expected {_spelt(expected[name])} by config.json")


def expected_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes by name of the transformer that the config describes, motion embedding included."""
    import torch
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.device("meta"):
        model = WanTransformer3DModel(**transformer_config(config))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    width, patch = config["num_attention_heads"] * config["attention_head_dim"], tuple(config["patch_size"])
    return {**shapes, f"{EMBEDDING}.weight": (width, LATENT_CHANNELS, *patch), f"{EMBEDDING}.bias": (width,)}


def transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what only Wan-Animate's transformer knows. Raises InputError for one that lacks a key."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    known = inspect.signature(WanTransformer3DModel.__init__).parameters
    kept = {key: value for key, value in config.items() if key in known}
    for key in ("num_attention_heads", "attention_head_dim", "num_layers", "patch_size"):
        if key not in kept:
            raise InputError(f"the transformer's config.json lacks {key}; fetch it again")
    return kept


def _refuse(folder: Path, what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
        raise InputError(f"{folder} {what} {names[0]}{more}; is it whole, and of the right model?")


def _spelt(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"


def types_of(path: Path, entries: Mapping[str, Entry]) -> str:
    """The types in words, the commonest first. Raises InputError for a quantised file."""
    counted = Counter(entry.dtype for entry in entries.values())
    odd = sorted(counted.keys() - set(FLOATS))
    if odd:
        name = next(name for name, entry in entries.items() if entry.dtype == odd[0])
        raise InputError(f"{path}: {name} is stored as {odd[0]}; emosh loads {', '.join(FLOATS)} and quantises itself")
    return " and ".join(dtype for dtype, _ in counted.most_common())


def check_vae(folder: Path) -> None:
    """Refuse, by its config and headers, what is not Wan2.1's whole VAE, or the fixed codec in its place."""
    from stages.wan.fixed_codec import KIND

    config = read_config(folder)
    if class_of(config) == KIND:
        return  # small, and checked as it is read
    if class_of(config) != "AutoencoderKLWan":
        raise InputError(f"{folder} is not Wan2.1's 16-channel VAE; expected AutoencoderKLWan in its config.json")
    entries = read_folder(folder)
    types_of(folder, entries)
    check_vae_shapes(folder, config, entries)


def check_vae_shapes(folder: Path, config: dict[str, Any], entries: Mapping[str, Entry]) -> None:
    """Compare with the VAE that the config describes, built on the meta device."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    if config.get("z_dim") != LATENT_CHANNELS:
        raise InputError(
            f"{folder} is a VAE of {config.get('z_dim')} latent channels; emosh needs Wan2.1's, with {LATENT_CHANNELS}"
        )
    with torch.device("meta"):
        known = inspect.signature(AutoencoderKLWan.__init__).parameters
        model = AutoencoderKLWan(**{key: value for key, value in config.items() if key in known})
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    _refuse(folder, "lacks", sorted(expected.keys() - entries.keys()))
    for name, shape in expected.items():
        if entries[name].shape != shape:
            raise InputError(f"{folder}: {name} is {_spelt(entries[name].shape)}, expected {_spelt(shape)}")


def check_layers(folder: Path, entries: Mapping[str, Entry], count: int) -> None:
    """Every layer that the config counts has weights."""
    marks = ("encoder.block.", "encoder.layers.")
    seen = {
        int(name.partition(mark)[2].partition(".")[0])
        for name in entries
        for mark in marks
        if mark in name and name.partition(mark)[2].partition(".")[0].isdigit()
    }
    absent = sorted(set(range(count)) - seen)
    if absent or not count:
        raise InputError(f"{folder} lacks the weights of layer {absent[0] if absent else 0} of {count}; fetch it again")
