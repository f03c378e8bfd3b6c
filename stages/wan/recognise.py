"""Recognise which part of the model a folder or file is. Reads configs and headers, no weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.counted import counted
from stages.errors import InputError
from stages.wan.face_names import has_face
from stages.wan.foreign_code import refuse_foreign_code
from stages.wan.packs import is_pack, open_pack
from stages.wan.part_check import (
    EMBEDDING,
    LATENT_CHANNELS,
    check_layers,
    check_transformer,
    check_vae_shapes,
    class_name,
    dtype_text,
    read_config,
)
from stages.wan.safetensors_headers import Entry, read_folder, read_header
from stages.wan.weights import part as part_named

OWN_TRANSFORMERS = ("EmoshTransformer3DModel", "AnimateTransformer3DModel")
"""Classes of the bf16 base that `prepare` writes."""
TRANSFORMERS = ("WanAnimateTransformer3DModel", "WanTransformer3DModel", *OWN_TRANSFORMERS)
MODEL_CLASSES = {
    "AutoencoderKLWan": "wan-vae",
    "CLIPVisionModel": "wan-clip",
    "CLIPVisionModelWithProjection": "wan-clip",
    "UMT5EncoderModel": "wan-umt5",
}
LORA_MARKS = (".lora_A.", ".lora_B.", ".lora_down.", ".lora_up.")


@dataclass(frozen=True)
class Recognised:
    """A part that was found: its name in `stages.wan.weights`, its path, a description for the user, its size."""

    name: str
    path: Path
    description: str
    size_bytes: int


def recognise(path: Path) -> list[Recognised]:
    """The parts in a pipeline folder, or the single part at `path`. Raises InputError for anything else."""
    path = Path(path)
    if path.is_file():
        return [_file(path)]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give a diffusers folder, or a .safetensors or .gguf file")
    refuse_foreign_code(path)
    if not (path / "model_index.json").is_file():
        return [_folder(path)]
    found = [_folder(each) for each in sorted(path.iterdir()) if each.is_dir() and _is_known(each)]
    if not found:
        raise InputError(f"{path} is a pipeline folder without any part that emosh uses; fetch its subfolders")
    return found


def _is_known(folder: Path) -> bool:
    """Whether emosh uses this subfolder of a pipeline. It does not use the scheduler, for example."""
    return (
        class_name(read_config(folder)) in (*TRANSFORMERS, *MODEL_CLASSES) or _part_without_weights(folder) is not None
    )


def _folder(folder: Path) -> Recognised:
    config = read_config(folder)
    kind = class_name(config)
    if kind in TRANSFORMERS:
        return _transformer(folder, config)
    if kind in MODEL_CLASSES:
        return _model(folder, config, MODEL_CLASSES[kind])
    loose = _part_without_weights(folder)
    if loose is not None:
        return Recognised(loose, folder, f"{counted(len(list(folder.iterdir())), 'file')}", _size(folder))
    if kind:
        raise InputError(f"{folder} holds a {kind}, which emosh does not use; see: emosh models list")
    raise InputError(f"{folder} has no config.json, so it is not a diffusers folder; give the folder that has one")


def _part_without_weights(folder: Path) -> str | None:
    """The name of a part without weights (tokenizer, image processor), or None for another folder."""
    if (folder / "tokenizer_config.json").is_file():
        whole = any((folder / name).is_file() for name in ("tokenizer.json", "spiece.model"))
        if not whole:
            raise InputError(f"{folder} lacks tokenizer.json or spiece.model; fetch it again")
        return "wan-tokenizer"
    return "wan-clip-processor" if (folder / "preprocessor_config.json").is_file() else None


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _transformer(folder: Path, config: dict[str, Any]) -> Recognised:
    entries = read_folder(folder)
    check_transformer(folder, config, entries)
    types = dtype_text(folder, entries)
    embedded = f"{EMBEDDING}.weight" in entries
    is_base = class_name(config) in OWN_TRANSFORMERS
    name = "wan-base" if is_base else "wan-animate" if embedded else "wan-i2v"
    width = config["num_attention_heads"] * config["attention_head_dim"]
    description = (
        f"{class_name(config)}, {config['num_layers']} blocks of width {width}, {types}, "
        f"{'with' if embedded else 'without'} a motion embedding"
        f"{', with face modules' if has_face(entries) else ''}"
    )
    return Recognised(name, folder, description, sum(entry.size_bytes for entry in entries.values()))


def _model(folder: Path, config: dict[str, Any], name: str) -> Recognised:
    entries = read_folder(folder)
    types = dtype_text(folder, entries)
    if name == "wan-vae":
        check_vae_shapes(folder, config, entries)
        shape = f"{LATENT_CHANNELS} latent channels"
    else:
        hidden = "d_model" if name == "wan-umt5" else "hidden_size"
        layers = "num_layers" if name == "wan-umt5" else "num_hidden_layers"
        check_layers(folder, entries, config.get(layers, 0))
        shape = f"{config.get(layers)} layers of width {config.get(hidden)}"
    size = sum(entry.size_bytes for entry in entries.values())
    return Recognised(name, folder, f"{class_name(config)}, {shape}, {types}", size)


def check_encoders(folder: Path) -> None:
    """Refuse an image or text encoder in a pipeline folder that is cut short or lacks layers. Reads configs and
    headers.

    An absent encoder is not an error here.
    """
    for name in ("image_encoder", "text_encoder"):
        part = folder / name
        if part.is_dir() and any(part.iterdir()):
            _folder(part)


def _file(path: Path) -> Recognised:
    if is_pack(path):
        pack = open_pack(path)
        return Recognised(pack.name, path, pack.describe(), pack.size_bytes)
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path} is not a .safetensors or .gguf file; pickled weights are not loaded, so get it as .safetensors"
        )
    entries, _ = read_header(path)
    types = dtype_text(path, entries)
    size = sum(entry.size_bytes for entry in entries.values())
    if not any(mark in name for name in entries for mark in LORA_MARKS):
        raise InputError(
            f"{path} is not a LoRA: it has no lora_A/lora_B or lora_down/lora_up tensors; give a LoRA of Wan2.1-I2V-14B"
        )
    embedded = any(EMBEDDING in name for name in entries)
    rank = next(entry.shape[0] for name, entry in entries.items() if ".lora_A." in name or ".lora_down." in name)
    relights = path.stat().st_size == part_named("wan-relight").size_bytes
    name = "emosh-adapter" if embedded else "wan-relight" if relights else "wan-distill"
    description = (
        f"LoRA of rank {rank} on {_lora_layers(entries)} layers{' and a motion embedding' if embedded else ''}, {types}"
    )
    return Recognised(name, path, description, size)


def _lora_layers(entries: Mapping[str, Entry]) -> int:
    return sum(".lora_A." in name or ".lora_down." in name for name in entries)
