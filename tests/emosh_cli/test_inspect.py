"""`emosh inspect` on everything that emosh writes, and on what it does not."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.npz import read_npz, write_npz
from stages.body.store import body_path
from tests.command_line import emosh
from tests.emosh_cli.conftest import FPS, FRAMES, Clip


def inspected(path: Path) -> dict:
    """The object that inspect prints, after checking that the table for people prints too."""
    said = emosh("inspect", path)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{path}: ")
    return emosh("inspect", path, "--json").json


def test_a_motion(clip: Clip) -> None:
    """A motion shows schema, shapes, meanings, validity shares and provenance."""
    shown = inspected(clip.work / "drive.npz")
    rows = {name: (shape, kind, meaning) for name, shape, kind, meaning in shown["rows"]}
    assert shown["kind"] == "motion"
    assert rows["poses"][:2] == (f"{FRAMES}x165", "float32")
    assert all(meaning for _, _, meaning in rows.values())
    assert shown["figures"]["valid_face"] == 1.0
    assert shown["provenance"]["stage"] == "track"


def test_the_videos(clip: Clip) -> None:
    """The result says that it is synthetic and who drew it; the condition map names its colours."""
    result = inspected(clip.result)
    assert result["kind"] == "video"
    assert result["figures"]["fps"] == str(FPS)
    assert result["figures"]["has_audio"]
    assert result["provenance"]["notes"] | {"backend": "puppet", "synthetic": True} == result["provenance"]["notes"]
    condition = inspected(clip.work / "cond.mp4")
    assert condition["provenance"]["notes"]["colours"] == "hybrid-1"


def test_a_photo(clip: Clip) -> None:
    """A photo shows its size, and that emosh did not write it."""
    shown = inspected(clip.photo)
    assert (shown["kind"], shown["figures"]["width"], shown["provenance"]) == ("photo", 320, None)


def test_a_body() -> None:
    """The body file is shown with the meaning of each array."""
    shown = inspected(body_path("open"))
    assert shown["kind"] == "body"
    assert shown["problem"] is None
    assert {name: meaning for name, _, _, meaning in shown["rows"]}["lmk_face_idx"]


def test_an_export(clip: Clip, tmp_path: Path) -> None:
    """An AMASS export is recognised and says what it was made from."""
    out = tmp_path / "amass.npz"
    assert emosh("export", clip.work / "drive.npz", "-o", out).code == 0
    shown = inspected(out)
    assert (shown["kind"], shown["provenance"]["stage"]) == ("amass", "export")


def test_a_report(clip: Clip, tmp_path: Path) -> None:
    """A report shows its sections with their meaning; one with a section torn out is a problem and exit code 2."""
    out = tmp_path / "report.json"
    said = emosh("evaluate", clip.result, "--truth", clip.result, "-o", out)
    assert said.code == 0, said.err
    shown = inspected(out)
    assert shown["kind"] == "report"
    assert shown["figures"]["paired.psnr.mean"] == 100
    assert {name: meaning for name, _, _, meaning in shown["rows"]}["paired"]
    report = json.loads(out.read_text())
    del report["paired"]["protocol"]
    out.write_text(json.dumps(report))
    said = emosh("inspect", out)
    assert said.code == 2
    assert "paired.protocol" in said.error


def test_a_safetensors_file(tmp_path: Path) -> None:
    """safetensors are described from the header alone; one cut short is a problem."""
    from safetensors.numpy import save_file

    path = tmp_path / "latents.safetensors"
    save_file({"latents": np.zeros((16, 21, 8), np.float32)}, path, {"layout": "c t s"})
    shown = inspected(path)
    assert shown["rows"] == [["latents", "16x21x8", "F32", ""]]
    assert shown["figures"] == {"layout": "c t s"}
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut short" in emosh("inspect", path).error
    path.write_bytes(struct.pack("<Q", 1 << 60))
    assert "damaged" in emosh("inspect", path).error


def test_a_broken_motion_names_what_is_wrong(motion_file: Path) -> None:
    """A motion with a missing array is shown as far as it goes, then refused by array name."""
    arrays = read_npz(motion_file)
    del arrays["emosh_valid"]
    write_npz(motion_file, arrays)
    said = emosh("inspect", motion_file)
    assert said.code == 2
    assert "poses" in said.out
    assert "'emosh_valid' is missing" in said.error


def test_foreign_files(tmp_path: Path) -> None:
    """Any .npz or JSON can be looked at; what is neither is one line."""
    np.savez(tmp_path / "theirs.npz", numbers=np.arange(3))
    assert inspected(tmp_path / "theirs.npz")["kind"] == "npz"
    (tmp_path / "theirs.json").write_text('{"provenance": "none of ours", "a": 1}')
    assert inspected(tmp_path / "theirs.json")["kind"] == "json"
    (tmp_path / "theirs.txt").write_text("words")
    assert emosh("inspect", tmp_path / "theirs.txt").code == 2


def test_several_files_at_once(clip: Clip, motion_file: Path) -> None:
    """Several files give one JSON object a line."""
    lines = emosh("inspect", motion_file, clip.result, "--json").out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["motion", "video"]


def test_it_needs_no_torch(motion_file: Path) -> None:
    """Inspecting a motion in a fresh process does not import torch."""
    code = (
        "import sys; from emosh_cli.app import main\n"
        f"sys.argv = ['emosh', 'inspect', {str(motion_file)!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "print([name for name in ('torch', 'mediapipe', 'cv2', 'numba', 'scipy') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["none.npz", "none.mp4", "none.json"])
def test_an_absent_file(name: str) -> None:
    """A file that is not there is one line."""
    assert "does not exist" in emosh("inspect", name).error
