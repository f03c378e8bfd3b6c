"""Whether a LoRA belongs to a base, told by names, shapes and types before either of them is loaded.

A file in Wan's or musubi's names is put through diffusers' own conversion with tensors that have shapes but no
numbers, so that what is checked is what will be loaded. Knows nothing of scales and values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.errors import InputError
from stages.wan.loading import silenced
from stages.wan.part_check import expected_shapes
from stages.wan.safetensors_headers import FLOATS, Entry, read_header

PREFIX = "transformer."
TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def check_fit(path: Path, entries: Mapping[str, Entry], config: Mapping[str, Any], rank: int | None = None) -> None:
    """Compare a LoRA's tensors, under diffusers' names, with the linears of the base that `config` describes.

    Every one must have its linear, the linear's width, both halves, and one rank: `rank`, where it is given.
    Raises InputError for the first that does not.
    """
    linears = {
        name.removesuffix(".weight"): shape for name, shape in expected_shapes(config).items() if len(shape) == 2
    }
    halves: dict[str, dict[str, int]] = {}
    for name, entry in entries.items():
        module, _, role = name.partition(".lora_")
        if role not in ("A.weight", "B.weight", "B.bias") or module not in linears:
            raise InputError(f"{path}: '{name}' belongs to nothing in this base; it is a LoRA of another model")
        if entry.dtype not in FLOATS:
            raise InputError(f"{path}: '{name}' is stored as {entry.dtype}, expected {' or '.join(FLOATS)}")
        writes, reads = linears[module]
        if role == "A.weight" and entry.shape[1:] != (reads,):
            raise InputError(f"{path}: '{name}' reads {_last(entry)} features, this base has {reads}")
        if role != "A.weight" and entry.shape[:1] != (writes,):
            raise InputError(f"{path}: '{name}' writes {entry.shape[0]} features, this base has {writes}")
        if role != "B.bias":
            halves.setdefault(module, {})[role] = entry.shape[0 if role == "A.weight" else 1]
    if not halves:
        raise InputError(f"{path} holds no LoRA")
    for module, ranks in halves.items():
        if len(ranks) < 2:
            raise InputError(f"{path}: '{module}' has lora_{next(iter(ranks))} but not its other half; fetch it again")
        down, up = ranks["A.weight"], ranks["B.weight"]
        if down != up or (rank is not None and down != rank):
            raise InputError(f"{path}: '{module}' has rank {down} and {up}, expected {rank or down} for both")


def check_lora(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse, by its header alone, a file that holds no LoRA of the base that `config` describes."""
    entries, _ = read_header(path)
    if not any("lora" in name for name in entries):
        raise InputError(f"{path} holds no LoRA")
    odd = next((name for name, entry in entries.items() if entry.dtype not in FLOATS), None)
    if odd is not None:
        raise InputError(f"{path}: '{odd}' is stored as {entries[odd].dtype}, expected {' or '.join(FLOATS)}")
    shapes = {
        name: torch.empty(entry.shape, dtype=TYPES[entry.dtype], device="meta") for name, entry in entries.items()
    }
    tensors = converted(path, {**shapes, **_alphas(path, entries)})
    names = {kind: name for name, kind in TYPES.items()}
    check_fit(path, {name: Entry(path, names[each.dtype], tuple(each.shape)) for name, each in tensors.items()}, config)


def converted(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A LoRA under diffusers' names without the transformer's prefix, from diffusers', Wan's or musubi's.

    Raises InputError where diffusers cannot place a name.
    """
    from diffusers.loaders.lora_pipeline import WanLoraLoaderMixin

    example = next(iter(tensors))
    try:
        with silenced():
            found = WanLoraLoaderMixin.lora_state_dict(dict(tensors))
    except (ValueError, KeyError, IndexError, UnboundLocalError) as error:
        raise InputError(
            f"{path} is not a LoRA of a Wan transformer: diffusers cannot place its names, such as '{example}'; "
            "give one made for Wan2.1-I2V-14B"
        ) from error
    assert isinstance(found, dict)
    return {name.removeprefix(PREFIX): tensor for name, tensor in found.items()}


def left_out(path: Path) -> list[str]:
    """Names in a LoRA file that diffusers has no place for and drops, block numbers as `*`: changes of norms, DoRA's
    scales, and a bias of the time projection without its weight. Read from the header.
    """
    names = list(read_header(path)[0])
    projected = any("time_projection" in name and name.endswith(".weight") for name in names)
    dropped = [
        name
        for name in names
        if ("norm" in name and name.endswith((".diff", ".diff_b")))
        or "dora_scale" in name
        or ("time_projection" in name and not projected)
    ]
    return sorted({re.sub(r"blocks\.\d+\.", "blocks.*.", name) for name in dropped})


def _alphas(path: Path, entries: Mapping[str, Entry]) -> dict[str, Tensor]:
    """Scales are numbers that the conversion reads; they are one value each."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in entries if name.endswith(".alpha")}


def _last(entry: Entry) -> int | str:
    return entry.shape[1] if len(entry.shape) > 1 else "no"
