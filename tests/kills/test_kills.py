"""A fixed share of the kills, as `python -m tests.kills` makes hundreds of them; and what the harness must see."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.forked import forked
from tests.kills.case import FAULTS, Left, killed
from tests.kills.commands import Command


def run_share(words: list[str]) -> None:
    """In a process of its own, without threads: each case is a fork of it."""
    from tests.kills.__main__ import main

    raise SystemExit(main(words))


def test_killed_commands_go_on(tmp_path: Path) -> None:
    """Commands killed and stopped at some moments leave no process and no half, and give the same bytes when they are
    run again."""
    chosen = ("retarget", "render-cond", "export glb", "config init", "train every weight", "train")
    words = ["--count", "12", "--seed", "5", "--seeds", str(tmp_path / "seeds")]
    process = forked(run_share, [*words, *(word for name in chosen for word in ("--only", name))])
    code, told = process.wait(timeout=300), process.told()
    assert code == 0, "\n".join(told)


def faults(folder: Path) -> None:
    """What the harness must call a fault, each done by a command of its own."""
    import os
    import subprocess
    import sys
    import time

    from tests.kills import case as harness

    def works(words: list[str]) -> int:
        name = " ".join(words)
        again = Path("begun").exists()
        Path("begun").touch()
        if name == "orphan" and not again:
            subprocess.Popen(
                [sys.executable, "-c", "import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(30)"]
            )
        if name == "half-written" and not again:
            Path(".out.1.part.txt").touch()
        if name == "left":
            Path(f"left-{os.getpid()}").touch()
        if name == "rerun" and again:
            return 2
        Path("out.txt").write_text("other" if name == "bytes" and again else "whole")
        try:
            time.sleep(0 if again else 30)
        except KeyboardInterrupt:
            return 1 if name == "exit code" else 130
        return 0

    harness._emosh = works
    for name in FAULTS:
        case = folder / name.replace(" ", "-")
        case.mkdir()
        whole = Left({"begun": "*", "out.txt": harness.hashlib.sha256(b"whole").hexdigest()})
        ending = killed(Command("", name, name), folder, case, signal.SIGINT, 1.0, whole)
        wanted = {"half-written": {"half-written", "left"}, "exit code": {"exit code"}}.get(name, {name})
        assert set(ending.faults) == wanted, (name, ending)
    raise SystemExit(0)


def test_the_harness_sees_each_fault(tmp_path: Path) -> None:
    """Another exit code, a process that goes on, a half, a second run that fails or gives other bytes, and a file too
    many are told apart."""
    process = forked(faults, tmp_path)
    code, told = process.wait(), process.told()
    assert code == 0, "\n".join(told)
