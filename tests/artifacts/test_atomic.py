"""Files appear complete or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError


def test_success_renames(tmp_path: Path) -> None:
    """A finished block leaves only the file, under its name."""
    with atomic_path(tmp_path / "a.npz") as part:
        part.write_bytes(b"whole")
        assert part.suffix == ".npz"
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert (tmp_path / "a.npz").read_bytes() == b"whole"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    """After any exception the old file is kept and no other file is left."""
    target = tmp_path / "a.npz"
    target.write_bytes(b"old")
    with pytest.raises(error), atomic_path(target) as part:
        part.write_bytes(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_a_one_line_error(tmp_path: Path) -> None:
    """The error names the missing folder and what to do."""
    with pytest.raises(InputError, match=r"missing does not exist; create it"), atomic_path(tmp_path / "missing" / "a"):
        pass


def test_a_full_disk_is_a_one_line_error(tmp_path: Path) -> None:
    """The error for ENOSPC names the output, and no file is left."""
    with pytest.raises(InputError, match="disk is full"), atomic_path(tmp_path / "a.npz") as part:
        part.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def finished_pid(folder: Path) -> str:
    """The process number in the name of the only file in the folder."""
    return next(folder.iterdir()).name.split("-")[1]


def test_kill_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    """kill -9 while writing leaves only a hidden .part file, which the next run with that output removes, also
    where it has the number of the killed process, as in a container. The file of a running process is kept.
    """
    code = (
        "import os, signal, sys; from pathlib import Path; from stages.artifacts.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    finished = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.npz")], check=False)
    assert finished.returncode == -signal.SIGKILL
    assert [path.name.startswith(".a.") and ".part" in path.name for path in tmp_path.iterdir()] == [True]
    left, number = next(tmp_path.iterdir()).name, f"-{finished_pid(tmp_path)}-"
    running = tmp_path / left.replace(number, f"-{os.getppid()}-")
    running.write_bytes(b"in use")
    (tmp_path / left.replace(number, f"-{os.getpid()}-")).write_bytes(b"of an earlier process with this number")
    with atomic_path(tmp_path / "a.npz") as part:
        part.write_bytes(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", running.name}


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    """A pipe in the output's place is refused in one line and stays: a rename would put a file there, as root also
    for /dev/null."""
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe\.npz is a pipe; name a file"), atomic_path(pipe):
        pass
    link = tmp_path / "link.npz"
    link.symlink_to("/dev/null")
    with pytest.raises(InputError, match=r"link\.npz is a device; name a file"), atomic_path(link):
        pass
    link.unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.npz"]
    assert pipe.is_fifo()
