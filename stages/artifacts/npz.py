"""Read and write .npz files without pickles."""

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

    often_zero: names of arrays that, if all zero, are returned as a read-only view of one zero, which needs no memory.
    The pose correctives of the open body are 80 MB of zeros.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{path} is a single array, not an .npz archive; give an .npz file")
            zeros = {name: found for name in often_zero if (found := _zero_view(archive, name)) is not None}
            return {name: zeros[name] if name in zeros else archive[name] for name in archive.files}
    except InputError:
        raise
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise InputError(
                f"{path} holds pickled objects or is not an .npz; emosh never unpickles, save plain arrays"
            ) from error
        raise InputError(f"{path} is damaged ({error}); make it again") from error
    except (zipfile.BadZipFile, OSError, EOFError, KeyError) as error:
        raise InputError(f"{path} is damaged or not an .npz ({error}); make it again") from error


def _zero_view(archive: NpzFile, name: str) -> np.ndarray | None:
    """A view of one zero in the shape of the array, if all its bytes are zero; else None. Reads one chunk at a time."""
    if name not in archive.files:
        return None
    zero_bytes = bytes(CHUNK)
    with archive.zip.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        size, expected = 0, int(np.prod(shape)) * dtype.itemsize
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if chunk != zero_bytes[: len(chunk)]:
                return None
    return np.broadcast_to(np.zeros((), dtype), shape) if size == expected else None


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays compressed and atomically. The same arrays give the same bytes."""
    for name, array in arrays.items():
        assert np.asarray(array).dtype != object, f"{name} would be pickled"
    with atomic_path(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
