"""Names and relative paths that a file tells of other files: text until it is checked here, then safe to join.

A name is one component of a path; a relative path is several, and stays in its folder. Nothing read from a file is
joined to a folder that emosh writes to or deletes from before `checked_name`, `checked_relative` or `inside` has seen
it. A path that is only read may go up (`checked_reading`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stages.artifacts.shown_text import one_line
from stages.errors import InputError

MAX_NAME_BYTES = 255
"""Longest component that file systems accept."""
MAX_PATH_BYTES = 4096
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates; no name of a file that emosh writes has one."""


def checked_name(text: Any, where: str) -> str:
    """`text` if it is one component of a path. Raises InputError, which begins with `where`, for anything else."""
    text = _plain(text, where)
    if "/" in text or "\\" in text or _has_drive(text):
        raise _refused(text, where, "expected a file's name without a folder")
    _check_component(text, text, where)
    return text


def checked_relative(text: Any, where: str) -> str:
    """`text` if it is a relative path, with / between its parts, that goes down only. Raises InputError otherwise."""
    text = _plain(text, where)
    if text.startswith("/") or "\\" in text or _has_drive(text):
        raise _refused(text, where, "expected a path relative to that folder")
    for part in text.split("/"):
        _check_component(part, text, where)
    if len(text.encode()) > MAX_PATH_BYTES:
        raise _refused(text[:40] + "...", where, f"it is longer than {MAX_PATH_BYTES} bytes")
    return text


def inside(folder: Path, relative: str, where: str) -> Path:
    """`folder / relative`, which lies in `folder` after every symbolic link on the way to it has been followed.

    The last part may itself be a link, which can be removed without following it. Raises InputError as
    `checked_relative` does, and for a folder on the way that leads out.
    """
    path = folder / checked_relative(relative, where)
    home = folder.resolve()
    parent = path.parent.resolve()
    if parent != home and home not in parent.parents:
        raise InputError(f"{where}: {path.parent} is a link that leads out of {folder}; remove the link")
    return path


def checked_reading(text: Any, where: str) -> str:
    """`text` if it is a relative path, which may go up (`../videos/a.mp4`). For files that are only read, such as those
    of a manifest that the user has named. Raises InputError for anything else."""
    text = _plain(text, where)
    if text.startswith(("/", "\\")) or _has_drive(text):
        raise _refused(text, where, "expected a path relative to that file's folder")
    if len(text.encode()) > MAX_PATH_BYTES:
        raise _refused(f"{text[:40]}...", where, f"it is longer than {MAX_PATH_BYTES} bytes")
    return text


def checked_utf8(path: Path | str) -> None:
    """Raises InputError if a path is not valid UTF-8, because results, pages and tables are UTF-8 text and hold the
    path."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{one_line(path)}: the name is not valid UTF-8; rename the file or folder first") from error


def refuse_links(folder: Path) -> None:
    """Raises InputError if `folder`, in which emosh overwrites and deletes, is a symbolic link or holds one."""
    links = [folder] if folder.is_symlink() else [each for each in _children(folder) if each.is_symlink()]
    if links:
        raise InputError(
            f"{links[0]} is a link to {links[0].readlink()}; emosh deletes files there, so remove the link"
        )


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _plain(text: Any, where: str) -> str:
    if not isinstance(text, str) or not text:
        raise _refused(text, where, "expected the name of a file")
    if _FORBIDDEN.search(text):
        raise _refused(text, where, "it holds control characters")
    return text


def _check_component(part: str, text: str, where: str) -> None:
    if part in ("", ".", ".."):
        raise _refused(text, where, "no part of it may be empty, '.' or '..'")
    if len(part.encode()) > MAX_NAME_BYTES:
        raise _refused(f"{text[:40]}...", where, f"a name has at most {MAX_NAME_BYTES} bytes")


def _has_drive(text: str) -> bool:
    return re.match(r"[A-Za-z]:", text) is not None


def _refused(text: Any, where: str, why: str) -> InputError:
    return InputError(f"{where}: {text!r} cannot name a file here; {why}")
