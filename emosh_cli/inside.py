"""One emosh command run inside another, as a shell would, without its talk."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

from stages.errors import InputError


def call(*words: object) -> None:
    """Run `emosh WORDS...` to its end. Raises InputError with its one line where it ends with exit code 2.

    Another exit code is a bug of ours or Ctrl-C, and is raised as RuntimeError or KeyboardInterrupt.
    """
    from emosh_cli.app import build

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = build()([str(word) for word in words], standalone_mode=False)
    if not code:
        return
    lines = [line for line in err.getvalue().splitlines() if line.startswith("emosh: ")]
    said = lines[-1].removeprefix("emosh: ") if lines else f"emosh {words[0]} ended with exit code {code}"
    if code == 130:
        raise KeyboardInterrupt
    if code == 2:
        raise InputError(said)
    raise RuntimeError(said)
