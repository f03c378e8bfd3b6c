"""Install weights in emosh's home, by link or by copy."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from stages.artifacts.disk import check_room
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.wan.weights import TRANSFORMER, installed_transformer

HOME_ELSEWHERE = "set EMOSH_HOME to another disk"
"""Advice where the disk of emosh's home is full."""


def install_part(source: Path, place: Path, *, copy: bool = False, progress: Progress = silent) -> Path:
    """Install the file or folder `source` at `place`, as a symbolic link or a copy. Returns `place`.

    Replaces a link or a file at `place`. Raises InputError where `place` is a folder of real files, which emosh does
    not delete, or where the disk is full.
    """
    source = source.resolve()
    if place.resolve() == source:
        return place
    if place.exists() and not place.is_symlink() and place.is_dir():
        raise InputError(f"{place} already holds weights; move that folder away to replace them")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            _copy(source, place, progress)
        else:
            _replace_link(source, place)
    except OSError as error:
        raise InputError(
            f"cannot install {source} at {place}: {error.strerror or error}; check the path and its permissions"
        ) from error
    return place


def link_transformer(home: Path) -> None:
    """Make the link `transformer` point to the preferred one of the installed transformers."""
    chosen = installed_transformer(home)
    if chosen is not None:
        _replace_link(Path(chosen.name), home / TRANSFORMER)


def _replace_link(source: Path, place: Path) -> None:
    """Make or replace a link in one step, so that it is never absent."""
    beside = _temporary_path(place)
    beside.symlink_to(source, target_is_directory=place.suffix == "")
    try:
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def _copy(source: Path, place: Path, progress: Progress) -> None:
    files = [each for each in sorted(source.rglob("*")) if each.is_file()] if source.is_dir() else [source]
    check_room(place.parent, sum(each.stat().st_size for each in files), f"copying {source}", HOME_ELSEWHERE)
    beside = _temporary_path(place)
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


def _temporary_path(place: Path) -> Path:
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
