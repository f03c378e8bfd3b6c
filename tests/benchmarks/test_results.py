"""The committed results, and the page that is made from them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.record import HOME, PICTURES, RESULTS, Result, read, write

FILES = sorted(RESULTS.glob("*.json"))


def measuring() -> set[str]:
    """The scripts that keep what they measure."""
    found = set()
    for path in HOME.glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        if "Recorder" in names and path.stem != "record":
            found.add(path.stem)
    return found


def test_the_page_is_what_the_results_make() -> None:
    """docs/benchmarks.md equals the generator's output: `make docs-benchmarks` makes it again."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page(page.read_all())


def test_every_script_has_a_result() -> None:
    """What is no library of the others keeps what it measures, and has a result or is listed as needing a GPU."""
    runnable = {path.stem for path in HOME.glob("*.py") if "def main(" in path.read_text()} - {"page"}
    assert runnable == measuring()
    have = {page.script(result) for result in page.read_all()}
    need = {name.split()[0] for name in page.NEEDS_GPU}
    assert need <= runnable
    assert runnable - have <= need
    text = page.PAGE.read_text(encoding="utf-8")
    assert all(f"`python -m benchmarks.{name}`" in text for name in page.NEEDS_GPU if name.split()[0] not in have)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_is_whole(path: Path, tmp_path: Path) -> None:
    """Its command names a script, no folder's name is in it, its cells are its columns', its pictures are there, and
    writing it again gives the same file."""
    result = read(path)
    assert result.name == path.stem
    assert page.script(result) in measuring()
    assert not [word for word in re.split(r"[\s\"'=,]+", path.read_text()) if re.match(r"/\w|~|\.\.", word)]
    keys = [column.key for column in result.columns]
    assert len(set(keys)) == len(keys)
    assert result.rows
    assert all(set(row) <= set(keys) for row in result.rows)
    assert all((PICTURES / picture["file"]).is_file() for picture in result.pictures)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result.date)
    assert re.fullmatch(r"[0-9a-f]{7,}\+?", result.commit)
    write(result, tmp_path / path.name)
    assert (tmp_path / path.name).read_text() == path.read_text()


def test_what_was_measured_is_no_longer_missing() -> None:
    """A script that needs a GPU leaves the list of missing ones with its first result."""
    machine = {"processor": "P", "cores": 2, "gpu": "G"}
    done = Result("gpu_train", "W.", "python -m benchmarks.gpu_train recipe", "2026-01-01", "abcdef0", machine, 1.0, [],
                  [], [])  # fmt: skip
    assert "- `python -m benchmarks.gpu_train recipe`: " in page.page([])
    assert "- `python -m benchmarks.gpu_train recipe`: " not in page.page([done])
    assert "- `python -m benchmarks.gpu_train learn WORK`: " in page.page([done])
    assert "P, 2 cores, G" in page.page([done])
