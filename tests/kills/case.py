"""Runs a command in a process of its own, ends it at a moment, and looks at what it left.

The process leads a session, so that everything it starts can be found. It is forked from a process that has imported
the libraries: its own start is not killed, that of its workers is.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.kills.commands import Command

ORPHAN_SECONDS = 2.0
"""How long after its parent a process may go on."""
PATIENCE = 300.0
FAULTS = ("exit code", "orphan", "half-written", "rerun", "bytes", "left")
"""Another exit code than that of the signal; a process after 2 s; a stopped run that left a half; a second run that did
not end well; other bytes than those of an undisturbed run; a file that an undisturbed run does not leave."""
STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}


@dataclass(frozen=True)
class Left:
    """What a run left: sha256 by relative path ("" for a folder), also of its temporary folder as TMPDIR/..."""

    files: dict[str, str]

    @staticmethod
    def of(case: Path) -> Left:
        """Of a case's folder and its temporary one."""
        found = {}
        for prefix, place in (("", case), ("TMPDIR/", temporary(case))):
            for path in sorted(place.rglob("*")):
                digest = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
                found[f"{prefix}{path.relative_to(place)}"] = digest
        return Left(found)

    def halves(self) -> list[str]:
        """Half-written files and temporary folders."""
        return [name for name in self.files if ".part" in name or name.startswith("TMPDIR/")]


@dataclass(frozen=True)
class Ending:
    """How a case went."""

    faults: tuple[str, ...]
    told: str
    finished: bool
    """Whether the command ended before the signal came."""


def temporary(case: Path) -> Path:
    """The temporary folder of a case."""
    return case.with_name(f"{case.name}-tmp")


def undisturbed(command: Command, seeds: Path, case: Path) -> tuple[Left, float]:
    """What the command leaves, and its seconds. Raises RuntimeError where it fails."""
    start = time.monotonic()
    process = begin(command.given(seeds), case)
    code = wait(process, PATIENCE)
    if code:
        raise RuntimeError(f"{command.name}: exit code {code}: {said(case)}")
    return Left.of(case), time.monotonic() - start


def killed(command: Command, seeds: Path, case: Path, number: signal.Signals, after: float, whole: Left) -> Ending:
    """Run the command, send it the signal after some seconds, run it again, and compare with `whole`."""
    faults, told = [], ""
    process = begin(command.given(seeds), case)
    code = wait(process, after)
    finished = code is not None
    if code is None:
        if number == signal.SIGINT:
            os.killpg(process, number)  # a terminal sends Ctrl-C to everyone
        else:
            os.kill(process, number)
        code = wait(process, PATIENCE)
        if code not in (0, STOPPED[number], -number):  # a signal before emosh listens ends it by the system's own rule
            faults.append("exit code")
    orphans = after_a_while(process)
    if orphans:
        faults.append("orphan")
        told += f"orphans: {orphans}\n"
        os.killpg(process, signal.SIGKILL)
        after_a_while(process)
    halves = [] if number == signal.SIGKILL and not finished else Left.of(case).halves()
    if halves:
        faults.append("half-written")
        told += f"left by {number.name}: {halves}\n"
    told += f"first run, exit code {code}: {said(case)}\n"
    again = wait(begin(command.given(seeds), case), PATIENCE)
    if again != 0:
        faults.append("rerun")
        told += f"second run, exit code {again}: {said(case)}\n"
    else:
        found = Left.of(case).files
        others = [name for name in whole.files.keys() & found.keys() if whole.files[name] not in ("*", found[name])]
        strange = sorted(found.keys() ^ whole.files.keys())
        faults += ["bytes"] * bool(others) + ["left"] * bool(strange)
        told += f"other bytes: {sorted(others)}\n" * bool(others) + f"not in both: {strange}\n" * bool(strange)
    return Ending(tuple(faults), told, finished)


def begin(words: list[str], case: Path) -> int:
    """Fork a process that runs `emosh WORDS...` in `case`. Needs a process without threads."""
    temporary(case).mkdir(exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(case)
        os.environ["TMPDIR"], tempfile.tempdir = str(temporary(case)), None
        output = os.open(_output(case), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        faulthandler.enable(2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
        code = _emosh(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _emosh(words: list[str]) -> int:
    from concurrent.futures import process, thread

    from emosh_cli.app import main

    sys.argv = ["emosh", *words]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    finally:  # what the interpreter's own end would wait for
        process._python_exit()
        thread._python_exit()


def wait(process: int, seconds: float) -> int | None:
    """Its exit code, a signal's number below zero; None where it has not ended by then."""
    ends = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends:
            return None
        time.sleep(0.002)


def after_a_while(session: int) -> list[str]:
    """Command lines of processes of a session that still run ORPHAN_SECONDS later."""
    ends = time.monotonic() + ORPHAN_SECONDS
    while (found := _session(session)) and time.monotonic() < ends:
        time.sleep(0.02)
    return found


def _session(session: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:120])
        except OSError:
            continue
    return found


def _output(case: Path) -> Path:
    return case.with_name(f"{case.name}-said")


def said(case: Path) -> str:
    """The last lines that the command wrote, and where it crashed."""
    return " / ".join(_output(case).read_text("utf-8", "replace").splitlines()[-40:])[-3000:]
