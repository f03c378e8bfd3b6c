"""Where body files are stored, and opening one by name. The open body is baked on its first use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stages.artifacts.leftovers import temporary_home
from stages.body.bake_open import BAKE_VERSION, bake_open
from stages.body.model import Body, load_body
from stages.errors import InputError
from stages.progress import Progress, silent


def home() -> Path:
    """emosh's data folder: EMOSH_HOME if set, else the platform's data folder of the user. It is not created here."""
    chosen = os.environ.get("EMOSH_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("emosh"))


def body_path(name: str) -> Path:
    """Path of the body with this name. The file name of the open body contains BAKE_VERSION, so that a file of another
    version is never used.
    """
    file = f"open-{BAKE_VERSION}.npz" if name == "open" else f"{name}.npz"
    return home() / "bodies" / file


def bake_licensed(progress: Progress = silent) -> tuple[Path, tuple[str, ...]]:
    """Bake the ehm body from the user's files; return its path and the names of optional files that are absent."""
    from stages.body.bake_ehm import bake_ehm

    path = body_path("ehm")
    _make_folder(path.parent)
    return path, bake_ehm(licensed_folder(), path, progress)


def licensed_folder() -> Path:
    """Folder of the user's own licensed files."""
    return home() / "licensed"


def open_body(name: str = "open", progress: Progress = silent) -> Body:
    """Open "open" (baked on first use, about a minute), "ehm" (the user's own), or a path to a body .npz.

    A damaged open body is baked again. Where there is no home that can be written, and EMOSH_HOME names none, it is
    baked into the user's temporary folder. Raises InputError for another missing or damaged body.
    """
    if name == "open":
        return _open_or_bake(progress)
    if name.endswith(".npz"):
        return load_body(Path(name))
    path = body_path(name)
    if not path.exists():
        raise InputError(_missing_body_message(name, path))
    try:
        return load_body(path)
    except InputError as error:
        remedy = "make it with: emosh models bake ehm"
        raise InputError(f"the {name} body cannot be used: {error}; {remedy}") from error


def _open_or_bake(progress: Progress) -> Body:
    path, why = body_path("open"), ""
    places = [path]
    if not os.environ.get("EMOSH_HOME") and not _can_write(path.parent):
        spare = temporary_home()
        if spare is not None:
            places.append(spare / "bodies" / path.name)
    for place in places:
        if place.exists():
            try:
                return load_body(place)
            except InputError:
                why = f" again, because {place} is damaged"
    if len(places) > 1:
        why += f" in {places[-1].parent}, because {path.parent} cannot be written"
    _make_folder(places[-1].parent)
    bake_open(places[-1], progress, why)
    return load_body(places[-1])


def _can_write(folder: Path) -> bool:
    """Whether the folder is there, or can be made, and takes files."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot create {folder} ({error.strerror}); set EMOSH_HOME to a folder you can write to"
        ) from error


def _missing_body_message(name: str, path: Path) -> str:
    if name == "ehm":
        return (
            f"the ehm body is not installed, expected at {path}: add your own files with emosh models add smplx FILE, "
            "add flame FILE and add flame-ids FILE, then run emosh models bake ehm; --body open needs no files"
        )
    return f"no body is called '{name}'; choose open or ehm, or give the path of a body .npz"
