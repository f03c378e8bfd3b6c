"""Which part of the model a folder or file is; `whole` says whether it is all there. No weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import InputError
from stages.wan.part_check import (
    EMBEDDING,
    FACE_MODULES,
    LATENT_CHANNELS,
    check_layers,
    check_transformer,
    check_vae_shapes,
    class_of,
    read_config,
    types_of,
)
from stages.wan.safetensors_headers import Entry, read_folder, read_header

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
    return class_of(read_config(folder)) in (*TRANSFORMERS, *MODEL_CLASSES) or _loose(folder) is not None


def _folder(folder: Path) -> Recognised:
    config = read_config(folder)
    kind = class_of(config)
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


def _transformer(folder: Path, config: dict[str, Any]) -> Recognised:
    entries = read_folder(folder)
    check_transformer(folder, config, entries)
    types = types_of(folder, entries)
    embedded = f"{EMBEDDING}.weight" in entries
    kept = {name: entry for name, entry in entries.items() if not name.startswith(FACE_MODULES)}
    is_base = class_of(config) == "EmoshTransformer3DModel"
    name = "wan-base" if is_base else "wan-animate" if embedded else "wan-i2v"
    width = config["num_attention_heads"] * config["attention_head_dim"]
    said = (
        f"{class_of(config)}, {config['num_layers']} blocks of width {width}, {types}, "
        f"{'with' if embedded else 'without'} a motion embedding"
        f"{', face modules left out' if len(kept) < len(entries) else ''}"
    )
    return Recognised(name, folder, said, sum(entry.size_bytes for entry in entries.values()))


def _model(folder: Path, config: dict[str, Any], name: str) -> Recognised:
    entries = read_folder(folder)
    types = types_of(folder, entries)
    if name == "wan-vae":
        check_vae_shapes(folder, config, entries)
        said = f"{LATENT_CHANNELS} latent channels"
    else:
        hidden = "d_model" if name == "wan-umt5" else "hidden_size"
        layers = "num_layers" if name == "wan-umt5" else "num_hidden_layers"
        check_layers(folder, entries, int(config.get(layers, 0)))
        said = f"{config.get(layers)} layers of width {config.get(hidden)}"
    size = sum(entry.size_bytes for entry in entries.values())
    return Recognised(name, folder, f"{class_of(config)}, {said}, {types}", size)


def check_encoders(folder: Path) -> None:
    """Refuse, by configs and headers, an image or text encoder in a pipeline folder that is cut short or lacks layers;
    one that is not there is a matter of whoever needs it.
    """
    for name in ("image_encoder", "text_encoder"):
        part = folder / name
        if part.is_dir() and any(part.iterdir()):
            _folder(part)


def _file(path: Path) -> Recognised:
    if path.suffix != ".safetensors":
        raise InputError(f"{path} is no .safetensors file; pickled weights are not loaded")
    entries, _ = read_header(path)
    types = types_of(path, entries)
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
