"""Names, shapes and types of the tensors in a safetensors file or folder, from the headers. Reads no tensor.

A folder in the Hub's format holds either one `NAME.safetensors`, or `NAME.safetensors.index.json` and the shards that
it lists. Every error names the file.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.names import checked_name
from stages.errors import InputError

MAX_HEADER_BYTES = 100_000_000
"""Largest header that safetensors allows."""
BYTES_PER_VALUE = {
    "F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
FLOATS = ("F32", "BF16", "F16")
"""Number types that emosh loads. Files with other types were quantised by another program."""


@dataclass(frozen=True)
class Entry:
    """One tensor: the file that holds it, its number type as safetensors writes it, its shape."""

    file: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the tensor in bytes."""
        return math.prod(self.shape) * BYTES_PER_VALUE[self.dtype]


def read_header(path: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """(name -> tensor, metadata) of one safetensors file, from its header and its size.

    Raises InputError for a file that is absent, damaged, cut short, or longer than its header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise InputError(f"{path} is damaged or not a safetensors file; fetch or make it again")
            header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        ends = [int(entry["data_offsets"][1]) for entry in header.values()]
        entries = {
            name: Entry(path, str(entry["dtype"]), tuple(map(int, entry["shape"]))) for name, entry in header.items()
        }
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; fetch or copy it there") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path} has a damaged safetensors header; fetch or make it again") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise InputError(f"{path} is cut short: {size} bytes of {expected}; fetch it again")
    return entries, metadata


def read_folder(folder: Path) -> dict[str, Entry]:
    """Name -> tensor of a weights folder, with one file or with shards.

    Raises InputError for a folder without weights, a missing or damaged shard, and an index that differs from its
    shards.
    """
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if len(indices) > 1:
        raise InputError(f"{folder} holds {len(indices)} weight indices; keep one of {_names(indices)}")
    if indices:
        return _sharded(indices[0])
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return read_header(files[0])[0]
    if not files:
        raise InputError(f"{folder} holds no safetensors weights{_other_format(folder)}")
    raise InputError(f"{folder} holds {len(files)} safetensors files but no index; fetch the .index.json beside them")


def _sharded(index: Path) -> dict[str, Entry]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        named = {str(name): index.parent / _shard_name(file, index) for name, file in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index} is not a weight index; fetch it again") from error
    shards = sorted(set(named.values()))
    absent = [shard for shard in shards if not shard.is_file()]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise InputError(f"{index.parent} lacks {absent[0].name}{more} of {len(shards)} shards; fetch the missing ones")
    entries: dict[str, Entry] = {}
    for shard in shards:
        entries |= read_header(shard)[0]
    for name, shard in named.items():
        if name not in entries or entries[name].file != shard:
            raise InputError(f"{shard} does not hold {name} as {index.name} says; fetch both again")
    return {name: entries[name] for name in named}


def _shard_name(file: object, index: Path) -> str:
    """A shard lies beside its index and is safetensors: a library that reads the index would open any other too."""
    name = checked_name(file, str(index))
    if not name.endswith(".safetensors"):
        raise InputError(f"{index} lists {name!r}, which is not a .safetensors file; get the model as safetensors")
    return name


def _other_format(folder: Path) -> str:
    pickled = [*folder.glob("*.bin"), *folder.glob("*.pth"), *folder.glob("*.ckpt")]
    if pickled:
        return f", only {pickled[0].name}: pickled weights are not loaded, get the safetensors ones"
    return "; is it the right folder?"


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)
