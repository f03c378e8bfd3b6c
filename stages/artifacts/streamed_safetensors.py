"""safetensors files larger than memory: shapes are declared first, then data is written and read in pieces.

The safetensors library needs all tensors in memory to write a file. The format itself is a length, a JSON header and
the bytes of the tensors in order, so it can be streamed when all shapes are known.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stages.artifacts.atomic import atomic_path
from stages.artifacts.safetensors_file import read_header
from stages.errors import InputError

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
}
ALIGNMENT = 8
"""Alignment of the first tensor's first byte, in bytes, as in the library."""


@dataclass(frozen=True)
class Declared:
    """Type and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Size of its data in bytes."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


class StreamedWriter:
    """Writes the declared tensors in their order, each at once or in pieces along its first axis."""

    def __init__(self, file: BinaryIO, declared: Mapping[str, Declared]) -> None:
        self._file, self._left = file, [(name, each, each.size_bytes) for name, each in declared.items()]

    def write(self, name: str, array: np.ndarray) -> None:
        """Append `array` to the tensor `name`. Raises InputError for values that are not finite."""
        expected, declared, left = self._left[0]
        assert name == expected, f"{name} was written where {expected} was declared"
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(
                f"{name} has values that are not finite: the model's weights are damaged or its precision is too low; "
                "check the weights, or use a higher precision"
            )
        data = np.ascontiguousarray(array, DTYPES[declared.dtype])
        assert data.nbytes <= left, f"{name} is longer than declared"
        self._file.write(data.data)
        self._left[0] = (name, declared, left - data.nbytes)
        if left == data.nbytes:
            self._left.pop(0)

    def check_complete(self) -> None:
        """Assert that all declared tensors were written."""
        assert not self._left, f"{self._left[0][0]} was not written completely"


@contextmanager
def write_streamed(
    path: Path, declared: Mapping[str, Declared], metadata: Mapping[str, str]
) -> Iterator[StreamedWriter]:
    """Write a safetensors file atomically. Raises InputError if it cannot be written or the disk is full."""
    with atomic_path(Path(path)) as part, part.open("wb") as file:
        file.write(_header(declared, metadata))
        writer = StreamedWriter(file, declared)
        yield writer
        writer.check_complete()


def _header(declared: Mapping[str, Declared], metadata: Mapping[str, str]) -> bytes:
    fields: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for name, each in declared.items():
        assert begin % DTYPES[each.dtype].itemsize == 0, f"{name} would not be aligned"
        end = begin + each.size_bytes
        fields[name] = {"dtype": each.dtype, "shape": list(each.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(fields, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text


class StreamedReader:
    """An open safetensors file; only its header is in memory."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a missing, damaged or truncated file."""
        from safetensors import SafetensorError, safe_open

        self.path = Path(path)
        tensors, self.metadata = read_header(self.path, "make it again")
        self.declared = {name: Declared(each.dtype, each.shape) for name, each in tensors.items()}
        try:
            self._file = safe_open(self.path, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged ({error}); make it again") from error

    def placeholders(self) -> dict[str, np.ndarray]:
        """For each tensor an array of its shape and type that needs no memory, for schema checks."""
        return {
            name: np.broadcast_to(np.zeros((), DTYPES.get(each.dtype, np.dtype(object))), each.shape)
            for name, each in self.declared.items()
        }

    def read(self, name: str, row: int | None = None) -> np.ndarray:
        """A tensor, or one row of it. Raises InputError for values that are not finite."""
        array = self._file.get_tensor(name) if row is None else self._file.get_slice(name)[row : row + 1][0]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = "" if row is None else f" at row {row}"
            raise InputError(f"{self.path}: tensor '{name}' is not finite{where}; make the file again")
        return array
