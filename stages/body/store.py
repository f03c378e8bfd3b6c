"""Where body files are stored, and opening one by name. The open body is baked on its first use."""

from __future__ import annotations

import os
from pathlib import Path

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

    Raises InputError for a missing body or a damaged file.
    """
    if name.endswith(".npz"):
        return load_body(Path(name))
    path = body_path(name)
    if name == "open" and not path.exists():
        _make_folder(path.parent)
        bake_open(path, progress)
    if not path.exists():
        raise InputError(_missing_body_message(name, path))
    try:
        return load_body(path)
    except InputError as error:
        remedy = "delete it; it will be made again" if name == "open" else "make it with: emosh models bake ehm"
        raise InputError(f"the {name} body cannot be used: {error}; {remedy}") from error


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
