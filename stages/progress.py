"""How a long computation reports its progress, without knowledge of who displays it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called as work advances. The command line draws a bar with it; tests and libraries pass `silent`."""

    def __call__(self, label: str, done: int, total: int | None) -> None:
        """`done` of `total` steps of `label` are finished; `total` is None while it is unknown.

        The text in brackets at the end of the label may change from call to call: "training (loss 0.1234)".
        """


def silent(label: str, done: int, total: int | None) -> None:
    """Progress that is not displayed."""
