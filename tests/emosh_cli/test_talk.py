"""Who says what where: stdout is data, stderr is talk."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emosh_cli.console import Console
from tests.command_line import emosh

COND = ("--size", "64", "--set", "supersample=1")


def test_plain_stdout_is_the_path(own_folder: Path, motion_file: Path) -> None:
    """A command that makes a file prints its path and nothing else on stdout, and a summary on stderr."""
    said = emosh("render-cond", motion_file, "-o", "cond.mp4", *COND)
    assert (said.code, said.out) == (0, "cond.mp4\n")
    assert "6 frames of mesh, 64x64" in said.err


def test_quiet_says_only_the_path(own_folder: Path, motion_file: Path) -> None:
    """With --quiet stderr is empty."""
    said = emosh("render-cond", motion_file, "-o", "cond.mp4", "--quiet", *COND)
    assert (said.code, said.out, said.err) == (0, "cond.mp4\n", "")


def test_json_is_one_object_and_lines_of_events(own_folder: Path, motion_file: Path) -> None:
    """With --json stdout is one object with the path, and stderr only JSON lines with the progress."""
    said = emosh("render-cond", motion_file, "-o", "cond.mp4", "--json", *COND)
    assert said.json["output"] == "cond.mp4"
    assert said.json["command"] == "render-cond"
    progress = [event for event in said.events if event["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"] == 6
    assert all(set(event) == {"event", "label", "done", "total", "eta_seconds"} for event in progress)


def test_quiet_and_json_together(own_folder: Path, motion_file: Path) -> None:
    """--quiet --json is the object on stdout and silence on stderr."""
    said = emosh("render-cond", motion_file, "-o", "cond.mp4", "--quiet", "--json", *COND)
    assert said.json["output"] == "cond.mp4"
    assert said.err == ""


def test_errors_speak_even_when_quiet(own_folder: Path) -> None:
    """An error is one line on stderr with --quiet, and one JSON event with --json; stdout stays empty."""
    said = emosh("render-cond", "none.npz", "--quiet")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    said = emosh("render-cond", "none.npz", "--json")
    assert said.out == ""
    assert said.events == [{"event": "error", "text": said.events[0]["text"], "exit_code": 2}]


def test_a_dry_run_makes_nothing(own_folder: Path, motion_file: Path) -> None:
    """--dry-run says what would be made on stdout, and leaves the folder as it was."""
    before = sorted(own_folder.iterdir())
    said = emosh("render-cond", motion_file, "-o", "cond.mp4", "--dry-run", *COND)
    assert said.code == 0
    assert said.out.strip().endswith("-> cond.mp4")
    assert sorted(own_folder.iterdir()) == before


def test_the_default_name_lies_beside_the_input(motion_file: Path) -> None:
    """Without -o the output is named after the input, in its folder."""
    assert (
        emosh("render-cond", motion_file, "--dry-run").out.strip().endswith(str(motion_file.parent / "motion-cond.mp4"))
    )


def test_the_traceback_appears_when_asked_for(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EMOSH_DEBUG=1 prints the traceback before the line; without it there is none."""
    assert "Traceback" not in emosh("render-cond", "none.npz").err
    monkeypatch.setenv("EMOSH_DEBUG", "1")
    assert "Traceback" in emosh("render-cond", "none.npz").err


def test_what_libraries_print_stays_out_of_stderr(tmp_path: Path) -> None:
    """In a real process, what C++ writes to descriptor 2 during a command does not reach the user's stderr."""
    code = (
        "import os, sys\n"
        "from emosh_cli.console import NativeSilence\n"
        "with NativeSilence() as silence:\n"
        "    os.write(2, b'noise from a library\\n')\n"
        "    silence.stderr.write('words\\n')\n"
        "sys.stderr.write('after\\n')\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "EMOSH_DEBUG"}
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert finished.stderr == "words\nafter\n"


def test_a_reader_that_leaves_early_ends_the_command_quietly(motion_file: Path) -> None:
    """`emosh inspect FILE | head -1` ends without a traceback."""
    command = f"{sys.executable} -m emosh_cli inspect {motion_file} {motion_file} {motion_file} | head -1"
    finished = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "motion" in finished.stdout
    assert "Traceback" not in finished.stderr


def test_progress_on_a_terminal_is_a_bar_with_the_time_left() -> None:
    """On a terminal each label gets one bar; when stderr is a file, a line at most every ten seconds."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    for talk in (terminal, file):
        console = Console(stderr=talk)
        for done in range(11):
            console.progress("drawing", done, 10)
        console.close()
    assert "drawing" in terminal.getvalue()
    assert file.getvalue() == ""


def test_progress_of_unknown_length_has_no_time_left() -> None:
    """Where the total is unknown, so is the time left."""
    talk = io.StringIO()
    Console(as_json=True, stderr=talk).progress("reading", 3, None)
    assert json.loads(talk.getvalue()) == {
        "event": "progress", "label": "reading", "done": 3, "total": None, "eta_seconds": None,
    }  # fmt: skip


@pytest.mark.parametrize("terminal", [True, False])
def test_a_label_may_change_in_its_brackets(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work whose label changes in brackets, such as a loss, is one bar on a terminal, and a line every ten seconds with
    the time left in a log; it was a bar a step, and no line at all."""

    class Talk(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    seconds = iter(range(0, 10_000, 4))
    monkeypatch.setattr("emosh_cli.console.time.monotonic", lambda: next(seconds))
    monkeypatch.setenv("COLUMNS", "100")
    console = Console(stderr=(talk := Talk()))
    for step in range(1, 11):
        console.progress(f"training (loss {1 / step:.2f})", step, 10)
    bars = [task.description for task in console._bars.bars.tasks] if terminal else []
    console.close()
    lines = [line for line in talk.getvalue().splitlines() if "training" in line]
    if terminal:
        assert bars == ["training (loss 0.10)"]
        assert "10/10" in lines[-1]
    else:
        assert 1 < len(lines) < 10
        assert all("s left" in line for line in lines)
