"""Console output of a command: messages go to stderr, data goes to stdout.

| | stdout | stderr |
|---|---|---|
| plain | the path that was made | progress with time left, notes, a summary; `emosh: ...` on an error |
| `--quiet` | the path that was made | errors only |
| `--json` | one JSON object: the summary, with the path as `output` | JSON lines: `progress`, `note`, `error` events |

With both, stdout is the JSON object and stderr is empty unless there is an error. rich is imported only when a progress
bar is drawn. Third-party libraries (MediaPipe, TFLite) write to the process's stderr from C++; `NativeSilence` hides
that output unless EMOSH_DEBUG=1.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

from emosh_cli.terminal import one_line, visible, write_path

PLAIN_SECONDS = 10.0
"""Seconds between progress lines if stderr is not a terminal."""
JSON_SECONDS = 0.2
"""Seconds between progress events with --json."""


def debugging() -> bool:
    """Whether EMOSH_DEBUG=1 asks for tracebacks and for the output of libraries."""
    return os.environ.get("EMOSH_DEBUG", "") not in ("", "0")


class NativeSilence:
    """While it is open, file descriptor 2 points to a temporary file, and `stderr` is the real stderr.

    Does nothing if sys.stderr is not the process's own (a test captures it), or with EMOSH_DEBUG=1.
    """

    def __init__(self) -> None:
        self.stderr: TextIO = sys.stderr
        self._saved: int | None = None

    def __enter__(self) -> NativeSilence:
        if debugging() or not _is_process_stderr(sys.stderr):
            return self
        sys.stderr.flush()
        self._saved = os.dup(2)
        self.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
        return self

    def stay(self) -> None:
        """Keep it open to the end of the process: after the one line of an error, libraries that end with the
        interpreter say nothing more."""
        if self._saved is not None:
            os.close(self._saved)
            self._saved = None

    def __exit__(self, *_: object) -> None:
        if self._saved is None:
            return
        sys.stderr.flush()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self.stderr.close()
        self.stderr, self._saved = sys.stderr, None


def _is_process_stderr(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False


class Console:
    """Writes the output of one run. `progress` is a `stages.progress.Progress`."""

    def __init__(self, quiet: bool = False, as_json: bool = False, stderr: TextIO | None = None) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.stderr = stderr or sys.stderr
        self._bars: _Bars | _Lines | _Events | None = None

    # ---- messages on stderr
    def note(self, text: str) -> None:
        """Print one sentence for the user. --quiet leaves it out."""
        if self.quiet:
            return
        if self.as_json:
            self._event("note", text=text)
        else:
            self.close()
            self.stderr.write(f"{visible(text)}\n")

    def error(self, text: str, code: int) -> None:
        """Print the one line that ends a failed run, also with --quiet."""
        self.close()
        if self.as_json:
            self._event("error", text=text, exit_code=code)
        else:
            self.stderr.write(f"emosh: {one_line(text)}\n")
        self.stderr.flush()

    def progress(self, label: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps of `label` are finished. Text in brackets may change between calls."""
        if self.quiet:
            return
        if self._bars is None:
            if self.as_json:
                self._bars = _Events(self)
            else:
                self._bars = _Bars(self.stderr) if self.stderr.isatty() else _Lines(self.stderr)
        self._bars(label, done, total)

    def close(self) -> None:
        """End the progress display. Its last state stays visible."""
        if self._bars is not None:
            self._bars.close()
            self._bars = None

    def _event(self, event: str, **fields: Any) -> None:
        self.stderr.write(json.dumps({"event": event, **fields}, default=str) + "\n")
        self.stderr.flush()

    # ---- data on stdout
    def result(self, output: Path | str | None, summary: str = "", **fields: Any) -> None:
        """End a run that made `output`: the summary on stderr, the path (or the JSON object) on stdout."""
        self.close()
        if summary and not self.as_json:
            self.note(summary)
        if self.as_json:
            path = None if output is None else str(output)
            self.data({"output": path, **({"summary": summary} if summary else {}), **fields})
        elif output is not None:
            write_path(output)

    def plan(self, lines: list[str], **fields: Any) -> None:
        """End a run that makes nothing: print its plan, one line per step, or a JSON object with the key `plan`."""
        self.close()
        if self.as_json:
            self.data({"plan": lines, **fields})
        else:
            sys.stdout.write("\n".join(map(visible, lines)) + "\n")
            sys.stdout.flush()

    def data(self, value: dict[str, Any]) -> None:
        """One JSON object on stdout."""
        sys.stdout.write(json.dumps(value, default=str) + "\n")
        sys.stdout.flush()


def _base_label(label: str) -> str:
    """The label without its text in brackets, which may change during the same work."""
    return label.partition(" (")[0]


class _Clock:
    """Estimates the seconds left, from the mean pace since work with the current label began."""

    def __init__(self) -> None:
        self.label, self.started, self.last_shown = "", 0.0, 0.0

    def starts(self, label: str) -> bool:
        if _base_label(label) == self.label:
            return False
        self.label, self.started, self.last_shown = _base_label(label), time.monotonic(), 0.0
        return True

    def seconds_left(self, done: int, total: int | None) -> float | None:
        if not total or not done:
            return None
        return (time.monotonic() - self.started) * (total - done) / done

    def due(self, every: float) -> bool:
        now = time.monotonic()
        if now - max(self.last_shown, self.started) < every:
            return False
        self.last_shown = now
        return True


class _Events:
    """Progress as JSON lines: at most 5 per second, plus the first and the last line of each label."""

    def __init__(self, console: Console) -> None:
        self.console, self.clock = console, _Clock()

    def __call__(self, label: str, done: int, total: int | None) -> None:
        started = self.clock.starts(label)
        if not (started or done == total or self.clock.due(JSON_SECONDS)):
            return
        left = self.clock.seconds_left(done, total)
        eta = None if left is None else round(left, 1)
        self.console._event("progress", label=label, done=done, total=total, eta_seconds=eta)

    def close(self) -> None: ...


class _Lines:
    """Progress for a log file: one line every 10 seconds."""

    def __init__(self, stderr: TextIO) -> None:
        self.stderr, self.clock = stderr, _Clock()

    def __call__(self, label: str, done: int, total: int | None) -> None:
        self.clock.starts(label)
        if self.clock.due(PLAIN_SECONDS):
            left = self.clock.seconds_left(done, total)
            remaining = "" if left is None else f", {left:.0f} s left"
            self.stderr.write(f"{one_line(label)}: {done}{'' if total is None else f' of {total}'}{remaining}\n")
            self.stderr.flush()

    def close(self) -> None: ...


class _Bars:
    """One progress bar (rich) per label, with the time left."""

    def __init__(self, stderr: TextIO) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
        )
        self.bars = Progress(*columns, console=RichConsole(file=stderr), redirect_stdout=False, redirect_stderr=False)
        self.bars.start()
        self.tasks: dict[str, Any] = {}

    def __call__(self, label: str, done: int, total: int | None) -> None:
        label = one_line(label)
        base = _base_label(label)
        if base not in self.tasks:
            self.tasks[base] = self.bars.add_task(label, total=total)
        self.bars.update(self.tasks[base], description=label, completed=done, total=total)

    def close(self) -> None:
        self.bars.stop()
