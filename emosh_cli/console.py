"""What a run says: talk on stderr, data on stdout, nothing else anywhere.

| | stdout | stderr |
|---|---|---|
| plain | the path that was made | progress with time left, notes, a summary; `emosh: ...` on an error |
| `--quiet` | the path that was made | errors only |
| `--json` | one JSON object: the summary, with the path as `output` | JSON lines: `progress`, `note`, `error` events |

With both, stdout is the JSON object and stderr stays silent until an error. rich is imported at the first word that
needs it. Third-party libraries (MediaPipe, TFLite) write to the process's stderr from C++; `NativeSilence` keeps that
out of the way unless EMOSH_DEBUG=1.
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
"""Where stderr is no terminal, a progress line appears this often."""
JSON_SECONDS = 0.2


def debugging() -> bool:
    """EMOSH_DEBUG=1 asks for tracebacks and for what libraries print."""
    return os.environ.get("EMOSH_DEBUG", "") not in ("", "0")


class NativeSilence:
    """While open, file descriptor 2 goes to a temporary file and `talk` is the real stderr.

    Does nothing when stderr is not the process's own (a test's capture) or when debugging.
    """

    def __init__(self) -> None:
        self.talk: TextIO = sys.stderr
        self._saved: int | None = None

    def __enter__(self) -> NativeSilence:
        if debugging() or not _is_process_stderr(sys.stderr):
            return self
        sys.stderr.flush()
        self._saved = os.dup(2)
        self.talk = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
        return self

    def __exit__(self, *_: object) -> None:
        if self._saved is None:
            return
        sys.stderr.flush()
        os.dup2(self._saved, 2)
        os.close(self._saved)
        self.talk.close()
        self.talk, self._saved = sys.stderr, None


def _is_process_stderr(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False


class Console:
    """The voice of one run. `progress` is a `stages.progress.Progress`."""

    def __init__(self, quiet: bool = False, as_json: bool = False, talk: TextIO | None = None) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.talk = talk or sys.stderr
        self._bars: _Bars | _Lines | _Events | None = None

    # ---- talk
    def note(self, text: str) -> None:
        """One sentence the user should read while or after the work runs."""
        if self.quiet:
            return
        if self.as_json:
            self._event("note", text=text)
        else:
            self.close()
            self.talk.write(f"{visible(text)}\n")

    def error(self, text: str, code: int) -> None:
        """The one line that ends a failed run; spoken even when quiet."""
        self.close()
        if self.as_json:
            self._event("error", text=text, exit_code=code)
        else:
            self.talk.write(f"emosh: {one_line(text)}\n")
        self.talk.flush()

    def progress(self, label: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps of `label` are finished; what it has in brackets may change on the way."""
        if self.quiet:
            return
        if self._bars is None:
            if self.as_json:
                self._bars = _Events(self)
            else:
                self._bars = _Bars(self.talk) if self.talk.isatty() else _Lines(self.talk)
        self._bars(label, done, total)

    def close(self) -> None:
        """End any progress display, leaving what it last showed."""
        if self._bars is not None:
            self._bars.close()
            self._bars = None

    def _event(self, event: str, **fields: Any) -> None:
        self.talk.write(json.dumps({"event": event, **fields}, default=str) + "\n")
        self.talk.flush()

    # ---- data
    def result(self, output: Path | str | None, summary: str = "", **fields: Any) -> None:
        """End a run that made `output`: the summary on stderr, the path (or the JSON object) on stdout."""
        self.close()
        if summary and not self.as_json:
            self.note(summary)
        if self.as_json:
            said = {"output": None if output is None else str(output)}
            self.data({**said, **({"summary": summary} if summary else {}), **fields})
        elif output is not None:
            write_path(output)

    def plan(self, lines: list[str], **fields: Any) -> None:
        """End a run that made nothing: what it would do, a line each, or in one JSON object as `plan`."""
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


def _work(label: str) -> str:
    """A label without what stands behind it in brackets, which may change as the same work goes on."""
    return label.partition(" (")[0]


class _Clock:
    """Time left, from the pace since the work of that label began."""

    def __init__(self) -> None:
        self.work, self.began, self.said = "", 0.0, 0.0

    def enters(self, label: str) -> bool:
        if _work(label) == self.work:
            return False
        self.work, self.began, self.said = _work(label), time.monotonic(), 0.0
        return True

    def left(self, done: int, total: int | None) -> float | None:
        if not total or not done:
            return None
        return (time.monotonic() - self.began) * (total - done) / done

    def due(self, every: float) -> bool:
        now = time.monotonic()
        if now - max(self.said, self.began) < every:
            return False
        self.said = now
        return True


class _Events:
    """Progress as JSON lines, a few a second at most; the last of each label always."""

    def __init__(self, console: Console) -> None:
        self.console, self.clock = console, _Clock()

    def __call__(self, label: str, done: int, total: int | None) -> None:
        entered = self.clock.enters(label)
        if not (entered or done == total or self.clock.due(JSON_SECONDS)):
            return
        left = self.clock.left(done, total)
        eta = None if left is None else round(left, 1)
        self.console._event("progress", label=label, done=done, total=total, eta_seconds=eta)

    def close(self) -> None: ...


class _Lines:
    """Progress for a log file: a line every ten seconds."""

    def __init__(self, talk: TextIO) -> None:
        self.talk, self.clock = talk, _Clock()

    def __call__(self, label: str, done: int, total: int | None) -> None:
        self.clock.enters(label)
        if self.clock.due(PLAIN_SECONDS):
            left = self.clock.left(done, total)
            ahead = "" if left is None else f", {left:.0f} s left"
            self.talk.write(f"{one_line(label)}: {done}{'' if total is None else f' of {total}'}{ahead}\n")
            self.talk.flush()

    def close(self) -> None: ...


class _Bars:
    """A rich bar per label with the time left."""

    def __init__(self, talk: TextIO) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Left

        label = TextColumn("{task.description}", markup=False)
        columns = (label, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Left())
        self.bars = Progress(*columns, console=RichConsole(file=talk), redirect_stdout=False, redirect_stderr=False)
        self.bars.start()
        self.tasks: dict[str, Any] = {}

    def __call__(self, label: str, done: int, total: int | None) -> None:
        label = one_line(label)
        work = _work(label)
        if work not in self.tasks:
            self.tasks[work] = self.bars.add_task(label, total=total)
        self.bars.update(self.tasks[work], description=label, completed=done, total=total)

    def close(self) -> None:
        self.bars.stop()
