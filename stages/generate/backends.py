"""Choose the backend that draws the video: `wan` where its weights are installed, else the built-in `puppet`."""

from __future__ import annotations

from pathlib import Path

from stages.errors import InputError
from stages.wan.weights import missing_parts, part

NAMES = ("auto", "wan", "puppet")
ADAPTER = "emosh-adapter"


def choose(
    name: str, home: Path, model: bool = False, adapter: str | None = None, device: str = "auto"
) -> tuple[str, str]:
    """(backend, reason in words). `home` is emosh's data folder, `model` whether the user gave --model.

    `auto` takes wan if the base is installed with an adapter, which reads the mesh, or with its face modules, which
    read the skeleton and the face, and if a GPU is present or the user gave a device: 14 billion parameters take days
    on a CPU. Raises InputError for an unknown name, and for `wan` where parts are missing and the user gave no model.
    """
    if name not in NAMES:
        raise InputError(f"no backend {name!r}; choose one of: {', '.join(NAMES)}")
    if name == "puppet":
        return "puppet", "chosen with --backend"
    absent = [] if model else missing_parts(home)
    if name == "wan" and absent:
        raise InputError(
            f"the wan backend lacks {', '.join(absent)}; see: emosh models list; "
            "or give a folder with --model, or use --backend puppet"
        )
    if name == "wan" or model:
        return "wan", "chosen with --backend" if name == "wan" else "a model was given with --model"
    if absent:
        return "puppet", f"wan's weights are not installed ({', '.join(absent)}); puppet is built in"
    reads = _reads(home, adapter)
    if reads is None:
        return "puppet", f"wan's base has no face modules, and {ADAPTER} is not installed; puppet is built in"
    if device == "auto" and not _has_gpu():
        return (
            "puppet",
            "wan's weights are installed, but there is no GPU; --backend wan draws on the CPU, which takes days",
        )
    return "wan", f"its weights are installed, {reads}"


def _reads(home: Path, adapter: str | None) -> str | None:
    """What the installed weights read; None if they read nothing that emosh draws."""
    from stages.wan.folder import open_folder
    from stages.wan.weights import model_folder

    if adapter != "none" and (adapter is not None or part(ADAPTER).installed(home)):
        return "with an adapter, which reads the mesh"
    if open_folder(model_folder(home)).has_face:
        return "with face modules, which read the skeleton and the face"
    return None


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
