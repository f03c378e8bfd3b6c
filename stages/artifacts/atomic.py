"""Files appear whole or not at all."""

from __future__ import annotations

import glob
import os
import platform
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` with the same suffix; rename it to `path` when the block succeeds.

    On any exception, Ctrl-C included, the temporary file is removed and `path` keeps what it held before.
    After kill -9 only a file named `.NAME.XXXX.part.SUFFIX` is left; it is never taken for an artifact, and the next
    run that writes `path` on this machine removes it.

    Raises InputError when the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with _sentences(path):
            _sweep(path)
            part.touch(exist_ok=False)
            yield part
            _flush(part)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _machine() -> str:
    """Short, and another one on every machine: folders may be shared."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _sweep(path: Path) -> None:
    """Remove what a killed process of this machine left of `path`; one that still runs keeps its file."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.{_machine()}-*.part{glob.escape(path.suffix)}"):
        owner = left.name.removeprefix(f".{path.stem}.{_machine()}-").partition("-")[0]
        if owner.isdigit() and not _is_running(int(owner)):
            left.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Whether a process of this machine still runs; one that ended and that nobody waits for, as in a container without
    an init, does not."""
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
def _sentences(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into a line that names the output."""
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
