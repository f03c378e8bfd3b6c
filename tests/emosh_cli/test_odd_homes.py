"""emosh where little is allowed: as a user without a home, with little memory, and on a disk that fills up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emosh_cli.console import NativeSilence
from emosh_cli.errors import message_of
from tests.emosh_cli.conftest import Clip

NOBODY = 65534
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(clip: Clip, tmp_path: Path) -> Path:
    """A folder that everybody may write into, with a photo and a motion in it."""
    for name, path in (("photo.png", clip.photo), ("motion.npz", clip.work / "drive.npz")):
        shutil.copy(path, tmp_path / name)
    for place in (tmp_path, *tmp_path.parents):
        if place.owner() == "root" and place != Path("/") and place != Path("/tmp"):
            place.chmod(place.stat().st_mode | 0o055)
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture
def without_a_home(folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """What runs a command as nobody, and its environment. The open body lies where nobody's would be baked, as baking
    takes a minute; compiled code lies nowhere."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can run a command as another user, with setpriv")
    from stages.body.store import open_body

    baked = open_body("open").path
    temporary = folder / "tmp"
    bodies = temporary / f"emosh-home-{NOBODY}" / "bodies"
    bodies.mkdir(parents=True)
    shutil.copy(baked, bodies / baked.name)
    for place in (temporary, bodies.parent, bodies, bodies / baked.name):
        os.chown(place, NOBODY, NOBODY)
    bodies.parent.chmod(0o700)
    words = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", sys.executable]
    if subprocess.run([*words, "-c", "import numba, stages"], env={"PYTHONPATH": str(ROOT)}, check=False).returncode:
        pytest.skip("nobody may read the interpreter or the checkout here")
    yield (
        [*words, "-m", "emosh_cli"],
        {
            "PATH": "/usr/bin:/bin", "HOME": "/proc/nonexistent", "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
        },
    )  # fmt: skip
    shutil.rmtree(temporary)


def test_without_a_home(folder: Path, without_a_home: tuple[list[str], dict[str, str]]) -> None:
    """track and export work installed read-only with no home to write into; compiled code goes to the user's temporary
    folder. animate does too, which would take half a minute here, as everything is compiled anew."""
    words, environment = without_a_home
    for command in (["track", "photo.png", "-o", "tracked.npz"], ["export", "motion.npz", "-o", "out.glb"]):
        ended = subprocess.run(
            [*words, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert (folder / ended.stdout.strip()).stat().st_size
    home = Path(environment["TMPDIR"]) / f"emosh-home-{NOBODY}"
    assert list((home / "numba").rglob("*.nbi"))
    assert sorted(path.name for path in Path(environment["TMPDIR"]).iterdir()) == [home.name]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's address space reliably")
@pytest.mark.parametrize("kilobytes", [300_000, 450_000])
def test_too_little_memory_for_the_libraries_is_one_line(clip: Clip, tmp_path: Path, kilobytes: int) -> None:
    """A library that cannot be loaded for lack of memory is no bug, and no file is left."""
    command = f'ulimit -v {kilobytes}; exec "$0" -m emosh_cli track "$1" -o "$2"'
    words = ["sh", "-c", command, sys.executable, str(clip.photo), str(tmp_path / "out.npz")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("emosh: ")]
    assert len(lines) == 1, ended.stderr
    assert "out of memory" in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_other_errors_are_not_called_lack_of_memory() -> None:
    """An error of no known kind stays a bug."""
    assert message_of(RuntimeError("no")).code == 1
    assert message_of(RuntimeError("can't start new thread")).code == 2


def test_libraries_say_nothing_after_the_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """What a library writes while the interpreter ends, as a tracker does on a full disk, is not shown after an error's
    line."""
    code = (
        "import atexit, os\nfrom emosh_cli.command import _invoke\nfrom stages.errors import InputError\n"
        "def fails(run):\n    raise InputError('no')\n"
        "atexit.register(lambda: os.write(2, b'a traceback'))\n"
        "_invoke('x', fails, {'quiet': False, 'as_json': False, 'config': None, 'settings': [], 'dry_run': False,"
        " 'force': False}, {})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "emosh: no\n" in ended.stderr
    assert "a traceback" not in ended.stderr
    with NativeSilence():  # without an error, it is shown again
        pass
    os.write(2, b"shown")
    assert "shown" in capfd.readouterr().err
