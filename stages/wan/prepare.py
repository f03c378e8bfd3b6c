"""Convert a transformer's fp32 shards to a bf16 base, once, one tensor at a time.

Tensors that diffusers keeps in fp32 when it loads in bf16 (norms, time embedding, modulation) stay fp32, so the loaded
base equals the original loaded in bf16, bit for bit. Memory holds one tensor and its bf16 copy. A stopped run continues
after the last finished shard.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from stages.artifacts.atomic import atomic_path
from stages.artifacts.disk import check_room
from stages.artifacts.safetensors_file import opened_safetensors
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.wan.face_names import has_face
from stages.wan.foreign_code import refuse_foreign_code
from stages.wan.install import HOME_ELSEWHERE
from stages.wan.nan_check import check_finite
from stages.wan.part_check import EMBEDDING, check_transformer, transformer_config
from stages.wan.recognise import TRANSFORMERS
from stages.wan.safetensors_headers import FLOATS, Entry, read_folder, read_header

STEM = "diffusion_pytorch_model"
"""diffusers' file name for a model's weights."""
SOURCE = "source.json"
"""Records which files an unfinished base is made from."""


def prepare(source: Path, out: Path, progress: Progress = silent) -> int:
    """Write the bf16 base of the transformer folder `source` to the folder `out`. Returns its bytes.

    Shards are written to `.NAME.part` beside `out`, which is renamed when all are done. A rerun from the same source
    keeps finished shards. Raises InputError for a folder that is not a Wan transformer, an `out` that exists, a full
    disk, and weights that hold nan or inf.
    """
    if out.exists():
        raise InputError(f"{out} already exists; move it away to make it again")
    from stages.wan.face_modules import face_config

    config, entries = _read(source)
    targets = base_entries(entries)
    shards = _by_shard(entries, targets)
    total = sum(entry.size_bytes for entry in targets.values())
    part = out.with_name(f".{out.name}.part")
    _resume(part, entries)
    finished = sum(path.stat().st_size for path in part.glob("*.safetensors"))
    check_room(part, total - finished, "preparing the base", HOME_ELSEWHERE)
    for done, (original, names) in enumerate(shards.items()):
        target = part / f"{STEM}-{done + 1:05d}-of-{len(shards):05d}.safetensors"
        expected = {name: targets[name] for name in names}
        if not _is_done(target, expected):
            with atomic_path(target) as writing:
                _write_shard(writing, original, expected)
        progress("preparing shards", done + 1, len(shards))
    _write_index(part, shards, total)
    kind = "EmoshTransformer3DModel" if f"{EMBEDDING}.weight" in targets else "WanTransformer3DModel"
    kept = transformer_config(config)
    if has_face(targets):
        kind, kept = "AnimateTransformer3DModel", {**kept, **face_config(config)}
    _write_json(part / "config.json", {**kept, "_class_name": kind})
    (part / SOURCE).unlink()
    part.replace(out)
    return total


def base_entries(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The tensors of the base with their number types."""
    from stages.wan.face_modules import AnimateTransformer3DModel

    kept = set(AnimateTransformer3DModel._keep_in_fp32_modules or ())
    return {
        name: replace(entry, dtype="F32" if kept & set(name.split(".")) else "BF16") for name, entry in entries.items()
    }


def _read(source: Path) -> tuple[dict[str, Any], dict[str, Entry]]:
    path = source / "config.json"
    refuse_foreign_code(source)
    config = read_json_object(path, "give a diffusers transformer folder")
    if config.get("_class_name") not in TRANSFORMERS:
        raise InputError(f"{source} holds {config.get('_class_name')}; give the folder of a Wan transformer")
    entries = read_folder(source)
    check_transformer(source, config, entries)
    for name, entry in entries.items():
        if entry.dtype not in FLOATS:
            raise InputError(f"{entry.file}: {name} is stored as {entry.dtype}; give weights in F32, BF16 or F16")
    return config, entries


def _by_shard(entries: dict[str, Entry], targets: dict[str, Entry]) -> dict[Path, list[str]]:
    """Original shard -> names of its tensors that the base keeps. Each of these shards becomes one of the base."""
    shards: dict[Path, list[str]] = {}
    for name in sorted(targets):
        shards.setdefault(entries[name].file, []).append(name)
    return dict(sorted(shards.items()))


def _resume(part: Path, entries: dict[str, Entry]) -> None:
    """Keep finished shards if they were made from the same files, else delete them."""
    files = sorted({entry.file for entry in entries.values()})
    identity = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    record = json.dumps(identity)
    if part.is_dir():
        same = (part / SOURCE).is_file() and (part / SOURCE).read_text(encoding="utf-8") == record
        for left in part.iterdir():
            if not same or left.name.startswith("."):
                left.unlink()
    try:
        part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {part} ({error.strerror}); set EMOSH_HOME to a folder of yours") from error
    with atomic_path(part / SOURCE) as writing:
        writing.write_text(record, encoding="utf-8")


def _is_done(target: Path, expected: dict[str, Entry]) -> bool:
    """Whether an earlier run finished this shard with the same tensors. A shard is renamed into place when it is
    complete."""
    if not target.is_file():
        return False
    found, _ = read_header(target)
    return {name: (entry.dtype, entry.shape) for name, entry in found.items()} == {
        name: (entry.dtype, entry.shape) for name, entry in expected.items()
    }


def _write_shard(path: Path, original: Path, expected: dict[str, Entry]) -> None:
    """Write the safetensors format: length, JSON header, then the tensors' bytes in the header's order.

    safetensors' own `save_file` needs every tensor of the shard in memory at once.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, entry in sorted(expected.items(), key=_widest_first):
        start, end = end, end + entry.size_bytes
        header[name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in list(header)[1:]:
            _write_tensor(file, original, name, expected[name].dtype)


def _widest_first(item: tuple[str, Entry]) -> tuple[int, str]:
    """Sort key of the format: wider number types first, so that every tensor is aligned."""
    return (0 if item[1].dtype == "F32" else 1, item[0])


def _write_tensor(file: BinaryIO, original: Path, name: str, dtype: str) -> None:
    """Convert and write one tensor. The original is opened per tensor, because an open file keeps what it has read in
    memory."""
    import torch

    with opened_safetensors(original, "fetch it again") as opened:
        tensor = opened.get_tensor(name).to(torch.float32 if dtype == "F32" else torch.bfloat16).contiguous()
    check_finite(original, {name: tensor})
    file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def _write_index(part: Path, shards: dict[Path, list[str]], total: int) -> None:
    weight_map = {
        name: f"{STEM}-{number + 1:05d}-of-{len(shards):05d}.safetensors"
        for number, names in enumerate(shards.values())
        for name in names
    }
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    _write_json(part / f"{STEM}.safetensors.index.json", index)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as writing:
        writing.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
