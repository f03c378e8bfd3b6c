"""Write text to a terminal so that nothing in it moves the cursor, sets the clipboard, colours or hides text.

File names, array names, tags and provenance come from other people, and none of it is read as rich's markup. Messages
go through `visible` or `one_line`, table cells through `cell`, and paths for a shell through `write_path`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from stages.artifacts.shown_text import one_line, visible

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["cell", "one_line", "visible", "write_path"]


def cell(value: object, style: str = "") -> Text:
    """A value for rich, in one line and not read as markup."""
    from rich.text import Text

    return Text(one_line(value), style)


def write_path(path: object, stream: TextIO | None = None) -> None:
    """Write a path on a line of its own: the exact bytes for a shell, `one_line` on a terminal."""
    out: Any = stream or sys.stdout
    text = str(path)
    if out.isatty():
        out.write(f"{one_line(text)}\n")
    elif hasattr(out, "buffer") and not _fits(text, out.encoding):
        out.flush()
        out.buffer.write(os.fsencode(text) + b"\n")
    else:
        out.write(f"{text}\n")
    out.flush()


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
