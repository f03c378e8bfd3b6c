"""`emosh models`: list, add, fetch, prepare."""

from __future__ import annotations

from pathlib import Path

import pytest

from emosh_cli.workflows import model_files
from tests.command_line import emosh, refused
from tests.wan.tiny_hub import serving
from tests.wan.tiny_weights import animate_transformer, i2v_transformer, lora, pipeline


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of emosh."""
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def installed() -> set[str]:
    """Names that `models list` shows as installed, without what comes with emosh."""
    rows = emosh("models", "list", "--json").json["models"]
    return {row["name"] for row in rows if row["installed"]} - {"mediapipe"}


def test_the_list_says_licence_source_size_and_sha256(home: Path) -> None:
    """Every row has all of them, "unknown" where it is unknown; without rich the same words stand in plain text."""
    rows = emosh("models", "list", "--json").json["models"]
    assert {row["name"] for row in rows} >= {
        "open", "wan-animate", "wan-i2v", "wan-base", "wan-vae", "wan-clip", "wan-umt5", "wan-tokenizer",
        "wan-distill", "emosh-adapter",
    }  # fmt: skip
    for row in rows:
        assert all(row[key] for key in ("licence", "source", "size", "sha256", "place", "how")), row["name"]
        assert row["sha256"] == "unknown" or len(row["sha256"]) == 64
    text = emosh("models", "list").out
    assert text.count("sha256: ") == len(rows)
    assert installed() == set()


def test_a_pipeline_is_filed_prepared_and_listed(tmp_path: Path, home: Path) -> None:
    """`add` links every part, `list` shows them, `prepare` makes the base from the one that was added."""
    hub = pipeline(tmp_path / "hub")
    said = emosh("models", "add", hub)
    assert said.code == 0, said.err
    assert "prepare" in said.err.splitlines()[-1]
    assert said.out.strip() == str(home / "models/wan")
    used = home / "models/wan/transformer"
    assert used.resolve() == hub / "transformer"
    parts = {"wan-animate", "wan-vae", "wan-clip", "wan-clip-processor", "wan-umt5", "wan-tokenizer"}
    assert installed() == parts
    made = emosh("models", "prepare")
    assert made.code == 0, made.err
    assert made.out.strip() == str(home / "models/wan/transformer-bf16")
    assert installed() == parts | {"wan-base"}
    assert used.resolve() == Path(made.out.strip())
    assert "already exists" in refused("models", "prepare")


def test_a_copy_does_not_need_the_original(tmp_path: Path, home: Path) -> None:
    """--copy leaves the weights in the home when the folder they came from goes."""
    import shutil

    folder = i2v_transformer(tmp_path / "given")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert emosh("models", "add", folder, "--copy").code == 0
    shutil.rmtree(folder)
    place = home / "models/wan/transformer-i2v"
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert "still missing for --backend wan: wan-vae" in emosh("models", "add", lora(tmp_path / "a.safetensors")).err


def test_a_link_is_replaced_and_a_folder_kept(tmp_path: Path, home: Path) -> None:
    """Adding again points the link to the new folder; a copied folder is never deleted."""
    one, two = animate_transformer(tmp_path / "one"), animate_transformer(tmp_path / "two")
    place = home / "models/wan/transformer-animate"
    for folder in (one, two):
        assert emosh("models", "add", folder).code == 0
        assert place.resolve() == folder
    place.unlink()
    assert emosh("models", "add", one, "--copy").code == 0
    assert "move that folder away" in refused("models", "add", two)


def test_a_name_must_fit(tmp_path: Path, home: Path) -> None:
    """--name is checked against what the folder is, and against the list."""
    folder = i2v_transformer(tmp_path / "given")
    assert "is wan-i2v, not wan-vae" in refused("models", "add", folder, "--name", "wan-vae")
    assert "no model called 'wam' can be added" in refused("models", "add", folder, "--name", "wam")
    assert "is not an .npz file" in refused("models", "add", lora(tmp_path / "a.safetensors"), "--name", "smplx")
    assert "does not exist" in refused("models", "add", tmp_path / "absent")
    assert installed() == set()


def test_a_body_model_is_filed_by_name(tmp_path: Path, home: Path) -> None:
    """Each licensed file is checked and filed under its name; the rows are those that the baker reads."""
    import numpy as np

    from stages.body.licensed import LICENSED

    rows = {entry.name: model_files.installed_path(entry) for entry in model_files.MODEL_FILES}
    assert {row.name: home / "licensed" / row.file for row in LICENSED}.items() <= rows.items()
    assert tuple(row.name for row in LICENSED) == model_files.LICENSED_NAMES
    np.savez(tmp_path / "other.npz", trans=np.zeros(3))
    assert "array 'v_template' is missing" in refused("models", "add", "smplx", tmp_path / "other.npz")
    np.save(tmp_path / "ids.npy", np.arange(6))
    said = emosh("models", "add", "flame-ids", tmp_path / "ids.npy")
    assert said.code == 0, said.err
    assert "still missing for --body ehm: smplx, flame" in said.err
    assert installed() == {"flame-ids"}
    assert "needs smplx, flame, missing in" in refused("models", "bake", "ehm")


def test_fetch_says_size_and_licence_first(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fetch wan` states each part's bytes, licence and source, then downloads what is not there yet."""
    hub = pipeline(tmp_path / "hub")
    assert emosh("models", "add", hub / "transformer").code == 0
    with serving(hub) as endpoint:
        for module in ("constants", "file_download"):
            template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
            monkeypatch.setattr(f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        said = emosh("models", "fetch", "wan", "--json")
    assert said.code == 0, said.err
    notes = [event["text"] for event in said.events if event["event"] == "note"]
    assert notes[0].startswith("wan-vae: 0.00 GB in 2 files, licence Apache-2.0, from Wan-AI/Wan2.1-T2V-1.3B")
    assert "downloading" in notes[-1]
    assert installed() == set(names_of("wan"))
    assert "installed already" in refused("models", "fetch", "wan")


def names_of(group: str) -> tuple[str, ...]:
    """The parts of a group."""
    from stages.wan.weights import GROUPS

    return GROUPS[group]


def test_the_built_in_detector_is_listed_and_not_added(home: Path, tmp_path: Path) -> None:
    """Its row has the licence, the source, and the sha256 of every file; it cannot be added."""
    from stages.networks.files import FILES

    row = next(row for row in emosh("models", "list", "--json").json["models"] if row["name"] == "mediapipe")
    assert row["installed"]
    assert row["licence"] == "Apache-2.0"
    assert all(each.sha256 in row["source"] for each in FILES)
    assert "no model called 'mediapipe' can be added" in refused("models", "add", "mediapipe", tmp_path)


def test_fetch_refuses_what_it_may_not_download(home: Path) -> None:
    """Licensed bodies and our unpublished adapter say where they come from; an unknown name lists the known ones."""
    assert "smpl-x.is.tue.mpg.de" in refused("models", "fetch", "smplx")
    assert "emosh train" in refused("models", "fetch", "emosh-adapter")
    assert "there are: wan-animate" in refused("models", "fetch", "wam")
    assert not home.exists()


def test_nothing_to_prepare(home: Path) -> None:
    """Without a transformer `prepare` says how to get one."""
    assert "emosh models add FOLDER" in refused("models", "prepare")


def test_the_model_table_is_one_table() -> None:
    """The command line's rows carry the stages' names, each once."""
    names = [entry.name for entry in model_files.MODEL_FILES]
    assert len(names) == len(set(names))
