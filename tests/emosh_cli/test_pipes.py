"""Motions through pipes, as a shell would connect them."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emosh_cli.outputs import PIPE
from emosh_cli.pipes import readable, write
from stages.artifacts.motion import load_motion
from stages.errors import InputError
from tests.command_line import emosh
from tests.emosh_cli.conftest import Clip

EMOSH = f"{sys.executable} -m emosh_cli"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False)


def test_a_motion_goes_through_pipes(motion_file: Path, clip: Clip, tmp_path: Path) -> None:
    """retarget - -o - | retarget - reads and writes motions without a file, and equals the same through files."""
    ref, piped, filed, again = (
        clip.work / "ref.npz",
        *(tmp_path / f"{name}.npz" for name in ("piped", "filed", "again")),
    )
    finished = shell(
        f"cat {motion_file} | {EMOSH} retarget - --ref {ref} -o - | {EMOSH} retarget - --ref {ref} -o {piped}"
    )
    assert finished.stdout == f"{piped}\n", finished.stderr
    assert emosh("retarget", motion_file, "--ref", ref, "-o", filed).code == 0
    assert emosh("retarget", filed, "--ref", ref, "-o", again).code == 0
    assert (load_motion(piped).poses == load_motion(again).poses).all()


def test_a_damaged_pipe_is_called_standard_input(tmp_path: Path) -> None:
    """What cannot be read from a pipe is named as standard input, not by a temporary file."""
    out = tmp_path / "x.npz"
    finished = shell(f"echo words | {EMOSH} export - -o {out} --dry-run; echo words | {EMOSH} export - -o {out}")
    assert finished.stderr.count("\n") == 1
    assert "standard input" in finished.stderr
    assert tempfile.gettempdir() not in finished.stderr
    assert not out.exists()


def test_an_empty_pipe_says_so() -> None:
    """Nothing on standard input is one line."""
    assert "standard input is empty" in shell(f"{EMOSH} inspect - < /dev/null").stderr


def test_a_video_is_no_pipe() -> None:
    """track - is refused: a video cannot be read from a pipe."""
    assert "cannot be read from a pipe" in emosh("track", "-").error


def test_the_spool_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that stands for standard input exists inside the block only."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"bytes")))
    with readable(PIPE) as spooled:
        assert spooled.read_bytes() == b"bytes"
    assert not spooled.exists()


def test_errors_of_a_named_file_keep_its_name(tmp_path: Path) -> None:
    """`readable` leaves a path and what is said about it alone."""
    with pytest.raises(InputError, match="mine"), readable(tmp_path / "mine.npz") as path:
        load_motion(path)


def test_writing_to_a_file_spools_nothing(tmp_path: Path) -> None:
    """`write` hands a real path straight to the saver."""
    seen: list[Path] = []
    write(tmp_path / "out.npz", seen.append)
    assert seen == [tmp_path / "out.npz"]
