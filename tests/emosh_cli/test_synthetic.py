"""`emosh curate --synthetic`: clips, motions and a manifest that encoding reads; a second run only adds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stages.artifacts.manifest import read_manifest
from stages.artifacts.motion import load_motion, save_motion
from stages.body.store import open_body
from tests.command_line import emosh, refused
from tests.motions import standing
from tests.people import dying

SMALL = ("--set", "frames=5", "--set", "width=64", "--set", "height=64", "--jobs", "1")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips drawn by one process, in a folder with nothing but what a killed run left half written. Read only."""
    out = tmp_path_factory.mktemp("synthetic") / "calm"
    out.mkdir()
    (out / ".person-000000.0badcafe-1-00.part.mp4").touch()
    assert emosh("curate", "--synthetic", "4", "-o", str(out), *SMALL).out == f"{out / 'manifest.jsonl'}\n"
    return out


def test_made_up_people_are_a_training_set_that_grows(calm: Path, tmp_path: Path) -> None:
    """N clips are N lines of a manifest with videos and motions; a further one joins them; nothing is drawn twice. A
    folder with nothing but what a killed run left half written is taken."""
    out = Path(shutil.copytree(calm, tmp_path / "clips"))
    first = (out / "person-000001.mp4").stat().st_mtime_ns
    motion = str(out / "person-000000.npz")
    again = emosh("curate", "--synthetic", "1", "--first", "4", "--motion", motion, "-o", str(out), *SMALL)
    assert again.code == 0, again.err
    clips = read_manifest(out / "manifest.jsonl")
    assert [clip.video.name for clip in clips] == [f"person-{n:06d}.mp4" for n in range(5)]
    for clip in clips:
        assert clip.motion is not None
        assert len(load_motion(clip.motion)) == clip.frames == 5
    assert (out / "person-000001.mp4").stat().st_mtime_ns == first


@pytest.mark.usefixtures("forked_pools")
def test_killed_workers_lose_and_double_nothing(calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker killed before its clip is whole, and one killed when it was: every clip is there once, as one process
    draws it."""
    wild = tmp_path / "wild"
    monkeypatch.setattr("stages.people.clips.draw_person", dying.dies_once)
    said = emosh("curate", "--synthetic", "4", "-o", str(wild), *SMALL, "--jobs", "2")
    assert said.code == 0, said.err
    assert (tmp_path / "wild-1").exists()
    assert (tmp_path / "wild-3").exists()
    names = sorted(path.name for path in calm.glob("[!.]*"))
    assert len(names) == 9
    assert sorted(path.name for path in wild.iterdir()) == names
    assert all((wild / name).read_bytes() == (calm / name).read_bytes() for name in names)


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    """No folder, a count of nothing, an unknown framing, a motion that is not there, is none, or is a photo's, another
    body: each is named, nothing is made."""
    out = ("-o", str(tmp_path / "clips"))
    assert "-o clips/" in refused("curate", "--synthetic", "2")
    assert "1 or more" in refused("curate", "--synthetic", "0", *out)
    assert "three_quarters" in refused("curate", "--synthetic", "1", *out, "--set", 'framing=["waist"]')
    assert "no.npz" in refused("curate", "--synthetic", "1", *out, "--motion", str(tmp_path / "no.npz"))
    (tmp_path / "text.npz").write_text("no motion")
    assert "text.npz" in refused("curate", "--synthetic", "1", *out, "--motion", str(tmp_path / "text.npz"))
    still = tmp_path / "still.npz"
    save_motion(still, standing(open_body(), 1))
    assert "the motion of a photo" in refused("curate", "--synthetic", "1", *out, "--motion", str(still))
    assert "ehm.npz" in refused("curate", "--synthetic", "1", *out, "--body", "ehm")
    assert not (tmp_path / "clips").exists()
