"""Motions through a pipe: `-` is standard input or output, spooled so that readers and writers see a file."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emosh_cli.outputs import PIPE
from stages.errors import InputError


@contextmanager
def readable(path: Path, suffix: str = ".npz") -> Iterator[Path]:
    """`path`, or standard input spooled to a file that is gone afterwards."""
    if path != PIPE:
        yield path
        return
    if sys.stdin.isatty():
        raise InputError("- reads standard input, but nothing is piped in")
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("standard input is empty; the command before the pipe made nothing")
    with tempfile.TemporaryDirectory(prefix="emosh-") as folder:
        spooled = Path(folder) / f"stdin{suffix}"
        spooled.write_bytes(data)
        try:
            yield spooled
        except InputError as error:
            raise InputError(str(error).replace(str(spooled), "standard input")) from error


def write(path: Path, save: Callable[[Path], None], suffix: str = ".npz") -> None:
    """Call `save(path)`, or save to a spool and copy it to standard output."""
    if path != PIPE:
        save(path)
        return
    with tempfile.TemporaryDirectory(prefix="emosh-") as folder:
        spooled = Path(folder) / f"stdout{suffix}"
        save(spooled)
        sys.stdout.buffer.write(spooled.read_bytes())
        sys.stdout.buffer.flush()
