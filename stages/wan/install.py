"""Filing weights into emosh's home, by link or by copy."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from stages.artifacts.disk import check_room
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.wan.weights import TRANSFORMER, transformer

HOME_ELSEWHERE = "set EMOSH_HOME to another disk"
"""What to do where emosh's home has no room."""


def file_part(source: Path, place: Path, *, copy: bool = False, progress: Progress = silent) -> Path:
    """Put the file or folder `source` at `place`: a symbolic link to where it lies, or a copy.

    A link or a file that was there before is replaced. Raises InputError where `place` holds a folder of real files,
    which emosh does not delete, or the disk has no room.
    """
    source = source.resolve()
    if place.resolve() == source:
        return place
    if place.exists() and not place.is_symlink() and place.is_dir():
        raise InputError(f"{place} holds weights already; move that folder away to replace them")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            _copied(source, place, progress)
        else:
            _linked(source, place)
    except OSError as error:
        raise InputError(f"cannot file {source} at {place}: {error.strerror or error}") from error
    return place


def link_transformer(home: Path) -> None:
    """Let `transformer` be the preferred one of those that are installed."""
    chosen = transformer(home)
    if chosen is not None:
        _linked(Path(chosen.name), home / TRANSFORMER)


def _linked(source: Path, place: Path) -> None:
    """Replace in one step, so that a link is never absent."""
    beside = _beside(place)
    beside.symlink_to(source, target_is_directory=place.suffix == "")
    try:
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def _copied(source: Path, place: Path, progress: Progress) -> None:
    files = [each for each in sorted(source.rglob("*")) if each.is_file()] if source.is_dir() else [source]
    check_room(place.parent, sum(each.stat().st_size for each in files), f"copying {source}", HOME_ELSEWHERE)
    beside = _beside(place)
    try:
        for done, each in enumerate(files):
            target = beside / each.relative_to(source) if source.is_dir() else beside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, target)
            progress("copying weights", done + 1, len(files))
        if place.is_symlink():
            place.unlink()
        os.replace(beside, place)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)


def _beside(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
