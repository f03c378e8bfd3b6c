"""What a benchmark's recorder keeps and prints."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import record
from benchmarks.record import Column, Recorder

COLUMNS = (Column("clip", "clip"), Column("error", "error", "mm", 2), Column("count", "count", digits=0))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results go to a folder of the test's own."""
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(record, "PICTURES", tmp_path / "pictures")
    monkeypatch.setattr(record, "UNWRITTEN", tmp_path / "out")
    monkeypatch.setattr(
        sys, "argv", ["/home/me/benchmarks/track_x.py", "/data/d1.mp4", "/a/p1.jpg=../b/d4.mp4", "--write"]
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_rows_are_kept_as_they_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table is printed row by row and read back as it was: rounded, numpy's numbers too, intervals and gaps."""
    with Recorder("What.", *COLUMNS, keep=Namespace(write=True, name=None)) as found:
        found.row(clip="d1", error=np.float32(1.23456), count=np.int64(1200))
        found.row(clip="d2", error=[1.0, 0.5, 1.5])
        found.note("A note.")
        drawn = found.picture("a.png", "A picture.")
    printed = capsys.readouterr().out
    assert (
        "| clip | error, mm | count |\n|---|---|---|\n| d1 | 1.23 | 1,200 |\n| d2 | 1.00 [0.50, 1.50] |  |" in printed
    )
    result = record.read(tmp_path / "results" / "track_x.json")
    assert result.rows == [{"clip": "d1", "error": 1.23, "count": 1200}, {"clip": "d2", "error": [1.0, 0.5, 1.5]}]
    assert result.columns == list(COLUMNS)
    assert result.notes == ["A note."]
    assert drawn.parent == tmp_path / "pictures"
    assert {"processor", "cores", "python", "numpy", "torch"} <= set(result.machine)


def test_no_folder_is_kept(tmp_path: Path) -> None:
    """Of a path, the command keeps the last part."""
    with Recorder("What.", *COLUMNS, keep=Namespace(write=True, name=None)) as found:
        found.row(clip="d1")
    result = record.read(tmp_path / "results" / "track_x.json")
    assert result.command == "OMP_NUM_THREADS=1 python -m benchmarks.track_x d1.mp4 p1.jpg=d4.mp4 --write"


def test_nothing_is_written_unasked_or_half(tmp_path: Path) -> None:
    """Without --write, and after an error, no file is left; a name of one's own is taken."""
    with Recorder("What.", *COLUMNS, keep=Namespace(write=False, name=None)) as found:
        found.row(clip="d1")
        assert found.picture("a.png", "A picture.").parent == tmp_path / "out"
    with pytest.raises(RuntimeError), Recorder("What.", *COLUMNS, keep=Namespace(write=True, name=None)) as found:
        raise RuntimeError
    assert not (tmp_path / "results").exists()
    with Recorder("What.", *COLUMNS, keep=Namespace(write=True, name="other")) as found:
        found.row(clip="d1")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["other.json"]


def test_a_key_that_is_no_column_is_refused() -> None:
    """A mistyped key is an error."""
    with (
        pytest.raises(KeyError, match="no column eror"),
        Recorder("What.", *COLUMNS, keep=Namespace(write=False, name=None)) as found,
    ):
        found.row(eror=1)


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    """A result file with a field that nobody reads is an error."""
    with Recorder("What.", *COLUMNS, keep=Namespace(write=True, name=None)) as found:
        found.row(clip="d1")
    path = tmp_path / "results" / "track_x.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))
    with pytest.raises(TypeError, match="more"):
        record.read(path)
