"""Where body files are kept, and how one is opened by name. The open body is baked when it is first asked for."""

from __future__ import annotations

import os
from pathlib import Path

from stages.body.bake_open import BAKE_VERSION, bake_open
from stages.body.model import Body, load_body
from stages.errors import InputError
from stages.progress import Progress, silent


def home() -> Path:
    """emosh's data folder: EMOSH_HOME, else the user's data folder of the platform. Not created here."""
    chosen = os.environ.get("EMOSH_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("emosh"))


def body_path(name: str) -> Path:
    """Where the body of that name is kept. The open body's file name carries its bake version, so that another
    version's file is never taken for this one's.
    """
    file = f"open-{BAKE_VERSION}.npz" if name == "open" else f"{name}.npz"
    return home() / "bodies" / file


def bake_licensed(progress: Progress = silent) -> tuple[Path, tuple[str, ...]]:
    """Bake the ehm body from the user's files; its path, and the names of optional files that were absent."""
    from stages.body.bake_ehm import bake_ehm

    path = body_path("ehm")
    _make_folder(path.parent)
    return path, bake_ehm(licensed_folder(), path, progress)


def licensed_folder() -> Path:
    """Where the user's own licensed files are filed."""
    return home() / "licensed"


def open_body(name: str = "open", progress: Progress = silent) -> Body:
    """Open "open" (baked on first use, about a minute), "ehm" (the user's own), or a path to a body .npz.

    Raises InputError for a body that is not there, and for a damaged file.
    """
    if name.endswith(".npz"):
        return load_body(Path(name))
    path = body_path(name)
    if name == "open" and not path.exists():
        _make_folder(path.parent)
        bake_open(path, progress)
    if not path.exists():
        raise InputError(_absent(name, path))
    try:
        return load_body(path)
    except InputError as error:
        remedy = "delete it and it will be made again" if name == "open" else "make it again"
        raise InputError(f"the {name} body cannot be used: {error}; {remedy}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {folder} ({error.strerror}); set EMOSH_HOME to a folder of yours") from error


def _absent(name: str, path: Path) -> str:
    if name == "ehm":
        return (
            f"the ehm body is not installed, expected at {path}: add your own files with emosh models add smplx FILE, "
            "add flame FILE and add flame-ids FILE, then emosh models bake ehm; --body open needs none of it"
        )
    return f"no body '{name}'; choose open, ehm, or give a path to a body .npz"
