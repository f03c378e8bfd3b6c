"""How long work reports itself without knowing who is listening."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Called as work advances; the command line draws a bar with it, tests and libraries pass `silent`."""

    def __call__(self, label: str, done: int, total: int | None) -> None:
        """`done` of `total` steps of `label` are finished; `total` is None while it is unknown.

        What stands behind the label in brackets may change from call to call: "training (loss 0.1234)".
        """


def silent(label: str, done: int, total: int | None) -> None:
    """The progress nobody watches."""
