"""Which generator draws the result, and why: `wan` where its weights are installed, else the embedded `puppet`."""

from __future__ import annotations

from pathlib import Path

from stages.errors import InputError
from stages.wan.weights import missing, part

BACKENDS = {
    "puppet": "stages.generate.puppet.generate:generate",
    "wan": "stages.generate.wan.generate:generate",
}
"""Generators that can run, name to "module:attribute"."""

NAMES = ("auto", "wan", "puppet")
ADAPTER = "emosh-adapter"


def choose(name: str, home: Path, model: bool = False, device: str = "auto") -> tuple[str, str]:
    """The backend to run and the reason in words. `home` is emosh's data folder, `model` whether one was named.

    `auto` takes wan when base and adapter are installed and a GPU is there or a device was named: a base alone has
    never seen emosh's condition maps, and 14 billion parameters take days on a CPU. Raises InputError for an unknown
    name, and for `wan` where nothing is installed and no model is named.
    """
    if name not in NAMES:
        raise InputError(f"no backend {name!r}; choose one of: {', '.join(NAMES)}")
    if name == "puppet":
        return "puppet", "asked for"
    absent = [] if model else missing(home)
    if name == "wan" and absent:
        raise InputError(
            f"the wan backend lacks {', '.join(absent)}; see: emosh models list; "
            "or name a folder with --model, or use --backend puppet"
        )
    if name == "wan" or model:
        return "wan", "asked for" if name == "wan" else "a model was named"
    if absent:
        return "puppet", f"wan's weights are not installed ({', '.join(absent)}); puppet is built in"
    if not part(ADAPTER).installed(home):
        return "puppet", f"wan's base is installed, but no {ADAPTER}; --backend wan draws with the base as it is"
    if device == "auto" and not _has_gpu():
        return "puppet", "wan's weights are installed, but no GPU is here; --backend wan draws without one, in days"
    return "wan", "its weights are installed"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
