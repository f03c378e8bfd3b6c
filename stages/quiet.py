"""MediaPipe's networks without their chatter."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class _Silence:
    """How many threads want file descriptor 2 to lead nowhere: the first sends it there, the last brings it back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wanted_by = 0
        self.undo = ExitStack()

    def begin(self) -> None:
        """Count one more."""
        with self.lock:
            if self.wanted_by == 0:
                self._send_nowhere()
            self.wanted_by += 1

    def end(self) -> None:
        """Count one less."""
        with self.lock:
            self.wanted_by -= 1
            if self.wanted_by == 0:
                self.undo.close()

    def _send_nowhere(self) -> None:
        sys.stderr.flush()
        saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        self.undo.callback(os.close, nowhere)
        self.undo.callback(os.close, saved)
        self.undo.callback(os.dup2, saved, 2)
        self.undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")


_silence = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for the block: MediaPipe's C++ logs there as each network loads.

    Blocks of several threads may overlap; warnings are ignored in all of them meanwhile.
    """
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()
