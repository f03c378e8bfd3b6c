"""What a run makes for itself and removes at its end: unfinished files and temporary folders.

Their names hold the machine and the process. A killed process leaves them, and a later run on the same machine sees by
the name that their process has ended, and removes them.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_own: set[Path] = set()
"""Unfinished files and folders of this process."""


def new_mark() -> str:
    """`MACHINE-PROCESS-RANDOM`, the part of a name that says whose the file is."""
    return f"{_machine_id()}-{os.getpid()}-{secrets.token_hex(4)}"


def remove_if_left(path: Path, mark: str) -> None:
    """Remove a file or folder if `mark` is of a process of this machine that has ended."""
    machine, _, rest = mark.partition("-")
    process = rest.partition("-")[0]
    if machine != _machine_id() or not process.isdigit():
        return
    if path in _own or (int(process) != os.getpid() and _is_running(int(process))):
        return
    if stat.S_ISDIR(path.lstat().st_mode):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def own(path: Path) -> Iterator[Path]:
    """Note for the time of the block that this process makes `path`; the block removes it."""
    _own.add(path)
    try:
        yield path
    finally:
        if not os.path.lexists(path):
            _own.discard(path)


def unfinished() -> list[Path]:
    """What this process began and neither finished nor removed."""
    return sorted(path for path in _own if os.path.lexists(path))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in the system's temporary folder for the time of the block.

    Folders that killed runs of the same user left there are removed first.
    """
    place = Path(tempfile.gettempdir())
    for folder in place.glob(f"emosh-{_machine_id()}-*"):
        with suppress(OSError):
            if folder.lstat().st_uid == os.geteuid():
                remove_if_left(folder, folder.name.removeprefix("emosh-"))
    made = place / f"emosh-{new_mark()}"
    with own(made):
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def temporary_home() -> Path | None:
    """A folder of this user that stays, in the system's temporary folder: for what is made once where the user's own
    folders cannot be written. None where there is none, or where somebody else could write into it."""
    folder = Path(tempfile.gettempdir()) / f"emosh-home-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return folder if is_own and os.access(folder, os.W_OK) else None


@contextmanager
def made_folder(folder: Path, whole: bool = False) -> Iterator[Path]:
    """Make `folder` if it is not there. A block that fails leaves no new folder that is empty, nor, where the folder is
    one result as a `whole`, what is in it."""
    was_there = folder.is_dir()
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    except BaseException:
        if not was_there and whole:
            shutil.rmtree(folder, ignore_errors=True)
        elif not was_there:
            with suppress(OSError):
                folder.rmdir()  # only if it is empty
        raise


def _machine_id() -> str:
    """A short identifier of this machine, because folders may be shared between machines."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


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
