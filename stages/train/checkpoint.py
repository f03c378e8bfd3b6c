"""Save and load checkpoints. A checkpoint is two files: `adapter-NNNNNN.safetensors`, which `emosh generate` loads, and
`state-NNNNNN.safetensors`, which holds Adam's averages. The random draws need no state. The adapter is written last; a
checkpoint without it is ignored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import Provenance
from stages.artifacts.safetensors_file import load_tensors, read_header, save_tensors
from stages.errors import InputError
from stages.train.model import adapter_tensor_name, copy_whole, gather, tuned_parameters
from stages.wan.adapter import PREFIX, write_adapter

EARLIER = "remove it to go on from the checkpoint before"
AVERAGES = ("exp_avg", "exp_avg_sq", "step")
RAW = "raw"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint."""

    step: int
    adapter: Path
    state: Path


def checkpoints(folder: Path) -> list[Checkpoint]:
    """Complete checkpoints, oldest first."""
    found = []
    for adapter in folder.glob("adapter-*.safetensors"):
        match = re.fullmatch(r"adapter-(\d{6,})\.safetensors", adapter.name)
        state = adapter.with_name(adapter.name.replace("adapter-", "state-"))
        if match and state.is_file():
            found.append(Checkpoint(int(match[1]), adapter, state))
    return sorted(found, key=lambda each: each.step)


def save(
    folder: Path, step: int, model: Any, optimizer: torch.optim.Optimizer, rank: int, provenance: Provenance,
    is_main: bool, keep_checkpoints: int, raw: dict[str, Tensor] | None = None,
) -> Checkpoint:  # fmt: skip
    """Write a checkpoint and delete the oldest. Every process must call this; only the main process writes.

    `raw` are the weights from which training continues, where the model holds their average. `rank` is 0 where every
    weight is trained.
    """

    weights, averages = {}, {}
    for name, parameter in tuned_parameters(model):
        weights[adapter_tensor_name(name)] = gather(parameter)
        for kind in AVERAGES:
            averages[f"{adapter_tensor_name(name)}:{kind}"] = gather(optimizer.state[parameter][kind])
        if raw is not None:
            averages[f"{adapter_tensor_name(name)}:{RAW}"] = gather(raw[name])
    made = Checkpoint(step, folder / f"adapter-{step:06d}.safetensors", folder / f"state-{step:06d}.safetensors")
    if is_main:
        with atomic_path(made.state) as part:
            save_tensors(part, averages, {"emosh_kind": "training-state", "step": str(step)})
        write_adapter(made.adapter, weights, rank, rank, provenance)
        for old in checkpoints(folder)[:-keep_checkpoints]:
            old.adapter.unlink(missing_ok=True)
            old.state.unlink(missing_ok=True)
        remove_leftovers(folder)
    return made


def remove_leftovers(folder: Path) -> None:
    """Delete states without an adapter, and unfinished files of a killed run."""
    complete = {each.state for each in checkpoints(folder)}
    for state in folder.glob("state-*.safetensors"):
        if state not in complete:
            state.unlink(missing_ok=True)
    for part in folder.glob(".*.part.safetensors"):
        part.unlink(missing_ok=True)


def load(
    checkpoint: Checkpoint, model: Any, optimizer: torch.optim.Optimizer, expected: Provenance
) -> dict[str, Tensor]:
    """Load a checkpoint into model and optimizer. Returns name -> saved weights, or their average where one is kept.

    Raises InputError for a checkpoint with other settings, data or weights.
    """
    check_continues(checkpoint, expected)
    weights, averages = _read(checkpoint.adapter), _read(checkpoint.state)
    for name, parameter in tuned_parameters(model):
        _check_whole(checkpoint.adapter, weights, PREFIX + adapter_tensor_name(name), parameter.shape)
        for kind in ("exp_avg", "exp_avg_sq"):
            _check_whole(checkpoint.state, averages, f"{adapter_tensor_name(name)}:{kind}", parameter.shape)
        _check_whole(checkpoint.state, averages, f"{adapter_tensor_name(name)}:step", torch.Size())
        kept = weights[PREFIX + adapter_tensor_name(name)]
        copy_whole(parameter, averages.get(f"{adapter_tensor_name(name)}:{RAW}", kept))
        state = {}
        for kind in AVERAGES:
            value = averages[f"{adapter_tensor_name(name)}:{kind}"]
            state[kind] = value if kind == "step" else torch.zeros_like(parameter)
            if kind != "step":
                copy_whole(state[kind], value)
        optimizer.state[parameter] = state
    return {name: weights[PREFIX + adapter_tensor_name(name)] for name, _ in tuned_parameters(model)}


def _check_whole(path: Path, found: dict[str, Tensor], name: str, shape: torch.Size) -> None:
    if name not in found or found[name].shape != shape:
        what = f"lacks {name}" if name not in found else f"holds {name} in another shape"
        raise InputError(f"{path} {what}; remove it to continue from the checkpoint before")


def check_continues(checkpoint: Checkpoint, expected: Provenance) -> None:
    """Raises InputError where a checkpoint was made with other settings, data or weights."""
    made = _provenance(checkpoint.adapter)
    if made.fingerprint() == expected.fingerprint():
        return
    for what in ("config", "inputs", "weights"):
        before, now = getattr(made, what), getattr(expected, what)
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if changed:
            key = changed[0]
            values = (
                f" ({json.dumps(before.get(key))} then, {json.dumps(now.get(key))} now)" if what == "config" else ""
            )
            raise InputError(
                f"{checkpoint.adapter} was trained with another {key}{values}; "
                "choose another -o, or start again with --force"
            )
    raise InputError(
        f"{checkpoint.adapter} was trained by another version of emosh; choose another -o, or start again with --force"
    )


def _provenance(path: Path) -> Provenance:
    """Record of an adapter, or of a whole model's weights. Raises InputError for any other file."""
    _, metadata = read_header(path, EARLIER)
    try:
        return Provenance.from_json(metadata["emosh_provenance"])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); {EARLIER}") from error


def _read(path: Path) -> dict[str, Tensor]:
    return load_tensors(path, EARLIER)
