"""What files say of themselves moves no cursor: escapes, clipboard sequences and markup come out as plain text."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosh_cli.console import Console
from emosh_cli.terminal import cell, one_line, visible, write_path
from tests.command_line import emosh

CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4K\x07"
EVIL = f"[red]a[/red] {CLIPBOARD}\x9b31m\x7f\u202egnp.\u2066\ud800\r\b[link=file:///x]"
TEXT = EVIL.replace("\ud800", "")
"""Without the lone half, which no JSON, archive or tag may hold."""


def harmless(text: str) -> bool:
    """Nothing but printable characters and line feeds."""
    return all(each == "\n" or (each.isprintable() and each not in "\u202e\u2066") for each in text)


def test_what_is_written_out() -> None:
    """Controls, overrides, lone halves and invisible characters are spelt; ordinary text is untouched."""
    spelt = "[red]a[/red] \\x1b]52;c;cm0gLXJmIH4K\\x07\\x9b31m\\x7f\\u202egnp.\\u2066\\ud800\\x0d\\x08[link=file:///x]"
    assert visible(EVIL) == spelt
    assert visible(os.fsdecode(b"caf\xe9.mp4")) == "caf\\xe9.mp4"
    for text in ("Zoë 日本 😀.mp4", "two\nlines", "می‌خواهم", "100 % [of it]"):
        assert visible(text) == text
    assert one_line("two\nlines\t") == "two\\nlines\\t"


@given(st.text())
def test_nothing_gets_through(text: str) -> None:
    """Whatever the text, no control character but tab and line feed is left, and it can be encoded."""
    shown = visible(text)
    assert not any((ord(each) < 32 and each not in "\n\t") or 0x7F <= ord(each) < 0xA0 for each in shown)
    shown.encode()


@pytest.fixture
def evil_npz(tmp_path: Path) -> Path:
    """An archive whose array, values and provenance are hostile."""
    path = tmp_path / "evil.npz"
    record = json.dumps({"stage": TEXT, "notes": {TEXT: TEXT}, "config": {"a\nb": "[bold]x[/bold]"}})
    np.savez(path, **{TEXT.replace("/", "|"): np.array(TEXT), "emosh_provenance": np.array(record)})
    return path


def test_inspect_shows_names_values_and_provenance(evil_npz: Path) -> None:
    """Array names, single values and provenance are shown with their escapes spelt and their brackets kept."""
    said = emosh("inspect", evil_npz)
    assert harmless(said.out), repr(said.out)
    assert "\\x1b]52" in said.out
    assert "[red]a" in said.out
    assert "[bold]x[/bold]" in said.out


def test_inspect_shows_tags_and_json_keys(tmp_path: Path) -> None:
    """Tags of a video, keys of a report and metadata of a safetensors file are shown the same way."""
    import av
    from safetensors.numpy import save_file

    video, report, tensors = tmp_path / "a.mkv", tmp_path / "a.json", tmp_path / "a.safetensors"
    with av.open(str(video), "w") as container:
        container.metadata["title"] = TEXT
        stream = container.add_stream("ffv1", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    report.write_text(json.dumps({TEXT: TEXT, "kind": TEXT, "provenance": {"stage": TEXT}}))
    save_file({TEXT: np.zeros(3)}, tensors, {"emosh_kind": "x\x1b[2J"})
    for path in (video, report, tensors):
        said = emosh("inspect", path)
        assert said.out, said.err
        assert harmless(said.out), repr(said.out)
        assert harmless(said.err), repr(said.err)


@pytest.mark.parametrize("name", [f"{EVIL}.npz", "--\x1b[2J", "\x1b[2Jcommand"])
def test_errors_are_one_clean_line(name: str) -> None:
    """A name in an error, an unknown option and an unknown command are spelt; the line stays one line."""
    for words in (("inspect", name), (name,), ("render-cond", name, "--set", f"x.{EVIL}=1"), ("track", "a.mp4", name)):
        said = emosh(*words)
        assert said.code == 2
        assert harmless(said.err), repr(said.err)
        assert said.err.count("\n") == 1
    said = emosh("config", "show", name)
    assert harmless(said.err), repr(said.err)


def test_progress_and_notes_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label on a bar is no markup; notes and log lines are spelt."""

    class Talk(io.StringIO):
        def __init__(self, terminal: bool) -> None:
            super().__init__()
            self.terminal = terminal

        def isatty(self) -> bool:
            return self.terminal

    monkeypatch.setattr("emosh_cli.console.PLAIN_SECONDS", 0.0)
    for terminal in (True, False):
        console = Console(stderr=(talk := Talk(terminal)))
        console.progress(f"[red]{CLIPBOARD}", 1, 2)
        console.progress(f"[red]{CLIPBOARD}", 2, 2)
        console.close()
        assert "[red]\\x1b]52" in talk.getvalue()
        assert CLIPBOARD not in talk.getvalue()
        console.note(EVIL)
        assert EVIL[:20] not in talk.getvalue()


def test_cells_are_no_markup() -> None:
    """A table's cell holds its brackets as text."""
    assert cell("[red]x[/red]\n\x1b").plain == "[red]x[/red]\\n\\x1b"


def test_a_path_for_a_shell_keeps_its_bytes(tmp_path: Path, motion_file: Path) -> None:
    """Where stdout is a pipe, a name with control characters or bytes that are no UTF-8 comes out as it is."""
    for name in (b"a\x1b[31mb.mp4", "zwei Wörter.mp4".encode(), b"caf\xe9.mp4"):
        code = f"from emosh_cli.terminal import write_path; write_path({os.fsdecode(name)!r})"
        for encoding in ("utf-8", "ascii"):
            ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True,
                                   env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip
            assert ended.stdout == name + b"\n"


def test_a_path_on_a_terminal_is_spelt() -> None:
    """Where stdout is a terminal, the same name is shown with its escapes spelt."""
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        write_path("a\x1b[31mb.mp4", terminal)
        shown = os.read(leader, 1000)
    os.close(leader)
    assert shown == b"a\\x1b[31mb.mp4\r\n"
