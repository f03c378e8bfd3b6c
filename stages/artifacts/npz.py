"""Reading and writing .npz without ever unpickling."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError

CHUNK = 1 << 20


def read_npz(path: Path, often_zero: Collection[str] = ()) -> dict[str, np.ndarray]:
    """All arrays of a .npz (`-` is not handled here). Raises InputError for a missing, damaged or pickled file.

    often_zero: arrays that, where all zero, come back as one zero seen from everywhere (read-only, no memory): the open
    body's pose correctives are 80 MB of nothing.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{path} is not an .npz archive")
            zeros = {name: found for name in often_zero if (found := _zeros(archive, name)) is not None}
            return {name: zeros[name] if name in zeros else archive[name] for name in archive.files}
    except InputError:
        raise
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise InputError(f"{path} holds pickled objects or is no .npz; emosh never unpickles") from error
        raise InputError(f"{path} is damaged ({error}); make it again") from error
    except (zipfile.BadZipFile, OSError, EOFError, KeyError) as error:
        raise InputError(f"{path} is damaged or not an .npz ({error}); make it again") from error


def _zeros(archive: NpzFile, name: str) -> np.ndarray | None:
    """The array of that name when every byte of it is zero, read a chunk at a time; None when it is not."""
    if name not in archive.files:
        return None
    nothing = bytes(CHUNK)
    with archive.zip.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        size, left = 0, int(np.prod(shape)) * dtype.itemsize
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if chunk != nothing[: len(chunk)]:
                return None
    return np.broadcast_to(np.zeros((), dtype), shape) if size == left else None


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays compressed and atomically, byte for byte the same for the same arrays."""
    for name, array in arrays.items():
        assert np.asarray(array).dtype != object, f"{name} would be pickled"
    with atomic_path(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
