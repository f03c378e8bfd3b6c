"""What a run makes for itself goes with it, or is removed by the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stages.artifacts.atomic import atomic_path
from stages.artifacts.leftovers import made_folder, temporary_folder, unfinished


def test_temporary_folders_of_killed_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 leaves a temporary folder, which the next run that needs one removes; those of others stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, signal, tempfile; from stages.artifacts.leftovers import temporary_folder\n"
        "tempfile.tempdir = os.environ['PLACE']\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'a').write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PLACE": str(tmp_path)}, check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    number = left.name.split("-")[2]
    running = tmp_path / left.name.replace(f"-{number}-", f"-{os.getppid()}-")
    foreign = tmp_path / "emosh-mine"
    for folder in (running, foreign):
        folder.mkdir()
    with temporary_folder() as folder:
        assert {path.name for path in tmp_path.iterdir()} == {running.name, foreign.name, folder.name}
    assert {path.name for path in tmp_path.iterdir()} == {running.name, foreign.name}


def test_a_failed_run_leaves_no_empty_folder(tmp_path: Path) -> None:
    """A folder that the block made goes if nothing is in it, or if it is a result as a whole; one that was there before
    stays."""
    for name, was_there, written, whole, stays in (
        ("new", False, False, False, False),
        ("old", True, False, False, True),
        ("used", False, True, False, True),
        ("result", False, True, True, False),
        ("older", True, True, True, True),
    ):
        folder = tmp_path / name
        if was_there:
            folder.mkdir()
        with pytest.raises(KeyboardInterrupt), made_folder(folder, whole):
            if written:
                (folder / "a").touch()
            raise KeyboardInterrupt
        assert folder.exists() == stays, name


def test_unfinished_files_are_known(tmp_path: Path) -> None:
    """An output counts as unfinished until it is whole or its half is removed."""
    with atomic_path(tmp_path / "a") as part:
        assert unfinished() == [part]
    with pytest.raises(ValueError, match="no"), atomic_path(tmp_path / "a") as part:
        raise ValueError("no")
    assert unfinished() == []
