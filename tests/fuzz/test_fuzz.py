"""A fixed share of the damaged files, as `python -m tests.fuzz` runs thousands of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.forked import forked
from tests.fuzz import mutations
from tests.fuzz.cases import FAULTS, run_case


def run_share(words: list[str]) -> None:
    """In a process of its own, without threads: each case is a fork of it."""
    from tests.fuzz.__main__ import main

    raise SystemExit(main(words))


@pytest.mark.parametrize("group", ["basic", "exports", "priors", "tables", "model"])
def test_damaged_files_end_in_one_line(group: str, tmp_path: Path) -> None:
    """Some damaged files of every format are read, or refused with one line, and leave nothing behind."""
    words = ["--count", "40", "--seed", "19", "--only", group, "--seeds", str(tmp_path)]
    process = forked(run_share, words)
    code, told = process.wait(timeout=300), process.told()
    assert code == 0, "\n".join(told)


def test_a_seed_gives_the_same_damage() -> None:
    """The same generator damages a file in the same way."""
    data = bytes(range(256)) * 4
    assert mutations.damaged_bytes(data, Random("a")) == mutations.damaged_bytes(data, Random("a"))
    assert len({mutations.damaged_bytes(data, Random(str(number)))[0] for number in range(50)}) > 40


def endings(folder: Path) -> None:
    """What the harness must call a fault, each done by a reader of its own."""
    import os

    from tests.fuzz.formats import READERS

    def leaves(path: Path) -> None:
        from stages.errors import InputError

        Path("left").touch()
        raise InputError("no")

    def swells(path: Path) -> None:
        raise MemoryError

    def crashes(path: Path) -> None:
        os.abort()

    def breaks(path: Path) -> None:
        raise KeyError("x")

    def runs_a_pickle(path: Path) -> None:
        Path(mutations.MARKER).touch()

    expected = {leaves: "leftover", swells: "memory", crashes: "crash", breaks: "bug", runs_a_pickle: "pickle"}
    for number, (reader, fault) in enumerate(expected.items()):
        READERS["planted"] = reader
        case = folder / str(number)
        case.mkdir()
        (case / "a.bin").write_bytes(b"")
        ending = run_case(case, "a.bin", ["read", "planted"])
        assert fault in FAULTS
        assert fault in ending.faults, (fault, ending)
    raise SystemExit(0)


def test_the_harness_sees_each_fault(tmp_path: Path) -> None:
    """A leftover, an end of memory, a crash, a traceback and a pickle that ran are told apart."""
    process = forked(endings, tmp_path)
    code, told = process.wait(), process.told()
    assert code == 0, "\n".join(told)
