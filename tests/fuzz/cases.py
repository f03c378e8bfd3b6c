"""Runs one case in a process of its own, and judges how it ended.

A case passes if it ends with exit code 0, or with 2 and one line `emosh: ...` and nothing new in its folders. It has
bounds: processor time, memory, and the size of files.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.formats import READERS
from tests.fuzz.mutations import MARKER

SECONDS = 60.0
MEMORY = 4 << 30
ROOM = 8 << 30
"""Address space that a case may add to the forked process: more than MEMORY, and less than the machine has."""
FAULTS = ("bug", "crash", "hang", "memory", "exit code", "lines", "leftover", "pickle")


@dataclass(frozen=True)
class Ending:
    """How a case ended. `new` are the files that it left; `faults` are of FAULTS."""

    code: int
    told: str
    seconds: float
    memory: int
    new: tuple[str, ...]
    faults: tuple[str, ...]


def run_case(folder: Path, file: str, words: list[str]) -> Ending:
    """Fork, run the words in `folder` and wait. Needs a process without threads."""
    temporary = folder.with_name(f"{folder.name}-tmp")
    temporary.mkdir()
    out, err = folder.with_name(f"{folder.name}-out"), folder.with_name(f"{folder.name}-err")
    before, start = _listing(folder), time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if not process:
        _child(folder, temporary, out, err, lambda: _work(Path(file), words))
    hung, status, used = _wait(process, start)
    seconds, told, said = time.monotonic() - start, err.read_text("utf-8", "replace"), out.read_text("utf-8", "replace")
    new = tuple(sorted(_listing(folder) - before)) + tuple(f"TMPDIR/{each}" for each in sorted(_listing(temporary)))
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    memory = used.ru_maxrss * 1024
    return Ending(code, told, seconds, memory, new, _faults(code, told, said, new, hung, memory))


def _faults(code: int, told: str, said: str, new: tuple[str, ...], hung: bool, memory: int) -> tuple[str, ...]:
    lines = [line for line in told.splitlines() if line.startswith("emosh: ") or '"event": "error"' in line]
    half = [each for each in new if ".part" in each or each.startswith("TMPDIR")]
    found = {
        "hang": hung,
        "crash": code < 0 and not hung,
        "memory": memory > MEMORY or "out of memory" in told,
        "bug": "Traceback (most recent" in told + said or "this is a bug in emosh" in told,
        "exit code": code not in (0, 2) and code >= 0,
        "lines": code == 2 and len(lines) != 1,
        "leftover": bool(new) if code == 2 else bool(half),
        "pickle": any(MARKER in each for each in new),
    }
    return tuple(name for name in FAULTS if found[name])


def _work(file: Path, words: list[str]) -> int:
    if words[0] == "read":
        return _read(READERS[words[1]], file)
    from emosh_cli.app import main

    sys.argv = ["emosh", *words]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1


def _read(reader: Callable[[Path], None], file: Path) -> int:
    """Call a reader, and end as a command would."""
    from emosh_cli.errors import message_of

    try:
        reader(file)
    except (Exception, KeyboardInterrupt) as error:
        message = message_of(error)
        if message.code != 2:
            traceback.print_exc()
        sys.stderr.write(f"emosh: {message.text}\n")
        return message.code
    return 0


def _child(folder: Path, temporary: Path, out: Path, err: Path, work: Callable[[], int]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
        for number, path in ((1, out), (2, err)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            os.dup2(descriptor, number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(process: int, start: float) -> tuple[bool, int, resource.struct_rusage]:
    """Wait for the process, and end its group. It hangs after SECONDS of processor time, or, as a busy machine may give
    it none, after five times as long."""
    hung = False
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            break
        waited = time.monotonic() - start
        if waited > SECONDS and (waited > 5 * SECONDS or _processor_seconds(process) > SECONDS):
            hung = True
            os.killpg(process, signal.SIGKILL)
            _, status, used = os.wait4(process, 0)
            break
        time.sleep(0.002 if waited < 0.2 else 0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return hung, status, used


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _listing(folder: Path) -> set[str]:
    """Everything in a folder, with names that are no UTF-8 too."""
    return {
        os.path.relpath(os.path.join(root, name), folder)
        for root, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }
