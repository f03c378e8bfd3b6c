"""`emosh evaluate --table`: two methods over three clips, with and without networks, stopped and continued."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.video.sink import VideoSink
from tests.command_line import emosh, refused
from tests.emosh_cli.dying import dies
from tests.evaluate.tiny_networks import TinyI3d, TinyInception, TinyVgg16, scripted

QUICK = ("--set", "evaluate.size=32", "--jobs", "1")
RUNS = """
[sets.toy]
truth = "real"
[methods.near]
preset = "ours"
toy = "near"
[methods.far]
toy = "far"
[published."near, elsewhere"]
toy = { psnr = 21.5 }
"""


def write(path: Path, frames: list[np.ndarray], fps: int = 25) -> None:
    """A lossless clip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoSink(path, frames[0].shape[1], frames[0].shape[0], Fraction(fps), lossless=True) as sink:
        for frame in frames:
            sink.write(frame)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips of noise; `near` is off by 4 levels of 255, `far` by 40, and has a clip that is not in the truth."""
    for number in range(3):
        random = np.random.default_rng(number)
        frames = [random.integers(50, 200, (32, 32, 3), dtype=np.uint8) for _ in range(12)]
        write(tmp_path / "real" / f"{number}.mp4", frames)
        for name, off in (("near", 4), ("far", 40)):
            write(tmp_path / name / f"{number}.mp4", [frame + np.uint8(off) for frame in frames])
    write(tmp_path / "far" / "more.mp4", [np.zeros((32, 32, 3), np.uint8)] * 2)
    (tmp_path / "comparison.toml").write_text(RUNS)
    return tmp_path


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with tiny LPIPS, Inception and I3D."""
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path / "home"))
    for name, module in (("lpips", TinyVgg16()), ("inception", TinyInception()), ("i3d", TinyI3d())):
        said = emosh("models", "add", name, scripted(module, tmp_path / f"{name}.pt"), "--trust")
        assert said.code == 0, said.err


def test_tables_with_every_network(folder: Path, networks: None) -> None:
    """The closer method is bold in every column; the report holds pooled FID, why FVD is refused, networks, recipe and
    the clip that was left out; the texts hold the same."""
    words = ("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK)
    said = emosh(*words, "--set", "evaluate.fvd_frames=10")
    assert said.code == 0, said.err
    report = json.loads((folder / "t.json").read_text())
    tables = {each["table"]: each for each in report["tables"]}
    assert set(tables) == {1, 7}
    assert [column["figure"] for column in tables[1]["columns"]] == ["psnr", "ssim", "l1", "lpips_vgg"]
    near, far, published = tables[1]["rows"]
    assert all(cell["best"] for cell in near["cells"])
    assert not any(cell["best"] for cell in far["cells"])
    assert near["cells"][0]["value"] == pytest.approx(-20 * np.log10(4 / 255), abs=1e-4)
    assert near["cells"][0]["clips"] == 3
    assert (published["kind"], published["cells"][0]["value"]) == ("published", 21.5)
    assert report["pooled"]["near"]["toy"]["fid"]["rows"] == [36, 36]
    assert report["pooled"]["near"]["toy"]["fid"]["value"] < report["pooled"]["far"]["toy"]["fid"]["value"]
    assert "3 clips are too few for FVD" in report["left_out"]["fvd"]
    assert report["clips_left_out"] == {"toy": {"more": "not in the truth, near"}}
    assert set(report["networks"]) - {"face_distance"} == {"lpips_vgg", "fid", "fvd"}
    assert report["protocol"]["resize_kernel"]
    assert "colour: distance from the truth" in (folder / "t.svg").read_text()
    text = (folder / "t.md").read_text()
    assert text in said.err
    assert "| near | **36.09**" in text
    assert "\\textbf{36.09}" in (folder / "t.tex").read_text()
    assert len(list(csv.DictReader((folder / "t.csv").read_text().splitlines()))) == 8 + 1 + 2


def test_fvd_where_clips_are_enough(folder: Path, networks: None) -> None:
    """With three clips asked for, FVD of flat shifts is their squared distance in the tiny network's features."""
    said = emosh("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK,
                 "--set", "evaluate.fvd_least_clips=3", "--set", "evaluate.fvd_frames=10")  # fmt: skip
    assert said.code == 0, said.err
    pooled = json.loads((folder / "t.json").read_text())["pooled"]
    assert pooled["near"]["toy"]["fvd"]["value"] == pytest.approx(3 * (4 / 127.5) ** 2, rel=0.05)
    assert pooled["far"]["toy"]["fvd"]["clips"] == 3


def test_a_rerun_measures_only_what_changed(folder: Path) -> None:
    """All remembered; one clip changed: one measured; --force: none remembered; the figures are the same."""

    def summary(*more: object) -> str:
        said = emosh("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK, *more)
        assert said.code == 0, said.err
        return said.err

    assert "6 clips measured, 0 of them remembered" in summary()
    before = json.loads((folder / "t.json").read_text())["tables"]
    assert "6 clips measured, 6 of them remembered" in summary()
    assert "6 clips measured, 0 of them remembered" in summary("--force")
    assert json.loads((folder / "t.json").read_text())["tables"] == before
    write(folder / "near" / "1.mp4", [np.full((32, 32, 3), 9, np.uint8)] * 12)
    assert "6 clips measured, 5 of them remembered" in summary()


def test_two_processes_give_the_same_tables(folder: Path) -> None:
    """On several cores, in whatever order clips end, the tables are those of one."""
    for jobs in (1, 2):
        said = emosh("evaluate", "--table", folder / "comparison.toml", "-o", folder / f"{jobs}.json", "--jobs", jobs,
                     "--set", "evaluate.size=32", "-q")  # fmt: skip
        assert said.code == 0, said.err
        assert said.out == f"{folder / f'{jobs}.json'}\n"
    one, two = (json.loads((folder / f"{jobs}.json").read_text()) for jobs in (1, 2))
    assert one["tables"] == two["tables"]
    assert [each["clip"] for each in one["clips"]] == [each["clip"] for each in two["clips"]]


def test_a_clip_that_cannot_be_compared_is_named_and_the_others_are_kept(folder: Path) -> None:
    """One result shorter than its truth ends the run in one line that names method, set and clip; after it is mended
    the others are remembered."""
    whole = (folder / "far" / "2.mp4").read_bytes()
    write(folder / "far" / "2.mp4", [np.zeros((32, 32, 3), np.uint8)] * 3)
    words = ("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK)
    line = refused(*words)
    assert "far, set toy, clip 2" in line
    assert "ends after 3 frames" in line
    assert not (folder / "t.json").exists()
    (folder / "far" / "2.mp4").write_bytes(whole)
    assert "5 of them remembered" in emosh(*words).err


def test_a_baselines_own_size_is_held_to(folder: Path) -> None:
    """A file that is not of the size that the preset's code writes is refused with that size and the preset's trap."""
    (folder / "comparison.toml").write_text(RUNS.replace('preset = "ours"', 'preset = "moore-aa"'))
    line = refused("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK)
    assert "32x32, its preset says 512x784" in line
    assert "side by side" in line
    assert "size = [32, 32]" in line


def test_half_the_rate_is_paired_by_stride(folder: Path) -> None:
    """A method that draws every second frame is compared with every second frame of the truth."""
    from stages.video.source import read_frames

    for number in range(3):
        frames = [frame.rgb for frame in read_frames(folder / "real" / f"{number}.mp4")][::2]
        write(folder / "near" / f"{number}.mp4", frames, 12)
    (folder / "comparison.toml").write_text(RUNS.replace('preset = "ours"', "stride = 2"))
    said = emosh("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK)
    assert said.code == 0, said.err
    report = json.loads((folder / "t.json").read_text())
    assert report["tables"][0]["rows"][0]["cells"][0]["value"] == 100
    assert [each["frames"] for each in report["clips"]] == [6, 6, 6, 12, 12, 12]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--table", "comparison.toml", "--truth", "real/0.mp4"), "the file of --table names all videos"),
        (("--table", "none.toml"), "none.toml does not exist"),
        (("--table", "real/0.mp4"), "is damaged or not a text file"),
        (("--table", "comparison.toml", "-o", "t.csv"), "a report is written as .json"),
        (("--table", "comparison.toml", "--set", "evaluate.protocol=disko"), "choose one of emosh, disco"),
        ((), "--table comparison.toml"),
    ],
)
def test_bad_requests(folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: str) -> None:
    """One line and exit 2."""
    monkeypatch.chdir(folder)
    assert expected in refused("evaluate", *words)


def test_somebodys_markdown_is_not_overwritten(folder: Path) -> None:
    """A t.md that lies there without a report of ours is refused; a dry run lists the clips and writes nothing."""
    (folder / "t.md").write_text("mine")
    words = ("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK)
    assert "t.md exists and emosh did not write it" in refused(*words)
    (folder / "t.md").unlink()
    said = emosh(*words, "--dry-run")
    assert said.out.count("measure ") == 6
    assert not (folder / "t.json").exists()


def test_the_disco_protocol_over_clips(folder: Path, networks: None) -> None:
    """DisCo's recipe takes FID as pytorch-fid resizes, LPIPS fed [0,1], has no FVD, and prints its tiny L1."""
    said = emosh("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK,
                 "--set", "evaluate.protocol=disco")  # fmt: skip
    assert said.code == 0, said.err
    report = json.loads((folder / "t.json").read_text())
    assert "palette" in report["left_out"]["fvd"]
    assert "fvd" not in report["pooled"]["near"]["toy"]
    assert report["protocol"]["resize_kernel"].startswith("cv2 INTER_LINEAR")
    figures = report["clips"][0]["figures"]
    assert figures["l1"] == pytest.approx(4 / 32**2)
    assert figures["psnr_uint8"] == pytest.approx(20 * np.log10(255 / 4), abs=1e-4)


def test_a_process_that_is_killed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies ends the run in one line with what to do; what others measured is kept."""
    monkeypatch.setattr("emosh_cli.workers.clip_metrics.measure_quietly", dies)
    line = refused("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK, "--jobs", 2)
    assert "--jobs 1" in line
    assert "set toy, clip" in line


def test_the_first_frame_does_not_hide_the_others(folder: Path) -> None:
    """A result whose first frame is the truth's own: the mean with it is lifted, the line without it is not."""
    from stages.video.source import read_frames

    for number in range(3):
        real, own = ([each.rgb for each in read_frames(folder / name / f"{number}.mp4")] for name in ("real", "near"))
        write(folder / "near" / f"{number}.mp4", [real[0], *own[1:]])
    assert emosh("evaluate", "--table", folder / "comparison.toml", "-o", folder / "t.json", *QUICK).code == 0
    text = (folder / "t.md").read_text()
    assert f"| near | **{(100 + 11 * 36.0896) / 12:.2f}**" in text
    assert "without frame 0, near on toy: PSNR 36.09" in text
