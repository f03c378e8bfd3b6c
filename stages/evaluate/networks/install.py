"""Install a metric network: check the file, convert plain weights, run it once, and write its record.

A file is accepted if its sha256 is known or if the user trusts it: TorchScript and ONNX files are programs. Plain
weights are converted to safetensors. A `.pth` is read with torch's `weights_only`, which runs no code; no other pickle
is loaded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import sha256_file
from stages.artifacts.safetensors_file import load_tensors, save_tensors
from stages.artifacts.torch_file import load_torch
from stages.artifacts.zip_directory import is_zip, opened_zip
from stages.errors import InputError
from stages.evaluate.networks.installed import SUFFIXES, InstalledNetwork, networks_folder
from stages.evaluate.networks.known_files import known_file, known_file_names

ALEX_KERNEL = 11
"""Side of AlexNet's first kernel, pixels; that of VGG is 3."""
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def install_network(name: str, source: Path, home: Path, trust: bool = False) -> list[InstalledNetwork]:
    """Check `source` and install it as the network `name` or a part of it. `home` is emosh's data folder.

    Raises InputError for a file that is neither known nor trusted, that is another network, or that is damaged.
    """
    digest = sha256_file(source)
    published = known_file(digest)
    if published is not None and published.name != name:
        raise InputError(
            f"{source} is {published.description}; add it with: emosh models add {published.name} {source}"
        )
    form = recognise_form(source)
    if published is None and not trust:
        raise InputError(
            f"{source} (sha256 {digest[:12]}...) is not one of the known files of {name} ({known_file_names(name)}); "
            "if you trust its source, add it with --trust"
        )
    description = published.description if published is not None else f"{name}, trusted by you"
    pieces: Mapping[str, Any] = {name: None}
    if form == "weights":
        pieces = parts_of(name, _weights(source), source)
    elif name == "lpips":
        if form != "torchscript":
            raise InputError(
                f"{source} cannot be used for LPIPS; give weights (.pth, .safetensors) or NVIDIA's TorchScript vgg16.pt"
            )
        pieces = {"lpips-vgg": None}
    return [
        _write_network(part, form, weights, source, digest, description, trust, home)
        for part, weights in pieces.items()
    ]


def recognise_form(path: Path) -> str:
    """ "torchscript", "onnx" or "weights", by the file's content. Raises InputError for a file that is too short."""
    head = _first_bytes(path)
    if len(head) < 16:
        raise InputError(f"{path} is too short to be a network; copy it again")
    if is_zip(path):
        with opened_zip(path, "copy it again") as archive:
            return "torchscript" if any("/code/" in name for name in archive.namelist()) else "weights"
    if head[8:9] == b"{" or head[:1] == b"\x80":
        return "weights"
    return "onnx"


def parts_of(name: str, weights: Mapping[str, Any], source: Path) -> dict[str, dict[str, Any]]:
    """Part -> tensors by the names that the forward passes use. Raises InputError for weights of another network."""
    if name == "inception":
        kept = {key: value for key, value in weights.items() if not key.startswith(("fc.", "AuxLogits."))}
        if "Mixed_7c.branch_pool.conv.weight" not in kept:
            raise InputError(
                f"{source} is not Inception v3 with torchvision's names: Mixed_7c.branch_pool.conv.weight is missing"
            )
        return {"inception": kept}
    if name != "lpips":
        raise InputError(f"{source} has only weights; give {name} as TorchScript{' or ONNX' * (name == 'arcface')}")
    backbone = _backbone(weights)
    lins = {f"lin{k}": value for k in range(5) if (value := _head_weights(weights, k)) is not None}
    first = backbone.get("features.0.weight")
    net = _net_of_lins(lins, source) if first is None else "alex" if first.shape[-1] == ALEX_KERNEL else "vgg"
    found = {f"lpips-{net}-backbone": backbone, f"lpips-{net}-lins": lins if len(lins) == 5 else {}}
    return {part: tensors for part, tensors in found.items() if tensors}


def _backbone(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Backbone weights: `features.N.weight` of torchvision, or `net.sliceK.N.weight` of a whole lpips.LPIPS."""
    found = {}
    for key, value in weights.items():
        words = key.split(".")
        if words[0] == "features":
            found[key] = value
        elif words[0] == "net" and len(words) == 4:
            found[f"features.{words[2]}.{words[3]}"] = value
    return found


def _head_weights(weights: Mapping[str, Any], number: int) -> Any:
    for key in (f"lin{number}.model.1.weight", f"lins.{number}.model.1.weight", f"lin{number}.model.0.weight"):
        if key in weights:
            return weights[key]
    return None


def _net_of_lins(lins: Mapping[str, Any], source: Path) -> str:
    channels = tuple(int(value.shape[1]) for value in lins.values())
    for net, expected in CHANNELS.items():
        if channels == expected or (len(channels) == 5 and net in source.stem):
            return net
    raise InputError(
        f"{source} is not LPIPS: it has neither a backbone (features.0.weight) nor five heads (lin0.model.1.weight)"
    )


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _weights(source: Path) -> dict[str, Any]:
    """Tensors by name, read without running code from the file."""
    import torch

    if _first_bytes(source)[8:9] == b"{":
        return load_tensors(source, "copy it again")
    found = load_torch(source, "copy it again")
    tensors = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(each, torch.Tensor) for each in tensors.values()):
        raise InputError(f"{source} is not a table of tensors; give the published weights file")
    return tensors


def _write_network(
    part: str, form: str, weights: Any, source: Path, digest: str, description: str, trust: bool, home: Path
) -> InstalledNetwork:
    """Write the file, then its record; a file of the same part in another form is removed."""
    from stages.evaluate.networks.load import try_once

    network = InstalledNetwork(part, form, digest, "", description, source.name, trust)
    place = network.path(home)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot create {place.parent} ({error.strerror}); set EMOSH_HOME to a folder of yours"
        ) from error
    with atomic_path(place) as partial:
        if weights is None:
            shutil.copyfile(source, partial)
        else:
            save_tensors(partial, {key: value.detach().contiguous().clone() for key, value in weights.items()})
        try_once(network, partial)
        finished = InstalledNetwork(**{**asdict(network), "file_sha256": sha256_file(partial)})
    with atomic_path(networks_folder(home) / f"{part}.json") as partial:
        partial.write_text(json.dumps(asdict(finished), indent=1) + "\n", encoding="utf-8")
    for other in SUFFIXES.values():
        if other != place.suffix:
            place.with_suffix(other).unlink(missing_ok=True)
    return finished
