"""Real processes for tests that kill them or couple them, forked from a server that imported torch once.

A fresh interpreter takes 5 s of a core for its imports, a fork some milliseconds. A forked process has loaded no model,
runs no thread, has its own memory, and hears signals as any other does. Its streams are pipes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import reduction
from typing import Any, TextIO

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.preloaded"])


@dataclass
class Forked:
    """A process at work, with the interface of subprocess.Popen as far as tests need it."""

    process: Any
    stdout: TextIO
    stderr: TextIO

    def kill(self) -> None:
        """Signal 9."""
        self.process.kill()

    def send_signal(self, number: int) -> None:
        """Any signal."""
        os.kill(self.process.pid, number)

    def wait(self, timeout: float = 120) -> int:
        """Its exit code, a signal's number below zero; fails where it has not ended by then."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, "it did not end"
        return self.process.exitcode

    def told(self) -> tuple[str, str]:
        """All that is left on both streams, to their end; some kilobytes."""
        with self.stdout, self.stderr:
            return self.stdout.read(), self.stderr.read()


def forked(function: Callable[..., object], *given: object, environment: dict[str, str] | None = None) -> Forked:
    """Begin `function(*given)` in a process of its own, with this one's environment and `environment`."""
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    words = (function, given, {**os.environ, **(environment or {})}, os.getcwd())
    process = SERVER.Process(target=_work, args=(*words, _Stream(out_end), _Stream(err_end)))
    process.start()
    for end in (out_end, err_end):
        os.close(end)
    return Forked(process, os.fdopen(out), os.fdopen(err))


def two_ranks(function: Callable[..., object], *given: object) -> list[Forked]:
    """`function(*given)` as two ranks that may meet under gloo, as a launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        forked(function, *given, environment={**world, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(2)
    ]


def command_line(*words: str) -> None:
    """`emosh WORDS...`"""
    from emosh_cli.app import main

    sys.argv = ["emosh", *words]
    main()


class _Stream:
    """A pipe's end that travels to the forked process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Any = descriptor

    def __getstate__(self) -> Any:
        return reduction.DupFd(self.descriptor)

    def __setstate__(self, duplicate: Any) -> None:
        self.descriptor = duplicate.detach()


def _work(
    function: Callable[..., object], given: tuple[Any, ...], environment: dict[str, str], folder: str,
    out: _Stream, err: _Stream,
) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so its children
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, stream in ((1, out), (2, err)):
        os.dup2(stream.descriptor, number)
        os.close(stream.descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1, closefd=False), os.fdopen(2, "w", 1, closefd=False)
    function(*given)
