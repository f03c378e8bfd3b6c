"""Names as text in pages, tables and addresses: written out, never acted on."""

from __future__ import annotations

import csv
import io
import os
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from stages.artifacts.shown_text import in_csv, in_latex, in_markdown, in_markup, in_url, visible
from stages.evaluate.plot import Curve, write_plot
from stages.evaluate.table_text import comma_separated, latex, markdown
from stages.evaluate.tables import build_table

EVIL = "a\"b'<script>alert(1)</script>|`x`\\input{/etc/passwd}\\write18{id}%&\x1b[2J\n[l](javascript:x)"


@given(st.text())
def test_markup_holds_the_text(text: str) -> None:
    """In an element and in an attribute any XML reader finds the visible text again."""
    found = ET.fromstring(f'<a b="{in_markup(text)}">{in_markup(text)}</a>')
    assert found.text or visible(text).replace("\r\n", "\n") == ""
    assert unescape(in_markup(text)) == visible(text)
    assert not set('<>"') & set(in_markup(text))


def test_an_address_is_the_names_bytes() -> None:
    """Every byte that means something in a URL or an attribute is quoted; decoding gives the name back."""
    for name in (b"a\"b'<c> %41#?&;.html", "Zoë 日本".encode(), b"caf\xe9"):
        quoted = in_url(os.fsdecode(name))
        assert unquote_to_bytes(quoted) == name
        assert not set("\"'<> #?&") & set(quoted)


def test_tables_hold_names_as_text(tmp_path: Path) -> None:
    """A method and a set of any name: LaTeX runs nothing, Markdown holds no HTML and keeps its columns, a spreadsheet
    computes nothing, the plot is valid XML."""
    figures = {(EVIL, EVIL): {str(k): {"psnr": 20.0 + k} for k in range(3)},
               ("=HYPERLINK(\"x\")", EVIL): {str(k): {"psnr": -20.0 + k} for k in range(3)}}  # fmt: skip
    table = build_table(1, [EVIL, '=HYPERLINK("x")'], [EVIL], figures, {}, {"@SUM(1)": {EVIL: {"psnr": 1.0}}})
    assert table is not None
    written = latex([table])
    assert "\\input" not in written
    assert "\\write18" not in written
    assert "\\textbackslash{}input\\{/etc/passwd\\}" in written
    shown = markdown([table], [EVIL])
    assert "<script>" not in shown.replace("\\<", "")
    assert "](javascript" not in shown.replace("\\]", "")
    heads, _, *rows = [line for line in shown.splitlines() if line.startswith("|")]
    bars = heads.replace("\\|", "").count("|")
    assert all(row.replace("\\|", "").count("|") == bars for row in rows)
    assert "\x1b" not in shown + written
    rows = list(csv.DictReader(io.StringIO(comma_separated([table]))))
    assert {row["method"][:2] for row in rows} == {'a"', "'=", "'@"}
    assert any(row["value"].startswith("-19") for row in rows), "numbers are numbers"
    write_plot(tmp_path / "a.svg", EVIL, {EVIL: {EVIL: Curve([0, 1], [1, 2]), "b": Curve([0, 1], [1, None])}})
    ET.parse(tmp_path / "a.svg")


def test_single_kinds() -> None:
    """One line each; ordinary names are as they were."""
    assert in_latex("50% a_b") == "50\\% a\\_b"
    assert in_markdown("a|b<") == "a\\|b\\<"
    assert in_csv("-x") == "'-x"
    for name in ("Wan Animate", "Zoë 2", "a-b.c"):
        assert in_latex(name) == in_markdown(name) == in_csv(name) == in_markup(name) == name
