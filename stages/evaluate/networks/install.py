"""Filing a network: told by its sha256 or trusted by name, converted where it is only weights, run once, recorded.

TorchScript and ONNX files are programs, so a file that is not known is loaded only when the user says so. Plain
weights become safetensors: a `.pth` is read with torch's `weights_only`, which runs nothing; no pickle is ever loaded.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import sha256_file
from stages.errors import InputError
from stages.evaluate.networks.installed import SUFFIXES, InstalledNetwork, folder
from stages.evaluate.networks.known_files import files_of, known

ALEX_KERNEL = 11
"""The side of AlexNet's first kernel; VGG's is 3."""
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def file_network(name: str, source: Path, home: Path, trust: bool = False) -> list[InstalledNetwork]:
    """Check and file `source` as (part of) the network `name`. `home` is emosh's data folder.

    Raises InputError for a file that is neither known nor trusted, another network than `name`, or damaged.
    """
    digest = sha256_file(source)
    published = known(digest)
    if published is not None and published.name != name:
        raise InputError(f"{source} is {published.said}; add it with: emosh models add {published.name} {source}")
    form = recognise(source)
    if published is None and not trust:
        raise InputError(
            f"{source} (sha256 {digest[:12]}...) is none of the known files of {name} ({files_of(name)}); "
            "if you trust whoever made it, add it with --trust"
        )
    said = published.said if published is not None else f"{name}, trusted by you"
    pieces: Mapping[str, Any] = {name: None}
    if form == "weights":
        pieces = parts_of(name, _weights(source), source)
    elif name == "lpips":
        if form != "torchscript":
            raise InputError(
                f"{source}: LPIPS is taken as weights (.pth, .safetensors) or NVIDIA's TorchScript vgg16.pt"
            )
        pieces = {"lpips-vgg": None}
    return [_filed(part, form, weights, source, digest, said, trust, home) for part, weights in pieces.items()]


def recognise(path: Path) -> str:
    """ "torchscript", "onnx" or "weights", by content. Raises InputError for an empty file."""
    head = _head(path)
    if len(head) < 16:
        raise InputError(f"{path} is too short to hold a network; copy it again")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return "torchscript" if any("/code/" in name for name in archive.namelist()) else "weights"
    if head[8:9] == b"{" or head[:1] == b"\x80":
        return "weights"
    return "onnx"


def parts_of(name: str, weights: Mapping[str, Any], source: Path) -> dict[str, dict[str, Any]]:
    """Part -> tensors by the names that the forward passes use. Raises InputError for weights of something else."""
    if name == "inception":
        kept = {key: value for key, value in weights.items() if not key.startswith(("fc.", "AuxLogits."))}
        if "Mixed_7c.branch_pool.conv.weight" not in kept:
            raise InputError(
                f"{source} holds no Inception v3 in torchvision's names (Mixed_7c.branch_pool.conv.weight)"
            )
        return {"inception": kept}
    if name != "lpips":
        raise InputError(
            f"{source} holds weights alone; {name} is taken as TorchScript{' or ONNX' * (name == 'arcface')}"
        )
    backbone = _backbone(weights)
    lins = {f"lin{k}": value for k in range(5) if (value := _lin(weights, k)) is not None}
    first = backbone.get("features.0.weight")
    net = _net_of_lins(lins, source) if first is None else "alex" if first.shape[-1] == ALEX_KERNEL else "vgg"
    found = {f"lpips-{net}-backbone": backbone, f"lpips-{net}-lins": lins if len(lins) == 5 else {}}
    return {part: tensors for part, tensors in found.items() if tensors}


def _backbone(weights: Mapping[str, Any]) -> dict[str, Any]:
    """`features.N.weight` of torchvision, or `net.sliceK.N.weight` of a whole lpips.LPIPS."""
    found = {}
    for key, value in weights.items():
        words = key.split(".")
        if words[0] == "features":
            found[key] = value
        elif words[0] == "net" and len(words) == 4:
            found[f"features.{words[2]}.{words[3]}"] = value
    return found


def _lin(weights: Mapping[str, Any], number: int) -> Any:
    for key in (f"lin{number}.model.1.weight", f"lins.{number}.model.1.weight", f"lin{number}.model.0.weight"):
        if key in weights:
            return weights[key]
    return None


def _net_of_lins(lins: Mapping[str, Any], source: Path) -> str:
    channels = tuple(int(value.shape[1]) for value in lins.values())
    for net, wanted in CHANNELS.items():
        if channels == wanted or (len(channels) == 5 and net in source.stem):
            return net
    raise InputError(
        f"{source} holds neither a backbone (features.0.weight) nor five heads (lin0.model.1.weight) of LPIPS"
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _weights(source: Path) -> dict[str, Any]:
    """Tensors by name, read without running anything."""
    import torch

    try:
        if _head(source)[8:9] == b"{":
            from safetensors.torch import load_file

            return load_file(source)
        found = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{source} is no file of plain weights ({' '.join(str(error).split())[:100]})") from error
    tensors = found.get("state_dict", found) if isinstance(found, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(each, torch.Tensor) for each in tensors.values()):
        raise InputError(f"{source} holds no table of tensors; give the published weights file")
    return tensors


def _filed(
    part: str, form: str, weights: Any, source: Path, digest: str, said: str, trust: bool, home: Path
) -> InstalledNetwork:
    """Write file and record, the record last; another form of the same part goes."""
    from stages.evaluate.networks.load import try_once

    filed = InstalledNetwork(part, form, digest, "", said, source.name, trust)
    place = filed.path(home)
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
            from safetensors.torch import save_file

            save_file({key: value.detach().contiguous().clone() for key, value in weights.items()}, partial)
        try_once(filed, partial)
        finished = InstalledNetwork(**{**asdict(filed), "file_sha256": sha256_file(partial)})
    with atomic_path(folder(home) / f"{part}.json") as partial:
        partial.write_text(json.dumps(asdict(finished), indent=1) + "\n", encoding="utf-8")
    for other in SUFFIXES.values():
        if other != place.suffix:
            place.with_suffix(other).unlink(missing_ok=True)
    return finished
