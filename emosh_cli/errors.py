"""Exceptions become one line and an exit code: 2 when the user can mend it, 130 for Ctrl-C, 1 for our own bug.

Deliberately knows no stage: a stage says what is wrong in an InputError, this module only words what Python raises.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from stages.errors import InputError

REPORT = "this is a bug in emosh; please report it with what EMOSH_DEBUG=1 prints for the same command"
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Message:
    """What the user reads, and the process's exit code."""

    text: str
    code: int


def message_of(error: BaseException) -> Message:
    """Word any exception that can end a command."""
    if isinstance(error, InputError):
        return Message(_one_line(str(error)), 2)
    if isinstance(error, KeyboardInterrupt):
        return Message("stopped; nothing half-written is left, and a rerun continues", 130)
    if isinstance(error, MemoryError):
        return Message("out of memory; close other programs, or use a shorter or smaller video", 2)
    if isinstance(error, ModuleNotFoundError) and not _ours(error.name):
        return Message(f"the package '{error.name}' is not installed; see what is missing with: emosh doctor", 2)
    if isinstance(error, OSError) and error.errno is not None:
        return _refused(error)
    return Message(_one_line(f"{type(error).__name__}: {error}; {REPORT}"), 1)


def _ours(name: str | None) -> bool:
    return name is None or name.split(".")[0] in ("emosh_cli", "stages")


def _refused(error: OSError) -> Message:
    """The operating system said no: the disk, a permission, a missing file."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL:
        return Message(f"the disk is full{where}; free some space and run it again", 2)
    if error.errno == errno.ENOMEM:
        return Message("out of memory; close other programs, or use a shorter or smaller video", 2)
    known = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError)
    if known or error.errno in (errno.EROFS, errno.ENAMETOOLONG, errno.EMFILE):
        reason = (error.strerror or "refused").lower()
        return Message(f"{reason}{where}; check the path and its permissions", 2)
    return Message(_one_line(f"{type(error).__name__}: {error}; {REPORT}"), 1)


def _one_line(text: str) -> str:
    return " ".join(text.split())
