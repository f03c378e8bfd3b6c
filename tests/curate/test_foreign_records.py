"""A curated folder from somebody else removes and reads nothing outside itself: tried with `emosh curate`."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.video.sink import VideoSink
from tests.command_line import refused

WINDOW = {"first": 0, "frames": 10, "pts": 0, "checksum": 0}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with one small video."""
    (tmp_path / "videos").mkdir()
    with VideoSink(tmp_path / "videos" / "a.mp4", 64, 48, Fraction(25)) as sink:
        for _ in range(9):
            sink.write(np.zeros((48, 64, 3), np.uint8))
    return tmp_path / "videos"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A curated folder as a stranger might send it, and beside it a file that is not theirs."""
    from stages.artifacts.provenance import Provenance

    folder = tmp_path / "clips"
    (folder / ".emosh" / "videos").mkdir(parents=True)
    curation = {"kind": "curation", "schema": 1, "provenance": json.loads(Provenance("curate").to_json())}
    (folder / "curation.json").write_text(json.dumps(curation))
    for name in ("victim.json", "victim-0001.mp4", "victim-0001.npz"):
        (tmp_path / name).write_text("precious")
    return folder


def record(clips: Path, place: str, name: Any, path: Any = "a.mp4") -> None:
    """A video's record, with one window."""
    source = {"path": path, "size": 1, "mtime_ns": 1, "sha256": "0" * 64}
    values = {"name": name, "source": source, "frames": 10, "windows": [WINDOW], "error": None}
    (clips / ".emosh" / "videos" / place).write_text(json.dumps(values))


def untouched(folder: Path) -> bool:
    """Whether the files outside are all there."""
    return all((folder / name).is_file() for name in ("victim.json", "victim-0001.mp4", "victim-0001.npz"))


@pytest.mark.parametrize("name", ["../victim", "../../../victim", "other"])
def test_a_record_removes_nothing_elsewhere(videos: Path, clips: Path, tmp_path: Path, name: str) -> None:
    """A record that names another place is refused by its file's name, before anything is removed."""
    record(clips, "a.json", name)
    before = sorted(clips.rglob("*"))
    assert "a.json is the record of" in refused("curate", videos, "-o", clips, "--force")
    assert untouched(tmp_path)
    assert sorted(clips.rglob("*")) == before


def test_a_record_with_an_absolute_name(videos: Path, clips: Path, tmp_path: Path) -> None:
    """An absolute name is refused too."""
    record(clips, "a.json", str(tmp_path / "victim"))
    refused("curate", videos, "-o", clips, "--force")
    assert untouched(tmp_path)


@pytest.mark.parametrize("path", ["../private.mp4", "/etc/passwd", "a\0b"])
def test_a_record_brings_no_file_from_elsewhere(videos: Path, clips: Path, tmp_path: Path, path: Any) -> None:
    """A video outside the folder of videos, named by a record, is not looked through: its clips would be copies."""
    shutil.copy(videos / "a.mp4", tmp_path / "private.mp4")
    record(clips, "a.json", "a", path)
    assert "cannot name a file here" in refused("curate", videos, "-o", clips, "--force")


def test_a_link_is_not_followed_out(videos: Path, clips: Path, tmp_path: Path) -> None:
    """A folder of clips that is a link to elsewhere is refused: its clips would be removed there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a-0001.mp4").write_text("precious")
    (clips / "sub").symlink_to(tmp_path / "elsewhere")
    (clips / ".emosh" / "videos" / "sub").mkdir()
    record(clips, "sub/a.json", "sub/a", "sub/a.mp4")
    assert "leads out" in refused("curate", videos, "-o", clips, "--force")
    assert (tmp_path / "elsewhere" / "a-0001.mp4").read_text() == "precious"


def test_the_records_own_folder_is_no_link(videos: Path, clips: Path, tmp_path: Path) -> None:
    """`.emosh` as a link to elsewhere is refused, with what lies there left alone."""
    (tmp_path / "elsewhere" / "work").mkdir(parents=True)
    (tmp_path / "elsewhere" / "work" / "thesis.txt").write_text("precious")
    (clips / ".emosh" / "videos").rmdir()
    (clips / ".emosh").rmdir()
    (clips / ".emosh").symlink_to(tmp_path / "elsewhere")
    assert "leads out" in refused("curate", videos, "-o", clips, "--force")
    assert (tmp_path / "elsewhere" / "work" / "thesis.txt").is_file()


def test_a_video_with_a_name_that_cannot_be_kept(videos: Path, tmp_path: Path) -> None:
    """A video whose own name holds a line break is refused in one line, before anything is written."""
    (videos / "a.mp4").rename(videos / "a\nb.mp4")
    assert "cannot name a file here" in refused("curate", videos, "-o", tmp_path / "new")
    assert not (tmp_path / "new").exists()
