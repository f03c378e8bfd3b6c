"""Write files atomically: a file appears complete, or not at all."""

from __future__ import annotations

import glob
import os
import platform
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    part = path.with_name(f".{path.stem}.{_machine_id()}-{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with _as_input_error(path):
            _remove_leftovers(path)
            part.touch(exist_ok=False)
            yield part
            _flush(part)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _machine_id() -> str:
    """A short identifier of this machine, because folders may be shared between machines."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that killed processes of this machine left; files of running ones are kept."""
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}.{_machine_id()}-*.part{glob.escape(path.suffix)}"):
        owner = leftover.name.removeprefix(f".{path.stem}.{_machine_id()}-").partition("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            leftover.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Whether a process of this machine still runs.

    A zombie does not count: a process that has ended but was not waited for, as in a container without an init.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True


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
