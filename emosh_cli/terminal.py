"""What leaves for a terminal: text in which nothing moves the cursor, sets the clipboard, colours, or hides.

File names, array names, tags and provenance are other people's text. Control characters, bidirectional overrides and
other characters without a shape are written out (`\\x1b`, `\\u202e`), and none of it is read as rich's markup. All talk
goes through `visible`, all cells of tables through `cell`, and a path for a shell through `write_path`.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.text import Text

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters but tab and line feed, overrides of the direction, line separators, what has no width, halves of
characters (a name's bytes that are no UTF-8), tags. Joiners (U+200C, U+200D) belong to scripts and stay."""
_BREAKS = {"\n": "\\n", "\t": "\\t"}


def visible(text: object) -> str:
    """`text` with what a terminal would act on written out; line feeds and tabs stay."""
    return _UNSEEN.sub(_written_out, str(text))


def one_line(text: object) -> str:
    """`visible`, with line feeds and tabs written out too: for what must stay in its own line or cell."""
    return visible(text).translate(str.maketrans(_BREAKS))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # the byte that Python's surrogateescape stands for
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cell(value: object, style: str = "") -> Text:
    """A value for rich: in one line, and never read as markup."""
    from rich.text import Text

    return Text(one_line(value), style)


def write_path(path: object, stream: TextIO | None = None) -> None:
    """A path on a line of its own: byte for byte for a shell, made visible on a terminal."""
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
