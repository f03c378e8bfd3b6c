"""Write files atomically: a file appears complete, or not at all."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.artifacts.leftovers import new_mark, own, remove_if_left
from stages.artifacts.regular_file import kind_of
from stages.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` with the same suffix; rename it to `path` when the block succeeds.

    On any exception, also Ctrl-C, the temporary file is removed and an old file at `path` is kept. After kill -9 a
    file named `.NAME.XXXX.part.SUFFIX` is left. It is never read as an artifact, and the next run that writes `path` on
    this machine removes it.

    Raises InputError when the folder is missing or not writable, the disk is full, or `path` is a device, a pipe or a
    socket: the rename would put a file in its place, which for /dev/null harms the whole machine.
    """
    path = Path(path)
    if (kind := kind_of(path)) not in (None, "a file", "a folder"):
        raise InputError(f"{path} is {kind}; name a file to write")
    part = path.with_name(f".{path.stem}.{new_mark()}.part{path.suffix}")
    with own(part):
        try:
            with _as_input_error(path):
                _remove_leftovers(path)
                part.touch(exist_ok=False)
                yield part
                _flush(part)
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that killed processes of this machine left; files of running ones are kept."""
    before, after = f".{path.stem}.", f".part{path.suffix}"
    for leftover in path.parent.glob(f"{glob.escape(before)}*{glob.escape(after)}"):
        remove_if_left(leftover, leftover.name.removeprefix(before).removesuffix(after))


def _flush(part: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _as_input_error(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into an InputError that names the output."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.parent.is_dir():
            raise
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; create it first") from error
    except (PermissionError, IsADirectoryError) as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place with -o") from error
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise InputError(f"cannot write {path}: the disk is full; free some space and run it again") from error
        if error.errno == 30:  # EROFS
            raise InputError(f"cannot write {path}: read-only file system; choose another place with -o") from error
        raise
