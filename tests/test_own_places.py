"""That a test which leaves something elsewhere would be seen."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from stages.body.store import home
from tests.own_places import Places


def test_what_this_process_writes_elsewhere_is_seen(places: Places, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file, a folder and a renamed file outside the run's folders are told, each once; what is gone again is not."""
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp().parent) as name:
        elsewhere = Path(name)
        (elsewhere / "file").write_text("")
        (elsewhere / "file").rename(elsewhere / "renamed")
        (elsewhere / "folder").mkdir()
        (elsewhere / "gone").write_text("")
        (elsewhere / "gone").unlink()
        assert places.foreign() == [name, f"{name}/folder", f"{name}/renamed"]
        assert places.foreign() == []


def test_what_a_subprocess_leaves_is_seen(places: Places) -> None:
    """The home, the temporary and the working folder of a subprocess are the run's, and a file in them is seen."""
    before = places.listing()
    subprocess.run('touch "$HOME/a" "$TMPDIR/b" c; rm -f "$EMOSH_HOME/none"', shell=True, check=True)
    left = places.listing() - before
    assert left == {str(places.home / "a"), str(places.temporary / "b"), str(places.working / "c")}
    for path in left:
        os.unlink(path)


def test_nothing_but_the_body_is_installed(places: Places) -> None:
    """Whatever the user has installed, tests find an emosh with the open body and nothing else."""
    assert home() == places.data
    assert {path.name for path in places.data.iterdir()} <= {"bodies", "cache"}
    assert all(path.name.startswith("open-") for path in (places.data / "bodies").iterdir())


def test_no_test_names_a_file_in_the_systems_temporary_folder() -> None:
    """A fixed name in a shell command would not be seen, and may be taken: none is in the tests' text."""
    folder = "/" + "tmp"
    named = [
        f"{path.name}: {line.strip()}"
        for path in sorted(Path(__file__).parent.rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(rf"(?<![\w.]){folder}/\w", line)
    ]
    assert named == []
