"""docs/paper.md: every file, function and test that it names is there, its counts are right, nothing is left out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.command_line import emosh

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
VERDICTS = ("same", "chosen here", "different", "missing")
PLACES = sorted({
    (path, " ".join((names or "").split()))
    for path, names in re.findall(r"`([\w.-]+/[\w/.-]+\.(?:py|toml|html))(?::\s+([\w,\s]+))?`", TEXT)
})  # fmt: skip


def rows() -> list[list[str]]:
    """The cells of every row that has a verdict."""
    found = [re.split(r"\s*\|\s*", line.strip("| ")) for line in TEXT.splitlines() if line.startswith("|")]
    return [cells for cells in found if len(cells) == 5 and "**" in cells[-1]]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Everything that a module defines: functions, classes, and what is assigned in it or in a class."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {name.id for each in targets if each is not None for name in ast.walk(each)
                  if isinstance(name, ast.Name)}  # fmt: skip
    return frozenset(found)


@pytest.mark.parametrize(("path", "names"), PLACES)
def test_what_is_named_is_there(path: str, names: str) -> None:
    """The file exists, and defines each of the names behind it."""
    assert (ROOT / path).is_file()
    for name in filter(None, re.split(r"[,\s]+", names)):
        assert name in names_in(ROOT / path), f"{path} has no {name}"


def test_every_row_names_code_and_proof() -> None:
    """Each row says where it is and has a known verdict; each that is not missing names a test or a benchmark."""
    for where, _, code, proof, verdict in rows():
        found = set(re.findall(r"\*\*(.+?)\*\*", verdict))
        assert found
        assert found <= set(VERDICTS), verdict
        assert ".py" in code, where
        assert "tests/" in proof or "benchmarks/" in proof or "missing" in found, (where, proof)


def test_the_counts_are_those_of_the_rows() -> None:
    """The table at the start says in how many rows each verdict stands."""
    for verdict in VERDICTS:
        stated = re.search(rf"^\| \*\*{verdict}\*\* \|.*\| (\d+) \|$", TEXT, re.MULTILINE)
        assert stated, verdict
        assert int(stated[1]) == sum(f"**{verdict}**" in cells[-1] for cells in rows()), verdict


def test_nothing_of_the_paper_is_left_out() -> None:
    """All sections of method and evaluation, equations 1 to 11, tables 1 to 7 and the method's figures are there."""
    said = "; ".join(cells[0] for cells in rows())
    tables = {int(each) for group in re.findall(r"tables? ([\d, ]+)", said) for each in re.findall(r"\d+", group)}
    assert tables == set(range(1, 8))
    assert {int(each) for each in re.findall(r"eq\. (\d+)", said)} == set(range(1, 12))
    assert {"2", "3", "8", "10", "11"} <= set(re.findall(r"fig\. (\d+)", said))
    sections = {"3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3", "4.4", "4.5", "0.B.1", "0.B.2", "0.B.3", "0.B.4",
                "0.B.5", "0.C.1", "0.C.2", "0.D.1", "0.D.2", "0.D.3", "0.D.4", "0.D.5", "0.D.6"}  # fmt: skip
    assert sections <= set(re.findall(r"\d\.[A-Z]\.\d|\d\.\d", said))
    assert len(re.findall(r"^\| [1-5]\. ", TEXT, re.MULTILINE)) == 5


def test_the_papers_preset_is_its_recipe() -> None:
    """--config paper chooses the paper's solver, the plain swap, its drawing, the driver's camera and SAC."""
    for section, expected in (
        ("track", {"solver": "adamw", "adamw_steps": 1250}), ("retarget", {"contacts": False, "disentangle": True}),
        ("render_cond", {"drawing": "mesh", "framing": "drive", "hybrid": True}), ("wan", {"sac": True}),
    ):  # fmt: skip
        from emosh_cli.console import Console
        from emosh_cli.run import Run

        config = Run("test", Console(quiet=True), ["paper"]).load_config(section)
        assert {name: getattr(config, name) for name in expected} == expected
    assert "paper" in emosh("config", "list").out


def test_how_to_cite() -> None:
    """CITATION.cff has the fields that the format demands, the paper's number, and the version of the project."""
    import tomllib

    import yaml

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["references"][0]["identifiers"][0]["value"] == "arXiv:2606.28026"
    assert len(cited["references"][0]["authors"]) == 8
