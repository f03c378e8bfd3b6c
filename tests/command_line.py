"""Runs emosh commands for tests, in this process, and returns their output."""

from __future__ import annotations

import io
import json
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from emosh_cli.app import main


@dataclass(frozen=True)
class CommandResult:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one error line on stderr."""
        lines = [line for line in self.err.splitlines() if line.startswith("emosh: ")]
        assert len(lines) == 1, self.err
        return lines[0]

    @property
    def json(self) -> Any:
        """The JSON object on stdout."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines on stderr."""
        return [json.loads(line) for line in self.err.splitlines()]


def emosh(*words: object) -> CommandResult:
    """Run `emosh WORDS...` to its end."""
    out, err = io.StringIO(), io.StringIO()
    argv, terminated = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = ["emosh", *map(str, words)]
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, terminated)
    assert isinstance(code, int)
    return CommandResult(code, out.getvalue(), err.getvalue())


def refused(*words: object) -> str:
    """The error line of a command that must end with exit code 2 and an empty stdout."""
    result = emosh(*words)
    assert (result.code, result.out) == (2, ""), result
    return result.error
