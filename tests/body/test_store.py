"""Where bodies are kept and what happens when one is not there or not whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.npz import read_npz, write_npz
from stages.body import store
from stages.body.bake_open import BAKE_VERSION
from stages.body.model import Body
from stages.errors import InputError


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_bake(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Instead of baking, note where the body was wanted and write something small there."""
    asked: list[Path] = []

    def note(path: Path, progress: object) -> None:
        asked.append(path)
        write_npz(path, {"something": np.zeros(1)})

    monkeypatch.setattr(store, "bake_open", note)
    return asked


def test_home_follows_the_environment(empty_home: Path) -> None:
    """EMOSH_HOME decides where bodies are kept."""
    assert store.body_path("open").parent.parent == empty_home


def test_file_name_carries_the_bake_version(empty_home: Path, no_bake: list[Path]) -> None:
    """A body made by another bake version is not used: this version's is made beside it."""
    (empty_home / "bodies").mkdir()
    (empty_home / "bodies" / f"open-{BAKE_VERSION - 1}.npz").write_bytes(b"older")
    with pytest.raises(InputError, match="is missing"):
        store.open_body("open")
    assert no_bake == [empty_home / "bodies" / f"open-{BAKE_VERSION}.npz"]


def test_baked_once(empty_home: Path, no_bake: list[Path]) -> None:
    """A second opening finds the file of the first."""
    for _ in range(2):
        with pytest.raises(InputError):
            store.open_body("open")
    assert len(no_bake) == 1


def test_a_cut_file_is_refused(body: Body, empty_home: Path) -> None:
    """A body file that lost its end is refused with its name and the remedy."""
    path = store.body_path("open")
    path.parent.mkdir()
    path.write_bytes(body.path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"open-\d+\.npz.*damaged.*delete it"):
        store.open_body("open")


def test_a_flipped_byte_is_refused(body: Body, empty_home: Path) -> None:
    """One wrong byte in the middle of the file is noticed."""
    path = store.body_path("open")
    path.parent.mkdir()
    data = bytearray(body.path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        store.open_body("open")


def test_a_missing_array_is_named(body: Body, tmp_path: Path) -> None:
    """A body file without weights says so."""
    arrays = read_npz(body.path)
    del arrays["weights"]
    write_npz(tmp_path / "thin.npz", arrays)
    with pytest.raises(InputError, match="'weights' is missing"):
        store.open_body(str(tmp_path / "thin.npz"))


def test_absent_ehm_says_what_to_do(empty_home: Path) -> None:
    """The licensed body is never fetched: the error names the files and the place."""
    with pytest.raises(InputError, match=r"ehm.npz: add your own files with emosh models add smplx FILE"):
        store.open_body("ehm")


def test_an_unknown_name_lists_the_choices(empty_home: Path) -> None:
    """A misspelt body names those there are."""
    with pytest.raises(InputError, match="no body 'opne'; choose open, ehm"):
        store.open_body("opne")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_home_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder that cannot be made says so and names EMOSH_HOME."""
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path / "locked" / "home"))
    with pytest.raises(InputError, match="EMOSH_HOME"):
        store.open_body("open")
