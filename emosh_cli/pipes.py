"""Motions through a pipe: `-` is standard input or output. A temporary file holds the data for readers and writers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emosh_cli.outputs import PIPE
from stages.artifacts.leftovers import temporary_folder
from stages.errors import InputError


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """`path`, or a temporary file with the data of standard input."""
    if path != PIPE:
        yield path
        return
    if sys.stdin.isatty():
        raise InputError("- reads standard input, but nothing is piped in")
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("standard input is empty; the command before the pipe made nothing")
    with temporary_folder() as folder:
        temporary = folder / "stdin.npz"
        temporary.write_bytes(data)
        try:
            yield temporary
        except InputError as error:
            raise InputError(str(error).replace(str(temporary), "standard input")) from error


def write(path: Path, save: Callable[[Path], None]) -> None:
    """Call `save(path)`, or save to a temporary file and copy it to standard output."""
    if path != PIPE:
        save(path)
        return
    with temporary_folder() as folder:
        temporary = folder / "stdout.npz"
        save(temporary)
        sys.stdout.buffer.write(temporary.read_bytes())
        sys.stdout.buffer.flush()
