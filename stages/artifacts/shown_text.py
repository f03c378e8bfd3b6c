"""Other people's text where it is shown: names, tags and labels on a terminal, in a page, a picture, a table.

Every kind of output has characters that it acts on. They are written out here, one function a kind, so that a name is a
name everywhere.
"""

from __future__ import annotations

import os
import re
from html import escape
from urllib.parse import quote

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e007f]"
)
"""Control characters except tab and line feed, direction overrides, line separators, characters without width, lone
surrogates (bytes of a name that are not UTF-8), tags. Joiners (U+200C, U+200D) are needed by scripts and are kept."""
_BREAKS = str.maketrans({"\n": "\\n", "\t": "\\t"})
_LATEX = str.maketrans(
    {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}",
     ">": "\\textgreater{}"} | {each: f"\\{each}" for each in "&%$#_{}"}
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def visible(text: object) -> str:
    """`text` with what a terminal would act on written out (`\\x1b`, `\\u202e`); line feeds and tabs stay."""
    return _UNSEEN.sub(_written_out, str(text))


def one_line(text: object) -> str:
    """`visible`, with line feeds and tabs written out too, for text that must stay in one line or cell."""
    return visible(text).translate(_BREAKS)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # the byte that Python's surrogateescape stands for
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def in_markup(text: object) -> str:
    """For HTML and SVG, inside an element or a quoted attribute."""
    return escape(visible(text))


def in_url(name: str) -> str:
    """A file's name as a part of a relative URL, for a quoted attribute; also for names that are not UTF-8."""
    return quote(os.fsencode(name), safe="")


def in_markdown(text: object) -> str:
    """For a paragraph or a table's cell of Markdown, which may hold HTML and links."""
    return re.sub(r"([\\|`*<>\[\]])", r"\\\1", one_line(text))


def in_latex(text: object) -> str:
    """For LaTeX, whose backslash runs commands that read files."""
    return one_line(text).translate(_LATEX)


def in_csv(text: object) -> str:
    """For a spreadsheet, which runs a cell that begins like a formula."""
    said = one_line(text)
    return f"'{said}" if said.startswith(_FORMULA) else said
