"""A model folder looked at before anything heavy is loaded: which model it is, whether every shard is there and fits.

Reads configuration files and safetensors headers only. The layout is diffusers': `transformer/`, `vae/`,
`image_encoder/`, `image_processor/`, and `text_encoder/` with `tokenizer/`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import InputError

KINDS = {
    "WanAnimateTransformer3DModel": "animate",
    "WanTransformer3DModel": "i2v",
    "EmoshTransformer3DModel": "emosh",
}
"""Class in transformer/config.json -> what we call the base."""
FIT = {"in_channels": 36, "out_channels": 16}
"""What any Wan2.1-I2V-like transformer has."""
READABLE = ("F32", "BF16", "F16")
EMBEDDING = "pose_patch_embedding"
WEIGHTS = "diffusion_pytorch_model"
EXPECTED = "give a diffusers folder, such as Wan2.2-Animate-14B-Diffusers"
TOLERATED = {
    "face_adapter.": "Wan-Animate's face branch, which EMOSH does not use",
    "face_encoder.": "Wan-Animate's face branch, which EMOSH does not use",
    "motion_encoder.": "Wan-Animate's face branch, which EMOSH does not use",
}
"""Prefixes of tensors that a base may hold and the model does not take, with the reason."""


@dataclass(frozen=True)
class ModelFolder:
    """A checked folder. `dtype` is that of most of the transformer's numbers, as safetensors writes it."""

    path: Path
    kind: str
    dtype: str
    shards: tuple[Path, ...]
    config: dict[str, Any]
    has_motion_embedding: bool
    """Whether the base brings one; a plain Wan2.1-I2V does not."""

    def part(self, name: str) -> Path:
        """A component's folder. Raises InputError where it is missing or holds nothing."""
        folder = self.path / name
        if not folder.is_dir() or not any(folder.iterdir()):
            raise InputError(f"{self.path} has no {name}/; it is not a whole model folder: {EXPECTED}")
        return folder


def open_folder(path: Path) -> ModelFolder:
    """Check a folder's transformer by its headers. Raises InputError for anything that would not load."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; {EXPECTED}")
    config = _config(path)
    kind = KINDS.get(str(config.get("_class_name")))
    if kind is None:
        raise InputError(f"{path}: its transformer is a {config.get('_class_name')}; {EXPECTED}")
    for key, wanted in FIT.items():
        if config.get(key, wanted) != wanted:
            raise InputError(f"{path}: its transformer has {key} {config[key]}, expected {wanted}: {EXPECTED}")
    if config.get("image_dim", 1280 if kind == "animate" else None) is None:
        raise InputError(f"{path}: its transformer reads no image, so it is not an image-to-video model; {EXPECTED}")
    shards = _shards(path / "transformer")
    tensors = {}
    for shard in shards:
        tensors.update(header(shard))
    _check_tensors(path, config, tensors)
    return ModelFolder(path, kind, _dtype(path, tensors), shards, config, f"{EMBEDDING}.weight" in tensors)


def _config(path: Path) -> dict[str, Any]:
    file = path / "transformer" / "config.json"
    if not file.is_file():
        if (path / "config.json").is_file() and path.name == "transformer":
            raise InputError(f"{path} is a model folder's transformer alone; give the folder around it")
        raise InputError(f"{path} holds no transformer/config.json; {EXPECTED}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}); fetch it again") from error
    if not isinstance(config, dict):
        raise InputError(f"{file} is damaged; fetch it again")
    return config


def _shards(folder: Path) -> tuple[Path, ...]:
    """All files of the transformer. Raises InputError naming the first that is missing."""
    index = folder / f"{WEIGHTS}.safetensors.index.json"
    if not index.is_file():
        single = folder / f"{WEIGHTS}.safetensors"
        if not single.is_file():
            raise InputError(f"{folder} holds neither {single.name} nor {index.name}; fetch the model again")
        return (single,)
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{index} is damaged; fetch it again") from error
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} lacks {len(missing)} of {len(names)} shards, first {missing[0]}; fetch it again")
    return tuple(folder / name for name in names)


def header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> (dtype, shape) of a safetensors file. Raises InputError for a damaged or cut-off one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (entry.get_dtype(), tuple(entry.get_shape())) for name, entry in slices.items()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or cut off ({error}); fetch or make it again") from error


def _check_tensors(path: Path, config: dict[str, Any], tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Every tensor that the model takes is there, of its shape; the rest is named in TOLERATED."""
    from stages.wan.transformer import meta_model

    expected = {name: tuple(tensor.shape) for name, tensor in meta_model(config).state_dict().items()}
    if not any(name.startswith(f"{EMBEDDING}.") for name in tensors):
        expected = {name: shape for name, shape in expected.items() if not name.startswith(f"{EMBEDDING}.")}
    for name, shape in expected.items():
        if name not in tensors:
            raise InputError(f"{path}: its transformer lacks the tensor {name}; fetch the model again")
        if tensors[name][1] != shape:
            raise InputError(f"{path}: {name} is {tensors[name][1]}, its own config says {shape}; fetch it again")
    strange = [name for name in tensors if name not in expected and not name.startswith(tuple(TOLERATED))]
    if strange:
        raise InputError(f"{path}: {len(strange)} tensors are unknown, first {strange[0]}; {EXPECTED}")


def _dtype(path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> str:
    for name, (dtype, _) in tensors.items():
        if dtype not in READABLE:
            raise InputError(
                f"{path}: {name} is stored as {dtype}, expected {' or '.join(READABLE)}; fp8 is chosen when running"
            )
    kinds = [dtype for name, (dtype, shape) in tensors.items() if len(shape) > 1]
    return max(set(kinds), key=kinds.count)
