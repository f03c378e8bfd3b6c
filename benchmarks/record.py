"""What a benchmark found, as a small JSON file in `benchmarks/results`: a table, and the command, date and machine.

    with Recorder("What is measured.", Column("clip", "clip"), Column("rate", "speed", "frames per second"),
                  keep=options) as found:
        found.row(clip="d1", rate=12.8)

Every row is printed as soon as it is there. The file is written when the block ends without an error, and only with
`--write`. No folder's name reaches the file: of a path, the command keeps the last part. Standard library only, so
that scripts for a GPU run wherever torch runs. The page is made from the files by `benchmarks.page`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

HOME = Path(__file__).resolve().parent
RESULTS, PICTURES, UNWRITTEN = HOME / "results", HOME.parent / "docs" / "pictures", Path("out/benchmarks")
MEASURED = ("stages", "emosh_cli")
"""A result's commit is the last one that changed these: a rebase of the benchmarks leaves it valid."""
Cell = Any
"""Text, a number, None where nothing was measured, or [value, low, high]."""


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    key: str
    label: str
    unit: str = ""
    digits: int = 1
    """Behind the point."""

    @property
    def head(self) -> str:
        """Label and unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def kept(self, cell: Cell) -> Cell:
        """As it is written: numbers with no more digits than are shown."""
        if cell is None or isinstance(cell, str):
            return cell
        if isinstance(cell, Sequence):
            return [self.kept(each) for each in cell]
        return round(float(cell), self.digits) if self.digits else round(float(cell))

    def shown(self, cell: Cell) -> str:
        """As people read it."""
        if cell is None or isinstance(cell, str):
            return cell or ""
        if isinstance(cell, Sequence):
            value, *interval = (self.shown(each) for each in cell)
            return f"{value} [{', '.join(interval)}]"
        return f"{cell:,.{self.digits}f}"


USUAL = {"unit": Column.unit, "digits": Column.digits}


@dataclass(frozen=True)
class Result:
    """One file."""

    name: str
    what: str
    """One sentence."""
    command: str
    date: str
    commit: str
    machine: dict[str, Any]
    wall_seconds: float | None
    columns: list[Column]
    rows: list[dict[str, Cell]]
    notes: list[str]
    pictures: list[dict[str, str]] = field(default_factory=list)
    """file (in docs/pictures) and caption."""


def read(path: Path) -> Result:
    """A result file. An unknown or missing key raises TypeError."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Result(**{**found, "columns": [Column(**column) for column in found["columns"]]})


def write(result: Result, path: Path) -> None:
    """One row of the table per line, so that a change shows as the lines that changed."""
    found = asdict(result)
    found["columns"] = [
        {key: value for key, value in each.items() if value != USUAL.get(key)} for each in found["columns"]
    ]
    lines = {key: [json.dumps(each, ensure_ascii=False) for each in found[key]] for key in ("columns", "rows")}
    for key in lines:
        found[key] = f"@{key}"
    text = json.dumps(found, indent=1, ensure_ascii=False)
    for key, each in lines.items():
        text = text.replace(f'"@{key}"', "[\n  " + ",\n  ".join(each) + "\n ]" if each else "[]")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the script's first line, `--write` and `--name`."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results, for the page")
    parser.add_argument("--name", help="the result's name, for a second one of the same script")
    return parser


class Recorder:
    """Prints each row, and writes the file if nothing went wrong."""

    def __init__(self, what: str, *columns: Column, keep: argparse.Namespace, name: str | None = None) -> None:
        self._what, self._columns, self._write = what, columns, keep.write
        self._name = name or keep.name or Path(sys.argv[0]).stem
        self._rows: list[dict[str, Cell]] = []
        self._notes: list[str] = []
        self._pictures: list[dict[str, str]] = []
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._write:
            write(self.result(), RESULTS / f"{self._name}.json")

    def row(self, **cells: Cell) -> None:
        """Keep and print one row. A column that is left out is empty; a key that is no column raises KeyError."""
        if unknown := set(cells) - {column.key for column in self._columns}:
            raise KeyError(f"{self._name} has no column {', '.join(sorted(unknown))}")
        if not self._rows:
            print(f"\n{self._what}\n\n" + "\n".join(header(self._columns)))
        self._rows.append({each.key: each.kept(cells[each.key]) for each in self._columns if each.key in cells})
        print(line(self._columns, self._rows[-1]), flush=True)

    def note(self, text: str) -> None:
        """Keep and print one sentence."""
        self._notes.append(text)
        print(text, flush=True)

    def picture(self, file: str, caption: str) -> Path:
        """Where to draw a picture that belongs to the table: in docs/pictures when the result is written."""
        self._pictures.append({"file": file, "caption": caption})
        folder = PICTURES if self._write else UNWRITTEN
        folder.mkdir(parents=True, exist_ok=True)
        return folder / file

    def result(self) -> Result:
        """What would be written now."""
        now, seconds = datetime.now(UTC).date().isoformat(), round(time.perf_counter() - self._began, 1)
        return Result(self._name, self._what, command(sys.argv), now, commit(), machine(), seconds, list(self._columns),
                      self._rows, self._notes, self._pictures)  # fmt: skip


def header(columns: Sequence[Column]) -> list[str]:
    """The two lines above a Markdown table's rows."""
    return ["| " + " | ".join(column.head for column in columns) + " |", "|---" * len(columns) + "|"]


def line(columns: Sequence[Column], row: dict[str, Cell]) -> str:
    """A Markdown table's row."""
    return "| " + " | ".join(column.shown(row.get(column.key)) for column in columns) + " |"


def command(words: list[str]) -> str:
    """How this process was started, with the last part of every path."""
    threads = [f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"] if "OMP_NUM_THREADS" in os.environ else []
    given = [re.sub(r"[^\s=,]*/", "", word) for word in words[1:]]
    return shlex.join([*threads, "python", "-m", f"benchmarks.{Path(words[0]).stem}", *given])


def commit() -> str:
    """Short hash of the last commit that changed what is measured; "+" behind it where that was changed since."""

    def git(*given: str) -> str:
        return subprocess.run(["git", *given, "--", *MEASURED], cwd=HOME.parent, capture_output=True, text=True,
                              check=True).stdout.strip()  # fmt: skip

    try:
        return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPU, and the versions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"processor": processor(), "cores": cores}
    if hasattr(os, "sysconf"):
        found["memory_gb"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    torch = sys.modules.get("torch")
    found["gpu"] = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None
    found["python"] = platform.python_version()
    for package in ("numpy", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def processor() -> str:
    """The model's name, or the architecture where it has none."""
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", described, re.MULTILINE)
    return model[1].strip() if model else platform.machine()
