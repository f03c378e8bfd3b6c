"""Names, shapes and types of the tensors in a safetensors file or folder, from the headers. Reads no tensor.

A folder in the Hub's format holds either one `NAME.safetensors`, or `NAME.safetensors.index.json` and the shards that
it lists. Every error names the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts import safetensors_file
from stages.artifacts.names import checked_name
from stages.artifacts.safetensors_file import BYTES_PER_VALUE
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

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
    tensors, metadata = safetensors_file.read_header(path, "fetch or make it again")
    return {name: Entry(path, each.dtype, each.shape) for name, each in tensors.items()}, metadata


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
    content = read_json_object(index, "fetch it again")
    try:
        weight_map = content["weight_map"]
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
