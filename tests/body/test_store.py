"""Where bodies are stored, and the errors for missing and damaged ones."""

from __future__ import annotations

import os
import tempfile
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
    """Instead of baking, record the path and write a small file there."""
    paths: list[Path] = []

    def note(path: Path, progress: object, why: str) -> None:
        paths.append(path)
        write_npz(path, {"something": np.zeros(1)})

    monkeypatch.setattr(store, "bake_open", note)
    return paths


def test_home_follows_the_environment(empty_home: Path) -> None:
    """EMOSH_HOME sets the folder of the bodies."""
    assert store.body_path("open").parent.parent == empty_home


def test_the_file_name_contains_the_bake_version(empty_home: Path, no_bake: list[Path]) -> None:
    """A body of another bake version is not used; a new one is made beside it."""
    (empty_home / "bodies").mkdir()
    (empty_home / "bodies" / f"open-{BAKE_VERSION - 1}.npz").write_bytes(b"older")
    with pytest.raises(InputError, match="is missing"):
        store.open_body("open")
    assert no_bake == [empty_home / "bodies" / f"open-{BAKE_VERSION}.npz"]


@pytest.fixture
def copied(body: Body, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of baking, note why and copy the body."""
    told: list[str] = []

    def copy(path: Path, progress: object, why: str) -> None:
        told.append(why)
        path.write_bytes(body.path.read_bytes())

    monkeypatch.setattr(store, "bake_open", copy)
    return told


def test_baked_once(empty_home: Path, copied: list[str]) -> None:
    """The body is baked on the first opening only."""
    for _ in range(2):
        assert store.open_body("open").path.parent == empty_home / "bodies"
    assert copied == [""]


@pytest.mark.parametrize("damage", ["cut", "flipped", "another file"])
def test_a_damaged_body_is_baked_again(body: Body, empty_home: Path, copied: list[str], damage: str) -> None:
    """A body file that is cut short, has one wrong byte or is something else is made again, and that is said."""
    path = store.body_path("open")
    path.parent.mkdir()
    data = bytearray(body.path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes({"cut": data[:100_000], "flipped": data, "another file": b"PK"}[damage])
    assert store.open_body("open").sha256 == body.sha256
    assert copied == [f" again, because {path} is damaged"]


def test_without_a_home_the_body_is_baked_into_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: list[str]
) -> None:
    """Once, into a folder that only the user can read; a folder there that others can write is not used."""
    monkeypatch.delenv("EMOSH_HOME")
    monkeypatch.setattr(store, "home", lambda: Path("/proc/nonexistent/emosh"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = tmp_path / f"emosh-home-{os.geteuid()}"
    for _ in range(2):
        assert store.open_body("open").path.parent == place / "bodies"
    assert copied == [f" in {place / 'bodies'}, because /proc/nonexistent/emosh/bodies cannot be written"]
    assert place.stat().st_mode & 0o077 == 0
    place.chmod(0o777)
    with pytest.raises(InputError, match="EMOSH_HOME"):
        store.open_body("open")


def test_a_missing_array_is_named(body: Body, tmp_path: Path) -> None:
    """The error for a body file without weights names the array."""
    arrays = read_npz(body.path)
    del arrays["weights"]
    write_npz(tmp_path / "thin.npz", arrays)
    with pytest.raises(InputError, match="'weights' is missing"):
        store.open_body(str(tmp_path / "thin.npz"))


def test_a_missing_ehm_names_the_commands(empty_home: Path) -> None:
    """The licensed body is never downloaded: the error names the commands and the path."""
    with pytest.raises(InputError, match=r"ehm.npz: add your own files with emosh models add smplx FILE"):
        store.open_body("ehm")


def test_an_unknown_name_lists_the_choices(empty_home: Path) -> None:
    """The error for a misspelt body lists the known names."""
    with pytest.raises(InputError, match="no body is called 'opne'; choose open or ehm"):
        store.open_body("opne")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_home_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a data folder that cannot be created names EMOSH_HOME."""
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path / "locked" / "home"))
    with pytest.raises(InputError, match="EMOSH_HOME"):
        store.open_body("open")
