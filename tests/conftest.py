"""What tests share: annotations checked, folders of their own, and the open body, baked once into the user's cache."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing.util import Finalize
from pathlib import Path

import hypothesis
import hypothesis.configuration
import pytest

from tests.own_places import FOREIGN, Places
from tests.type_checking import check_stages

check_stages()

from stages.body.model import Body  # noqa: E402
from stages.body.store import body_path, home, open_body  # noqa: E402
from stages.errors import InputError  # noqa: E402

ROOT = Path(__file__).parents[1]
hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".pytest_cache" / "hypothesis")
hypothesis.settings.register_profile("repeatable", database=None, deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """A home, a temporary folder and a working folder for this run, and an environment that says so."""
    places = Places(tmp_path_factory.mktemp("own", numbered=False), Path(tempfile.mkdtemp(prefix="t-")), home())
    Finalize(None, shutil.rmtree, (places.temporary, True), exitpriority=-200)  # after multiprocessing's own in it
    for folder in (places.home, places.working, places.data / "bodies"):
        folder.mkdir(parents=True)
    with contextlib.suppress(InputError):  # where the user's folder cannot be written, this run bakes its own
        open_body("open")
        (places.data / "bodies" / body_path("open").name).symlink_to(body_path("open"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(FOREIGN)]:
            patch.delenv(name)
        for name, value in {
            "HOME": places.home,
            "EMOSH_HOME": places.data,
            "TMPDIR": places.temporary,
            "TORCHINDUCTOR_CACHE_DIR": places.home / ".torch",
            "COLUMNS": 100,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }.items():
            patch.setenv(name, str(value))
        patch.setattr(tempfile, "tempdir", None)
        patch.chdir(places.working)
        places.watch(tmp_path_factory.getbasetemp())
        yield places


@pytest.fixture(autouse=True)
def _writes_nowhere_else(places: Places) -> Iterator[None]:
    """Fail a test that leaves a file outside its own folder: in the home, the temporary or the working folder, or
    anywhere else."""
    before = places.listing()
    yield
    left = sorted(places.listing() - before) + places.foreign()
    assert not left, f"left outside tmp_path: {left[:5]}"


@pytest.fixture(scope="session")
def body() -> Body:
    """The open body."""
    return open_body("open")


@pytest.fixture
def forked_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools that would start fresh interpreters fork their workers instead, which import their jobs by name as well."""
    from tests.forked import SERVER

    monkeypatch.setattr(multiprocessing, "get_context", lambda method=None: SERVER)
