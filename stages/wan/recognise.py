"""Which part of the model a folder or file is, and whether it is whole: told by its config and headers alone.

No weight is read. What another program quantised, a model of another family, and a folder that lacks a shard are
each refused in one line.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import InputError
from stages.wan.shards import FLOATS, Entry, read_folder, read_header

FACE_MODULES = ("face_adapter.", "face_encoder.", "motion_encoder.")
"""Wan-Animate's second driving signal, which EMOSH does not load."""
EMBEDDING = "pose_patch_embedding"
LATENT_CHANNELS = 16
I2V_CHANNELS = 36
"""Noisy latent, mask, condition latent: what tells image-to-video from text-to-video (16)."""
TRANSFORMERS = ("WanAnimateTransformer3DModel", "WanTransformer3DModel", "EmoshTransformer3DModel")
MODEL_CLASSES = {
    "AutoencoderKLWan": "wan-vae",
    "CLIPVisionModel": "wan-clip",
    "CLIPVisionModelWithProjection": "wan-clip",
    "UMT5EncoderModel": "wan-umt5",
}
LORA_MARKS = (".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.")


@dataclass(frozen=True)
class Recognised:
    """A part that was found: its name in the catalogue, where it lies, what it is in words."""

    name: str
    path: Path
    said: str
    size_bytes: int


def recognise(path: Path) -> list[Recognised]:
    """The parts in a pipeline folder, or the one that `path` is. Raises InputError for anything else."""
    path = Path(path)
    if path.is_file():
        return [_file(path)]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; name a diffusers folder or a .safetensors file")
    if not (path / "model_index.json").is_file():
        return [_folder(path)]
    found = [_folder(each) for each in sorted(path.iterdir()) if each.is_dir() and _is_known(each)]
    if not found:
        raise InputError(f"{path} is a pipeline folder without any part that emosh uses; fetch its subfolders")
    return found


def _is_known(folder: Path) -> bool:
    """Whether a pipeline's subfolder is one that emosh uses: its scheduler, for one, is not."""
    return _class(_config(folder)) in (*TRANSFORMERS, *MODEL_CLASSES) or _loose(folder) is not None


def _folder(folder: Path) -> Recognised:
    config = _config(folder)
    kind = _class(config)
    if kind in TRANSFORMERS:
        return _transformer(folder, config)
    if kind in MODEL_CLASSES:
        return _model(folder, config, MODEL_CLASSES[kind])
    loose = _loose(folder)
    if loose is not None:
        return Recognised(loose, folder, f"{len(list(folder.iterdir()))} files", _size(folder))
    if kind:
        raise InputError(f"{folder} holds a {kind}, which emosh does not use; see: emosh models list")
    raise InputError(f"{folder} is no diffusers folder: it has no config.json; name the folder that has")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON; fetch it again") from error
    return config if isinstance(config, dict) else {}


def _class(config: Mapping[str, Any]) -> str:
    architectures = config.get("architectures") or [""]
    return str(config.get("_class_name") or architectures[0])


def _loose(folder: Path) -> str | None:
    """Parts without weights."""
    if (folder / "tokenizer_config.json").is_file():
        whole = any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model"))
        if not whole:
            raise InputError(f"{folder} lacks tokenizer.json or spiece.model; fetch it again")
        return "wan-tokenizer"
    return "wan-clip-processor" if (folder / "preprocessor_config.json").is_file() else None


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


# ---- the transformer
def _transformer(folder: Path, config: dict[str, Any]) -> Recognised:
    entries = read_folder(folder)
    check_transformer(folder, config, entries)
    types = _types(folder, entries)
    embedded = f"{EMBEDDING}.weight" in entries
    kept = {name: entry for name, entry in entries.items() if not name.startswith(FACE_MODULES)}
    is_base = _class(config) == "EmoshTransformer3DModel"
    name = "wan-base" if is_base else "wan-animate" if embedded else "wan-i2v"
    width = config["num_attention_heads"] * config["attention_head_dim"]
    said = (
        f"{_class(config)}, {config['num_layers']} blocks of width {width}, {types}, "
        f"{'with' if embedded else 'without'} a motion embedding"
        f"{', face modules left out' if len(kept) < len(entries) else ''}"
    )
    return Recognised(name, folder, said, sum(entry.size_bytes for entry in entries.values()))


def check_transformer(folder: Path, config: Mapping[str, Any], entries: Mapping[str, Entry]) -> None:
    """Compare names and shapes with the model that the config describes, built on the meta device.

    Tolerated: Wan-Animate's face modules, and an absent motion embedding. Raises InputError for anything else.
    """
    own = _class(config) == "EmoshTransformer3DModel"
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


def _types(path: Path, entries: Mapping[str, Entry]) -> str:
    """The types in words, the commonest first. Raises InputError for a quantised file."""
    counted = Counter(entry.dtype for entry in entries.values())
    odd = sorted(counted.keys() - set(FLOATS))
    if odd:
        name = next(name for name, entry in entries.items() if entry.dtype == odd[0])
        raise InputError(f"{path}: {name} is stored as {odd[0]}; emosh loads {', '.join(FLOATS)} and quantises itself")
    return " and ".join(dtype for dtype, _ in counted.most_common())


# ---- the other parts
def _model(folder: Path, config: dict[str, Any], name: str) -> Recognised:
    entries = read_folder(folder)
    types = _types(folder, entries)
    if name == "wan-vae":
        said = _vae(folder, config, entries)
    else:
        hidden = "d_model" if name == "wan-umt5" else "hidden_size"
        layers = "num_layers" if name == "wan-umt5" else "num_hidden_layers"
        _layers(folder, entries, int(config.get(layers, 0)))
        said = f"{config.get(layers)} layers of width {config.get(hidden)}"
    size = sum(entry.size_bytes for entry in entries.values())
    return Recognised(name, folder, f"{_class(config)}, {said}, {types}", size)


def check_vae(folder: Path) -> None:
    """Refuse, by its config and headers, what is not Wan2.1's whole VAE, or the fixed codec in its place."""
    from stages.wan.codec import KIND

    config = _config(folder)
    if _class(config) == KIND:
        return  # small, and checked as it is read
    if _class(config) != "AutoencoderKLWan":
        raise InputError(f"{folder} is not Wan2.1's 16-channel VAE; expected AutoencoderKLWan in its config.json")
    entries = read_folder(folder)
    _types(folder, entries)
    _vae(folder, config, entries)


def check_encoders(folder: Path) -> None:
    """Refuse, by configs and headers, an image or text encoder in a pipeline folder that is cut short or lacks layers;
    one that is not there is a matter of whoever needs it.
    """
    for name in ("image_encoder", "text_encoder"):
        part = folder / name
        if part.is_dir() and any(part.iterdir()):
            _folder(part)


def _vae(folder: Path, config: dict[str, Any], entries: Mapping[str, Entry]) -> str:
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
    return f"{LATENT_CHANNELS} latent channels"


def _layers(folder: Path, entries: Mapping[str, Entry], count: int) -> None:
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


def _file(path: Path) -> Recognised:
    if path.suffix != ".safetensors":
        raise InputError(f"{path} is no .safetensors file; pickled weights are not loaded")
    entries, _ = read_header(path)
    types = _types(path, entries)
    size = sum(entry.size_bytes for entry in entries.values())
    if not any(mark in name for name in entries for mark in LORA_MARKS):
        raise InputError(f"{path} is no LoRA: it has no lora_A/lora_B or lora_down/lora_up tensors")
    embedded = any(EMBEDDING in name for name in entries)
    rank = next(entry.shape[0] for name, entry in entries.items() if ".lora_A." in name or ".lora_down." in name)
    name = "emosh-adapter" if embedded else "wan-distill"
    said = f"LoRA of rank {rank} on {_targets(entries)} layers{' and a motion embedding' if embedded else ''}, {types}"
    return Recognised(name, path, said, size)


def _targets(entries: Mapping[str, Entry]) -> int:
    return sum(".lora_A." in name or ".lora_down." in name for name in entries)
