"""`emosh curate --synthetic`: clips, motions and a manifest that encoding reads; a second run only adds."""

from __future__ import annotations

from pathlib import Path

from stages.artifacts.manifest import read_manifest
from stages.artifacts.motion import load_motion
from tests.command_line import emosh, refused

SMALL = ("--set", "frames=5", "--set", "width=64", "--set", "height=64", "--jobs", "1")


def test_made_up_people_are_a_training_set_that_grows(tmp_path: Path) -> None:
    """N clips are N lines of a manifest with videos and motions; further ones join them; nothing is drawn twice."""
    out = tmp_path / "clips"
    assert emosh("curate", "--synthetic", "2", "-o", str(out), *SMALL).out == f"{out / 'manifest.jsonl'}\n"
    first = (out / "person-000001.mp4").stat().st_mtime_ns
    motion = str(out / "person-000000.npz")
    again = emosh("curate", "--synthetic", "1", "--first", "2", "--motion", motion, "-o", str(out), *SMALL)
    assert again.code == 0, again.err
    clips = read_manifest(out / "manifest.jsonl")
    assert [clip.video.name for clip in clips] == [f"person-{n:06d}.mp4" for n in range(3)]
    for clip in clips:
        assert clip.motion is not None
        assert len(load_motion(clip.motion)) == clip.frames == 5
    assert (out / "person-000001.mp4").stat().st_mtime_ns == first


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    """No folder, a count of nothing, an unknown framing, a motion that is not there: each is named, nothing is made."""
    out = ("-o", str(tmp_path / "clips"))
    assert "-o clips/" in refused("curate", "--synthetic", "2")
    assert "1 or more" in refused("curate", "--synthetic", "0", *out)
    assert "three_quarters" in refused("curate", "--synthetic", "1", *out, "--set", 'framing=["waist"]')
    assert "no.npz" in refused("curate", "--synthetic", "1", *out, "--motion", str(tmp_path / "no.npz"))
    assert not (tmp_path / "clips").exists()
