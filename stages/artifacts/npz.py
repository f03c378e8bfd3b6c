"""Reading and writing .npz without ever unpickling."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a .npz (`-` is not handled here). Raises InputError for a missing, damaged or pickled file."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{path} is not an .npz archive")
            return {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise InputError(f"{path} holds pickled objects or is no .npz; emosh never unpickles") from error
        raise InputError(f"{path} is damaged ({error}); make it again") from error
    except (zipfile.BadZipFile, OSError, EOFError, KeyError) as error:
        raise InputError(f"{path} is damaged or not an .npz ({error}); make it again") from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays compressed and atomically, byte for byte the same for the same arrays."""
    for name, array in arrays.items():
        assert np.asarray(array).dtype != object, f"{name} would be pickled"
    with atomic_path(Path(path)) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)
