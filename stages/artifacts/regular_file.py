"""Whether a path is a file whose bytes can be read again and again. Devices, pipes and sockets are not: they never end,
or wait for somebody who writes."""

from __future__ import annotations

import stat
from pathlib import Path

from stages.errors import InputError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def require_regular_file(path: Path, advice: str) -> Path:
    """`path`, if it is a file or a link to one. Raises InputError, which ends with `advice`, for anything else."""
    path = Path(path)
    kind = kind_of(path)
    if kind is None:
        raise InputError(f"{path} does not exist; {advice}")
    if kind != "a file":
        raise InputError(f"{path} is {kind}, not a file; {advice}")
    return path


def kind_of(path: Path) -> str | None:
    """ "a file", "a folder", "a device", "a pipe" or "a socket", links followed; None for a path that leads nowhere.

    Raises InputError for a path that cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); check the path and its permissions") from error
    return KINDS.get(stat.S_IFMT(mode), "a file")
