"""Files that name other files: manifests, caches, records and links from somebody else, tried on what reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.manifest import read_manifest
from stages.errors import InputError
from stages.evaluate.networks.installed import InstalledNetwork, installed
from stages.video.png import write_png
from tests.command_line import refused

LINE = {"video": "a.mp4", "motion": "a.npz", "frames": 9, "fps": "25", "first_frame": 0}


@pytest.mark.parametrize("key", ["video", "motion", "source"])
@pytest.mark.parametrize("path", ["/etc/passwd", "C:\\x.mp4", "a\0b", "", "a\x1b[31m.mp4"])
def test_a_manifest_names_files_from_its_own_folder(tmp_path: Path, key: str, path: str) -> None:
    """Absolute paths, control characters and empty names are refused by line and key, by `encode --manifest` too."""
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({**LINE, key: path}))
    with pytest.raises(InputError, match=f"line 1: '{key}'.*cannot name a file"):
        read_manifest(manifest)
    assert "cannot name a file" in refused("encode", "--manifest", manifest, "-o", tmp_path / "cache", "--model", "x")


def test_a_manifest_may_look_beside_its_folder(tmp_path: Path) -> None:
    """A path that goes up is read, as `curate` itself writes the videos that it rejected."""
    (tmp_path / "m.jsonl").write_text(json.dumps({**LINE, "source": "../videos/a.mp4"}))
    assert read_manifest(tmp_path / "m.jsonl")[0].source == tmp_path / "../videos/a.mp4"


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "a/../../b.safetensors", 5, None])
def test_a_training_cache_lists_its_own_files(tmp_path: Path, file: object) -> None:
    """An index that lists a clip of another folder is refused by `train`."""
    index = {"emosh_kind": "training-cache", "width": 64, "height": 64, "chunk_frames": 5, "overlap_frames": 1,
             "layout": 1, "clips": [[file, 1]], "skipped": 0, "fingerprint": "x"}  # fmt: skip
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "index.json").write_text(json.dumps(index))
    (tmp_path / "cache" / "common.safetensors").write_bytes(b"")
    said = refused("train", "--plan", tmp_path / "cache")
    assert "index.json" in said
    assert ("cannot name a file" if isinstance(file, str) else "is damaged") in said


def test_a_remembered_clip_names_features_beside_it(tmp_path: Path) -> None:
    """A record of `evaluate --table` whose features lie elsewhere is refused."""
    from emosh_cli.workers.clip_metrics import _load_record

    np.savez(tmp_path / "secret.npz", fid=np.zeros(3))
    (tmp_path / "cache").mkdir()
    place = tmp_path / "cache" / "x.json"
    place.write_text(json.dumps({"fingerprint": "f", "features": ["../secret.npz"]}))
    with pytest.raises(InputError, match="cannot name a file"):
        _load_record(place, "f")


@pytest.mark.parametrize("changed", [{"part": "../../x"}, {"form": "pickle"}, {"part": "i3d"}])
def test_an_installed_network_is_that_of_its_record(tmp_path: Path, changed: dict[str, str]) -> None:
    """A record that speaks of another part or form than its name is refused: its path is made of them."""
    from dataclasses import asdict

    (tmp_path / "judges").mkdir()
    record = asdict(InstalledNetwork("inception", "weights", "0", "0", "", "", True)) | changed
    (tmp_path / "judges" / "inception.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"inception\.json is damaged"):
        installed(tmp_path)


@pytest.mark.parametrize("inner", [True, False])
def test_a_work_folder_is_no_link(tmp_path: Path, motion_file: Path, inner: bool) -> None:
    """A work folder that is a link, or holds one, is refused: what lies behind it would be overwritten and removed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "ref.npz").write_text("precious")
    write_png(tmp_path / "photo.png", np.zeros((64, 64, 3), np.uint8))
    if inner:
        (tmp_path / "out.emosh").mkdir()
    (tmp_path / ("out.emosh/chunks" if inner else "out.emosh")).symlink_to(tmp_path / "elsewhere")
    said = refused("generate", "--ref", tmp_path / "photo.png", "--motion", motion_file, "--backend", "puppet", "-o",
                   tmp_path / "out.mp4")  # fmt: skip
    assert "is a link to" in said
    assert (tmp_path / "elsewhere" / "ref.npz").read_text() == "precious"
