"""Suppress the log output of native libraries, such as MediaPipe's networks."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class _Silence:
    """Counts the threads that need a silent file descriptor 2: the first redirects it, the last restores it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        self.undo = ExitStack()

    def begin(self) -> None:
        """Count one more thread; the first one redirects the file descriptor."""
        with self.lock:
            if self.threads == 0:
                self._redirect()
            self.threads += 1

    def end(self) -> None:
        """Count one thread less; the last one restores the file descriptor."""
        with self.lock:
            self.threads -= 1
            if self.threads == 0:
                self.undo.close()

    def _redirect(self) -> None:
        sys.stderr.flush()
        saved, null_device = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, 2)
        self.undo.callback(os.close, null_device)
        self.undo.callback(os.close, saved)
        self.undo.callback(os.dup2, saved, 2)
        self.undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")


_silence = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Redirect file descriptor 2 to the null device inside the block: MediaPipe's C++ logs to it as each network loads.

    Blocks of several threads may overlap. Python warnings are ignored in the whole process meanwhile.
    """
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()
