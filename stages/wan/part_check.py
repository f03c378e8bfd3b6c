"""Whether a part of the model is complete and has the right shapes, by its config and safetensors headers.

Refuses files that another program quantised, models of another family, and folders that lack a tensor. Reads no
weights.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.artifacts.text_files import read_json_object
from stages.errors import InputError
from stages.wan.config_check import check_values, defaults_of, explained
from stages.wan.face_names import has_face
from stages.wan.safetensors_headers import FLOATS, Entry, read_folder

EMBEDDING = "pose_patch_embedding"
MOST_LACKING = 100
"""Layers by which a config may differ from the file before a model is built of it, which takes memory per layer."""
LATENT_CHANNELS = 16
I2V_CHANNELS = 36
"""Input channels of an image-to-video model: noisy latent, mask, condition latent. Text-to-video has 16."""


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json, or {} where there is none. Raises InputError for a damaged one."""
    path = folder / "config.json"
    if not path.is_file():
        return {}
    return read_json_object(path, "fetch it again")


def class_name(config: Mapping[str, Any]) -> str:
    """The class that a config of diffusers or transformers names, or "" for none."""
    architectures = config.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else ""
    return str(config.get("_class_name") or named)


def check_transformer(folder: Path, config: Mapping[str, Any], entries: Mapping[str, Entry]) -> None:
    """Compare tensor names and shapes with the model that the config describes, built on the meta device.

    A motion embedding and the face modules may be absent, each as a whole. Raises InputError for anything else.
    """
    own = class_name(config) == "EmoshTransformer3DModel"
    if config.get("in_channels") != I2V_CHANNELS or not (config.get("image_dim") or own):
        channels = config.get("in_channels")
        raise InputError(
            f"{folder} is a Wan transformer with {channels} input channels; "
            f"give an image-to-video one with {I2V_CHANNELS}, such as Wan2.2-Animate-14B or Wan2.1-I2V-14B"
        )
    check_values(folder, config, _known_defaults())
    layers = len({name.split(".")[1] for name in entries if name.startswith("blocks.")})
    if abs(config.get("num_layers", layers) - layers) > MOST_LACKING:
        raise InputError(
            f"{folder} holds {layers} layers, its config.json says {config.get('num_layers')}; fetch the model again"
        )
    with explained(folder, "has a config.json that describes no transformer"):
        expected = expected_shapes(config, has_face(entries))
    shapes = {name: entry.shape for name, entry in entries.items()}
    optional = {f"{EMBEDDING}.weight", f"{EMBEDDING}.bias"}
    absent = expected.keys() - shapes.keys() - (set() if optional & shapes.keys() else optional)
    _refuse_tensors(folder, "lacks", sorted(absent))
    _refuse_tensors(
        folder, "holds a tensor that a Wan transformer does not have:", sorted(shapes.keys() - expected.keys())
    )
    for name, shape in shapes.items():
        if shape != expected[name]:
            raise InputError(
                f"{folder}: {name} is {_shape_text(shape)}, expected {_shape_text(expected[name])} by config.json"
            )


def expected_shapes(config: Mapping[str, Any], face: bool = False) -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of the transformer that the config describes, with the motion embedding.

    `face`: with the face modules too.
    """
    import torch
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    from stages.wan.face_modules import AnimateTransformer3DModel, face_config

    with torch.device("meta"):
        if face:
            model = AnimateTransformer3DModel(**transformer_config(config), **face_config(config))
            return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        model = WanTransformer3DModel(**transformer_config(config))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    width, patch = config["num_attention_heads"] * config["attention_head_dim"], tuple(config["patch_size"])
    return {**shapes, f"{EMBEDDING}.weight": (width, LATENT_CHANNELS, *patch), f"{EMBEDDING}.bias": (width,)}


def _known_defaults() -> dict[str, Any]:
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    from stages.wan.face_modules import FACE_CONFIG

    return {**defaults_of(WanTransformer3DModel.__init__), **FACE_CONFIG}


def transformer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without the keys that only Wan-Animate's transformer has. Raises InputError where a key is missing."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    known = inspect.signature(WanTransformer3DModel.__init__).parameters
    kept = {key: value for key, value in config.items() if key in known}
    for key in ("num_attention_heads", "attention_head_dim", "num_layers", "patch_size"):
        if key not in kept:
            raise InputError(f"the transformer's config.json lacks {key}; fetch it again")
    return kept


def _refuse_tensors(folder: Path, what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
        raise InputError(f"{folder} {what} {names[0]}{more}; fetch it again, or give the right model")


def _shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"


def dtype_text(path: Path, entries: Mapping[str, Entry]) -> str:
    """Number types of the tensors, the most common first, such as "BF16 and F32". Raises InputError for others."""
    counted = Counter(entry.dtype for entry in entries.values())
    odd = sorted(counted.keys() - set(FLOATS))
    if odd:
        name = next(name for name, entry in entries.items() if entry.dtype == odd[0])
        raise InputError(
            f"{path}: {name} is stored as {odd[0]}; give a file of {', '.join(FLOATS)}; emosh quantises itself"
        )
    return " and ".join(dtype for dtype, _ in counted.most_common())


def check_vae(folder: Path) -> None:
    """Refuse a folder that is neither Wan2.1's complete VAE nor the fixed codec. Reads config and headers."""
    from stages.wan.fixed_codec import KIND

    config = read_config(folder)
    if class_name(config) == KIND:
        return  # small, and checked when it is loaded
    if class_name(config) != "AutoencoderKLWan":
        raise InputError(f"{folder} is not Wan2.1's 16-channel VAE; expected AutoencoderKLWan in its config.json")
    entries = read_folder(folder)
    dtype_text(folder, entries)
    check_vae_shapes(folder, config, entries)


def check_vae_shapes(folder: Path, config: dict[str, Any], entries: Mapping[str, Entry]) -> None:
    """Compare tensor names and shapes with the VAE that the config describes, built on the meta device."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    if config.get("z_dim") != LATENT_CHANNELS:
        raise InputError(
            f"{folder} is a VAE of {config.get('z_dim')} latent channels; emosh needs Wan2.1's, with {LATENT_CHANNELS}"
        )
    defaults = defaults_of(AutoencoderKLWan.__init__)
    check_values(folder, config, defaults)
    for key in ("latents_mean", "latents_std"):
        if len(config.get(key, range(LATENT_CHANNELS))) != LATENT_CHANNELS:
            raise InputError(f"{folder}: its config.json has not {LATENT_CHANNELS} numbers as {key}; fetch it again")
    if len(config.get("temperal_downsample", (1, 1, 1))) != len(config.get("dim_mult", (1, 1, 1, 1))) - 1:
        raise InputError(f"{folder}: its config.json has not one temperal_downsample per step; fetch the model again")
    with torch.device("meta"), explained(folder, "has a config.json that describes no VAE"):
        model = AutoencoderKLWan(**{key: value for key, value in config.items() if key in defaults})
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    _refuse_tensors(folder, "lacks", sorted(expected.keys() - entries.keys()))
    for name, shape in expected.items():
        if entries[name].shape != shape:
            raise InputError(f"{folder}: {name} is {_shape_text(entries[name].shape)}, expected {_shape_text(shape)}")


def check_layers(folder: Path, entries: Mapping[str, Entry], count: Any) -> None:
    """Raises InputError unless `count`, as the config states it, is a number of layers, and each has weights."""
    if type(count) is not int or not 0 < count <= len(entries):
        raise InputError(
            f"{folder} has {len(entries)} tensors, its config.json says {count!r:.40} layers; fetch it again"
        )
    marks = ("encoder.block.", "encoder.layers.")
    seen = {
        int(name.partition(mark)[2].partition(".")[0])
        for name in entries
        for mark in marks
        if mark in name and name.partition(mark)[2].partition(".")[0].isdigit()
    }
    absent = sorted(set(range(count)) - seen)
    if absent:
        raise InputError(f"{folder} lacks the weights of layer {absent[0]} of {count}; fetch it again")
