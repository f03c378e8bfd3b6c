"""Which generator draws the result, and why: `wan` where its weights are installed, else the embedded `puppet`."""

from __future__ import annotations

from pathlib import Path

from stages.errors import InputError

BACKENDS = {"puppet": "stages.generate.puppet.generate:generate"}
"""Generators that can run, name to "module:attribute"."""

NAMES = ("auto", "wan", "puppet")


def choose(name: str, home: Path) -> tuple[str, str]:
    """The backend to run and the reason in words. `home` is emosh's data folder.

    Raises InputError for an unknown name, and for `wan`, which this version does not draw with yet.
    """
    if name not in NAMES:
        raise InputError(f"no backend {name!r}; choose one of: {', '.join(NAMES)}")
    if name == "wan":
        raise InputError("the wan backend is not in this version of emosh yet; use --backend puppet")
    if name == "puppet":
        return "puppet", "asked for"
    return "puppet", "the wan backend is not in this version; puppet is built in"
