"""The command line as tests call it: in this process, with what it said on either stream."""

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
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that ended it."""
        lines = [line for line in self.err.splitlines() if line.startswith("emosh: ")]
        assert len(lines) == 1, self.err
        return lines[0]

    @property
    def json(self) -> Any:
        """The object on stdout."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines on stderr."""
        return [json.loads(line) for line in self.err.splitlines()]


def emosh(*words: object) -> Said:
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
    return Said(code, out.getvalue(), err.getvalue())


def refused(*words: object) -> str:
    """The one line of a command that must end with exit code 2 and nothing on stdout."""
    said = emosh(*words)
    assert (said.code, said.out) == (2, ""), said
    return said.error
