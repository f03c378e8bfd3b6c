"""Whether a LoRA fits a base, by the names, shapes and types of its tensors, before either is loaded.

Tensors with Wan's or musubi's names are first converted by diffusers, as they are when they are loaded. For the check
they have shapes but no values. Does not know scales and values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.artifacts.safetensors_file import opened_safetensors
from stages.errors import InputError
from stages.wan.loading import quiet_libraries
from stages.wan.part_check import expected_shapes
from stages.wan.safetensors_headers import FLOATS, Entry, read_header

PREFIX = "transformer."
TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def check_lora_shapes(
    path: Path, entries: Mapping[str, Entry], config: Mapping[str, Any], rank: int | None = None
) -> None:
    """Compare a LoRA's tensors, under diffusers' names, with the linear layers of the base that `config` describes.

    Every tensor must belong to a linear layer and have its width. Every layer must have both halves with equal rank,
    which must be `rank` if given. Raises InputError for the first tensor that does not fit.
    """
    linears = {
        name.removesuffix(".weight"): shape for name, shape in expected_shapes(config).items() if len(shape) == 2
    }
    halves: dict[str, dict[str, int]] = {}
    for name, entry in entries.items():
        module, _, role = name.partition(".lora_")
        if role not in ("A.weight", "B.weight", "B.bias") or module not in linears:
            raise InputError(f"{path}: '{name}' fits no layer of this base; it is a LoRA of another model")
        if entry.dtype not in FLOATS:
            raise InputError(f"{path}: '{name}' is stored as {entry.dtype}, expected {' or '.join(FLOATS)}")
        writes, reads = linears[module]
        if role == "A.weight" and entry.shape[1:] != (reads,):
            raise InputError(f"{path}: '{name}' reads {_input_width(entry)} features, this base has {reads}")
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
    """Refuse a file that holds no LoRA of the base that `config` describes. Reads only its header and its alphas."""
    entries, _ = read_header(path)
    if not any("lora" in name for name in entries):
        raise InputError(f"{path} holds no LoRA")
    odd = next((name for name, entry in entries.items() if entry.dtype not in FLOATS), None)
    if odd is not None:
        raise InputError(f"{path}: '{odd}' is stored as {entries[odd].dtype}, expected {' or '.join(FLOATS)}")
    shapes = {
        name: torch.empty(entry.shape, dtype=TYPES[entry.dtype], device="meta") for name, entry in entries.items()
    }
    tensors = to_diffusers_names(path, {**shapes, **_read_alphas(path, entries)})
    names = {kind: name for name, kind in TYPES.items()}
    check_lora_shapes(
        path, {name: Entry(path, names[each.dtype], tuple(each.shape)) for name, each in tensors.items()}, config
    )


def to_diffusers_names(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A LoRA's tensors under diffusers' names, without the prefix `transformer.`. The input has diffusers', Wan's or
    musubi's names. Raises InputError where diffusers does not know a name.
    """
    from diffusers.loaders.lora_pipeline import WanLoraLoaderMixin

    example = next(iter(tensors))
    try:
        with quiet_libraries():
            found = WanLoraLoaderMixin.lora_state_dict(dict(tensors))
    except (ValueError, KeyError, IndexError, UnboundLocalError) as error:
        raise InputError(
            f"{path} is not a LoRA of a Wan transformer: diffusers does not know its names, such as '{example}'; "
            "give one made for Wan2.1-I2V-14B"
        ) from error
    assert isinstance(found, dict)
    return {name.removeprefix(PREFIX): tensor for name, tensor in found.items()}


def dropped_names(path: Path) -> list[str]:
    """Names of the tensors in a LoRA file that diffusers ignores, with `*` for the block number.

    These are changes of norms, DoRA's scales, and a bias of the time projection without its weight.
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


def _read_alphas(path: Path, entries: Mapping[str, Entry]) -> dict[str, Tensor]:
    """Read the alphas, whose values the conversion needs. Each is one number."""
    with opened_safetensors(path, "fetch or make it again") as file:
        return {name: file.get_tensor(name) for name in entries if name.endswith(".alpha")}


def _input_width(entry: Entry) -> int | str:
    return entry.shape[1] if len(entry.shape) > 1 else "no"
