"""Turns an exception into one line and an exit code: 2 if the user can fix it, 130 for Ctrl-C, 1 for a bug in emosh.

Knows no stage. A stage describes its own errors in an InputError; this module describes the errors that Python raises.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from stages.artifacts.leftovers import unfinished
from stages.errors import InputError

REPORT_IT = "this is a bug in emosh; please report it with what EMOSH_DEBUG=1 prints for the same command"
BUG = 1
"""Exit code of an error that the user cannot mend."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_MEMORY_TYPES = (ImportError, OSError, RuntimeError, SystemError)
"""What Python raises where a library or a thread cannot be loaded for lack of memory."""
LEAST_BYTES = 2 << 30
"""Address space that emosh's libraries need: `ulimit -v` of 1.5 GB is just enough for a photo."""


class WorkersKilled(KeyboardInterrupt):
    """Ctrl-C while workers were ending: they were killed, and removed nothing."""


@dataclass(frozen=True)
class Message:
    """What the user reads, and the process's exit code."""

    text: str
    code: int


def message_of(error: BaseException) -> Message:
    """The message for any exception that can end a command."""
    if isinstance(error, InputError):
        return Message(_one_line(str(error)), 2)
    if isinstance(error, KeyboardInterrupt):
        return Message(_stopped(error), 130)
    if isinstance(error, MemoryError):
        return Message("out of memory; close other programs, or use a shorter or smaller video", 2)
    if isinstance(error, ModuleNotFoundError) and not _is_own_module(error.name):
        return Message(f"the package '{error.name}' is not installed; see what is missing with: emosh doctor", 2)
    if isinstance(error, OSError) and error.errno is not None:
        return _os_error_message(error)
    if isinstance(error, NO_MEMORY_TYPES) and (why := _lacks_memory(str(error))):
        return Message(f"out of memory, {why}; close other programs, or allow more", 2)
    return Message(_one_line(f"{type(error).__name__}: {error}; {REPORT_IT}"), BUG)


def _lacks_memory(text: str) -> str:
    """Why an error of NO_MEMORY_TYPES is one of memory, in words; "" where nothing says so."""
    if any(each in text for each in ("failed to map segment", "annot allocate memory", "can't start new thread")):
        return "so a library could not be loaded"
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except ImportError:  # Windows has no such limit
        return ""
    if limit == resource.RLIM_INFINITY or limit >= LEAST_BYTES:
        return ""
    return f"of which the shell's limit (ulimit -v) allows {limit / 1e6:.0f} MB"


def _stopped(error: KeyboardInterrupt) -> str:
    if isinstance(error, WorkersKilled) or unfinished():
        return "stopped; the same command continues, and removes the half-written files that are left"
    return "stopped; no half-written file is left; run the same command again to continue"


def _is_own_module(name: str | None) -> bool:
    return name is None or name.split(".")[0] in ("emosh_cli", "stages")


def _os_error_message(error: OSError) -> Message:
    """The message for an error of the operating system: a full disk, a permission, a missing file."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in DISK_FULL:
        return Message(f"the disk is full{where}; free some space and run the command again", 2)
    if error.errno == errno.ENOMEM:
        return Message("out of memory; close other programs, or use a shorter or smaller video", 2)
    is_path_error = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError)
    if is_path_error or error.errno in (errno.EROFS, errno.ENAMETOOLONG, errno.EMFILE):
        reason = (error.strerror or "refused").lower()
        return Message(f"{reason}{where}; check the path and its permissions", 2)
    return Message(_one_line(f"{type(error).__name__}: {error}; {REPORT_IT}"), BUG)


def _one_line(text: str) -> str:
    return " ".join(text.split())
