"""Read safetensors files: the header alone, tensor by tensor, or whole. Every damage is one InputError. Write them.

The header is checked here before the library sees the file, because it states sizes: each tensor must have the bytes
that its shape and type need, and all tensors together exactly the rest of the file.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.regular_file import require_regular_file
from stages.artifacts.text_files import parse_json
from stages.errors import InputError

MAX_HEADER_BYTES = 100_000_000
"""safetensors' own limit on its header."""
BYTES_PER_VALUE = {
    "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
MAX_AXES = 32


@dataclass(frozen=True)
class TensorHeader:
    """Number type and shape of a tensor, and where its bytes end, counted from the first tensor's."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path, advice: str) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    """(tensors by name, metadata), in file order; no tensor is read. `advice` says what to do about a damaged file.

    Raises InputError for a file that is absent, damaged, cut short, or whose header states what the file cannot hold.
    """
    path = require_regular_file(path, advice)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise InputError(f"{path} is damaged or not a safetensors file; {advice}")
            text = file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    try:
        header = parse_json(text.decode())
        metadata = header.pop("__metadata__", None) or {}
        if not isinstance(metadata, dict) or not all(isinstance(each, str) for each in metadata.values()):
            raise ValueError("metadata that is not text")
        tensors = {name: _tensor(name, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} has a damaged safetensors header ({error}); {advice}") from error
    _check_extent(path, tensors, size - 8 - length, advice)
    return tensors, metadata


def _tensor(name: str, entry: Any) -> TensorHeader:
    dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in BYTES_PER_VALUE:
        raise ValueError(f"{name!r} holds {dtype!r}, which is no type that emosh reads")
    if not all(type(each) is int and each >= 0 for each in (*shape, begin, end)) or len(shape) > MAX_AXES:
        raise ValueError(f"{name!r} has an impossible shape or place")
    if end - begin != math.prod(shape) * BYTES_PER_VALUE[dtype]:
        raise ValueError(f"{name!r} has {end - begin} bytes, not those of its shape")
    return TensorHeader(dtype, tuple(shape), begin, end)


def _check_extent(path: Path, tensors: dict[str, TensorHeader], size: int, advice: str) -> None:
    """Raises InputError unless the tensors lie one behind the other and fill the file."""
    at = 0
    for each in sorted(tensors.values(), key=lambda each: (each.begin, each.end)):
        if each.begin != at:
            raise InputError(f"{path} has a damaged safetensors header (tensors overlap or leave a gap); {advice}")
        at = each.end
    if at > size:
        raise InputError(f"{path} is cut short: {size} bytes of tensors, {at} by its header; {advice}")
    if at < size:
        raise InputError(f"{path} is longer than its header says: {size} bytes of tensors, not {at}; {advice}")


@contextmanager
def opened_safetensors(path: Path, advice: str, framework: str = "pt") -> Iterator[Any]:
    """The library's open file, whose header was checked. Raises InputError for damage, also while tensors are read."""
    from safetensors import SafetensorError, safe_open

    read_header(path, advice)
    try:
        with safe_open(str(path), framework=framework) as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}); {advice}") from error


def load_tensors(path: Path, advice: str) -> dict[str, Any]:
    """All of a file's tensors, as torch's, by name. Raises InputError as `read_header` does."""
    with opened_safetensors(path, advice) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def save_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write torch's tensors; call it inside `atomic_path`. The same tensors and metadata give the same bytes.

    The library orders the metadata by chance, so the header is written again with it sorted, at the same length. Raises
    OSError where the library reports one of the system, such as a full disk.
    """
    from safetensors.torch import save_file

    with system_errors(path):
        save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    if not metadata:
        return
    with path.open("r+b") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= length, "the header became longer by being sorted"
        file.seek(8)
        file.write(text.ljust(length))


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Raise what the library reports of the system while it writes, such as a full disk, as the OSError that it is."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error from error
