"""Read and write .npz files. Nothing is unpickled, and only the arrays that are asked for are unpacked.

`opened_npz` reads a file's directory and the arrays' own headers: names, shapes and types are known before anything is
unpacked. A file of another kind, with wrong shapes or too large for memory is refused before it is unpacked.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from stages.artifacts.atomic import atomic_path
from stages.artifacts.regular_file import require_regular_file
from stages.artifacts.schema import Schema
from stages.artifacts.zip_directory import check_directory, check_unpacked, opened_zip
from stages.errors import InputError

CHUNK = 1 << 20
MOST_ARRAYS = 10_000
MOST_NUMBERS = 1 << 40
"""Most elements of one array, also if an element has 0 bytes."""
TEXT_BYTES = 64 << 20
"""Largest text, such as a provenance record, at 4 bytes per character."""
_BAD_HEADER = (ValueError, TypeError, SyntaxError, OverflowError, MemoryError, RecursionError,
               struct.error, TokenError)  # fmt: skip
"""Errors that numpy raises for a header that is not a valid Python literal."""


@dataclass(frozen=True)
class Header:
    """Shape and number type of an array, from its header."""

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size_bytes(self) -> int:
        """Size of the array's data in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Npz:
    """An open archive. `headers` has every array; `strange` names the members that are not arrays."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        """Raises InputError for a directory or header that is damaged or impossible."""
        self.path, self._archive = path, archive
        check_directory(path, archive)
        if len(archive.infolist()) > MOST_ARRAYS:
            raise InputError(f"{path} holds {len(archive.infolist())} arrays; emosh reads at most {MOST_ARRAYS}")
        self.headers: dict[str, Header] = {}
        self.strange: list[str] = []
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            header = self._header(name, member)
            if header is None:
                self.strange.append(name)
            else:
                self.headers[name] = header

    def refuse_objects(self) -> None:
        """Raises InputError if any array holds Python objects, because they can only be read by unpickling."""
        for name, header in self.headers.items():
            if header.dtype.hasobject:
                raise InputError(f"{self.path}: array '{name}' holds pickled objects; emosh never unpickles")

    def text(self, name: str) -> str:
        """The text in that array; "" if the array is missing or is not a single text."""
        header = self.headers.get(name)
        if header is None or header.shape or header.dtype.kind != "U" or header.size_bytes > TEXT_BYTES:
            return ""
        return str(self._read(name))

    def value(self, name: str) -> Any:
        """The number, bool or short text in that array; None if the array is missing or holds anything else."""
        header = self.headers.get(name)
        if header is None or header.shape or header.dtype.kind not in "biufU" or header.dtype.itemsize > 4096:
            return None
        return self._read(name).item()

    def read(self, names: Collection[str], often_zero: Collection[str] = ()) -> dict[str, np.ndarray]:
        """The named arrays that exist. Raises InputError if they would unpack to too many bytes.

        often_zero: names of arrays that, if all zero, are returned as a read-only view of one zero, without memory.
        """
        wanted = [name for name in self.headers if name in names]
        zeros = {name: found for name in wanted if name in often_zero and (found := self._zeros(name)) is not None}
        check_unpacked(self.path, (self.headers[name].size_bytes for name in wanted if name not in zeros))
        return {name: zeros[name] if name in zeros else self._read(name) for name in wanted}

    def read_table(self, schema: Schema, often_zero: Collection[str] = ()) -> dict[str, np.ndarray]:
        """The validated arrays of a schema. Shapes and types are checked before anything is unpacked.

        Raises InputError as `Schema.validate` does.
        """
        schema.check_shapes(self.headers, str(self.path))
        arrays = self.read([row.name for row in schema.fields], often_zero)
        schema.validate(arrays, str(self.path))
        return arrays

    def _header(self, name: str, member: zipfile.ZipInfo) -> Header | None:
        """None for a member that is not an array. Raises InputError if the header does not match the data."""
        with self._archive.open(member) as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                return None
        with self._archive.open(member) as file:
            try:
                shape, dtype = _shape_and_type(file)
            except _BAD_HEADER as error:
                raise InputError(f"{self.path}: array '{name}' has a damaged header; make the file again") from error
            begin = file.tell()
        header = Header(member, shape, dtype)
        if math.prod(shape) > MOST_NUMBERS or (not dtype.hasobject and begin + header.size_bytes != member.file_size):
            raise InputError(f"{self.path}: array '{name}' is not as long as its header says; make the file again")
        return header

    def _read(self, name: str) -> np.ndarray:
        header = self.headers[name]
        if header.dtype.hasobject:
            raise InputError(f"{self.path}: array '{name}' holds pickled objects; emosh never unpickles")
        with self._archive.open(header.member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def _zeros(self, name: str) -> np.ndarray | None:
        """A view of one zero in the array's shape, if all its bytes are zero; else None.

        Compares the checksum that the archive states with that of as many zeros: nothing is unpacked.
        """
        header, nothing = self.headers[name], bytes(CHUNK)
        if header.dtype.kind not in "biuf":
            return None
        with self._archive.open(header.member) as file:
            _shape_and_type(file)
            length = file.tell()
        with self._archive.open(header.member) as file:
            checksum = zlib.crc32(file.read(length))
        for begin in range(0, header.size_bytes, CHUNK):
            checksum = zlib.crc32(nothing[: header.size_bytes - begin], checksum)
        return np.broadcast_to(np.zeros((), header.dtype), header.shape) if checksum == header.member.CRC else None


def _shape_and_type(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type from a header, of which numpy reads at most 10,000 characters. Raises ValueError for a header that
    numpy does not write."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version}")
    shape, _, dtype = readers[version](file)
    if any(type(size) is not int or size < 0 for size in shape) or len(shape) > 32:
        raise ValueError(f"shape {shape}")
    return shape, dtype


@contextmanager
def opened_npz(path: Path) -> Iterator[Npz]:
    """The archive at `path` (`-` is not handled here). Raises InputError for a missing or damaged file, also
    while its arrays are read."""
    path = require_regular_file(path, "give an .npz file")
    with path.open("rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise InputError(f"{path} is a single array, not an .npz archive; give an .npz file")
    with opened_zip(path, "make it again", "an .npz") as archive:
        yield Npz(path, archive)


def read_npz(path: Path, only: Collection[str] | None = None, objects: bool = False) -> dict[str, np.ndarray]:
    """All arrays of an .npz, or the arrays of `only` that exist.

    Raises InputError for a missing, damaged or pickled file, and for one that unpacks to more than its size allows.
    objects: whether the file may also hold arrays of Python objects; they are not read.
    """
    with opened_npz(path) as archive:
        if not objects:
            archive.refuse_objects()
        return archive.read(archive.headers.keys() if only is None else only)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays compressed and atomically. The same arrays give the same bytes."""
    for name, array in arrays.items():
        assert np.asarray(array).dtype != object, f"{name} would be pickled"
    with atomic_path(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
