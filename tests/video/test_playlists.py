"""A file that is a list of other files is no video: tried with a private video beside it and elsewhere."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.errors import InputError
from stages.video.metadata import read_metadata
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames
from tests.command_line import refused

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A video that is nobody else's business."""
    path = tmp_path / "private.mp4"
    with VideoSink(path, 64, 64, Fraction(10)) as sink:
        for _ in range(5):
            sink.write(np.zeros((64, 64, 3), np.uint8))
    return path


@pytest.mark.parametrize(("name", "text"), [("a.m3u8", HLS), ("a.mp4", CONCAT), ("a.mov", HLS)])
def test_it_is_refused(private: Path, tmp_path: Path, name: str, text: str) -> None:
    """Neither its pictures, nor its tags, nor its sound are read, by whatever reader."""
    from stages.video.container import opened_container

    def opening(path: Path) -> None:
        with opened_container(path, "a video"):
            pass

    playlist = tmp_path / "sent" / name
    playlist.parent.mkdir()
    shutil.copy(private, playlist.parent)
    playlist.write_text(text.format(private.name if text == CONCAT else private))
    for reader in (probe, read_metadata, lambda path: list(read_frames(path)), opening):
        with pytest.raises(InputError, match=r"playlist|video|Invalid data"):
            reader(playlist)
    refused("track", playlist, "-o", tmp_path / "out.npz")


def test_a_file_called_like_an_address_is_a_file(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`concat:a|b` and `subfile:` are names of files here, as any other."""
    monkeypatch.chdir(private.parent)
    for name in ("concat:private.mp4|private.mp4", "pipe:0", "http:x.mp4", "a%03d.mp4"):
        shutil.copy(private, name)
        assert probe(Path(name)).frame_count == 5
