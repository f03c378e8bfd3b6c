"""`emosh evaluate ablate`: every switch drawn and measured, by the puppet and by the diffusion model in miniature."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from emosh_cli.workflows.variants import FULL, VARIANTS, all_gates, variants_for
from stages.artifacts.motion import load_motion
from stages.detect.gates import GATES
from stages.video.metadata import read_metadata
from stages.video.source import probe, read_frames
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import FRAMES, SMALL, Clip
from tests.emosh_cli.test_wan import QUICK as WAN
from tests.wan import tiny

JUDGED = ("--set", "evaluate.size=64", "--set", "evaluate.shape_frames=0", "--jobs", "1")


@pytest.fixture(scope="module")
def puppets(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip's person driving herself, each switch off in turn; the folder that holds pairs/ and a.json."""
    folder = tmp_path_factory.mktemp("ablate")
    (folder / "pairs" / "drive").mkdir(parents=True)
    shutil.copy(clip.drive, folder / "pairs" / "drive" / "one.mp4")
    said = emosh(
        "evaluate", "ablate", folder / "pairs", "-o", folder / "a.json", "--backend", "puppet", *SMALL, *JUDGED
    )
    assert said.code == 0, said.err
    assert "left out: without SAC: only a model that reads the mesh" in said.err
    return folder


def test_the_puppets_table(puppets: Path) -> None:
    """Table 4 has a row for each switch that the puppet has, the whole method first, measured against the driver; what
    it has not is listed with the reason."""
    report = json.loads((puppets / "a.json").read_text())
    table = report["tables"][0]
    assert (table["table"], [row["method"] for row in table["rows"]]) == (
        4, ["full", "without tracker", "without tracker gates"],
    )  # fmt: skip
    keys = [column["figure"] for column in table["columns"]]
    assert {"psnr", "ssim", "l1"} <= set(keys)
    full = table["rows"][0]["cells"][keys.index("psnr")]
    assert 10 < full["value"] < 60
    assert set(report["left_out"]) >= {
        f"variant without {name}" for name in ("SAC", "hybrid motion", "disentanglement")
    }
    assert "Table 1's TikTok row" in (puppets / "a.md").read_text()


def test_the_variants_are_kept_and_differ_by_their_switch(puppets: Path) -> None:
    """One video a variant, as long as the driver; the motion without gates was tracked with them off, the one without
    tracker without a fit."""
    work = puppets / "a.emosh"
    videos = {each.folder: work / each.folder / "one.mp4" for each in variants_for("puppet", None)[0]}
    assert all(probe(path).frame_count == FRAMES for path in videos.values())
    motions = [load_motion(path) for path in sorted((work / "motions").glob("one-*.npz"))]
    off = sorted(len(each.provenance.config["gates_off"]) for each in motions)
    assert off == [0, 0, len(all_gates())]
    assert sorted(each.provenance.config["solver"] for each in motions) == ["gn", "gn", "none"]


def test_a_rerun_draws_and_measures_nothing(puppets: Path) -> None:
    """All videos and figures are remembered."""
    before = {path: path.stat().st_mtime_ns for path in (puppets / "a.emosh").rglob("*.mp4")}
    said = emosh(
        "evaluate", "ablate", puppets / "pairs", "-o", puppets / "a.json", "--backend", "puppet", *SMALL, *JUDGED
    )
    assert said.code == 0, said.err
    assert "3 clips measured, 3 of them remembered" in said.err
    assert {path: path.stat().st_mtime_ns for path in (puppets / "a.emosh").rglob("*.mp4")} == before


def test_all_switches_with_the_diffusion_model(clip: Clip, tmp_path: Path) -> None:
    """With tiny weights in the real format every switch gives a video and a row of Table 4; each was drawn with its own
    switch off, and without the drawn lines the pixels differ."""
    transformer = tiny.animate_transformer()
    tiny.moved(transformer)
    model = tiny.save_folder(tmp_path / "Tiny-Animate", transformer)
    (tmp_path / "pairs" / "drive").mkdir(parents=True)
    shutil.copy(clip.drive, tmp_path / "pairs" / "drive" / "one.mp4")
    said = emosh("evaluate", "ablate", tmp_path / "pairs", "-o", tmp_path / "a.json", "--backend", "wan",
                 "--model", model, "--adapter", "none", "--set", "render_cond.drawing=mesh", *WAN, *JUDGED)  # fmt: skip
    assert said.code == 0, said.err
    report = json.loads((tmp_path / "a.json").read_text())
    assert [row["method"] for row in report["tables"][0]["rows"]] == [each.name for each in VARIANTS]
    assert report["methods"]["full"]["config"]["fit"] == "pad"
    videos = {each.folder: tmp_path / "a.emosh" / each.folder / "one.mp4" for each in VARIANTS}
    pixels = {name: [frame.rgb.tobytes() for frame in read_frames(path)] for name, path in videos.items()}
    assert all(len(frames) == FRAMES for frames in pixels.values())
    assert pixels["no-hybrid"] != pixels["full"]
    assert pixels["no-disentangle"] != pixels["full"]
    drawn = {name: json.loads(read_metadata(path)["comment"])["config"]["sac"] for name, path in videos.items()}
    assert [name for name, sac in drawn.items() if not sac] == ["no-sac"]


def test_every_variant_is_told_apart() -> None:
    """Six rows for the diffusion model, the whole method and five switches; gates that exist."""
    assert [each.name for each in variants_for("wan", "mesh")[0]] == [each.name for each in VARIANTS]
    assert len(VARIANTS) == 6
    assert variants_for("wan", "mesh")[1] == {}
    assert variants_for("puppet", None)[0][0] is FULL
    assert set(variants_for("wan", "skeleton")[1]) == {"without SAC", "without hybrid motion"}
    assert all(name in GATES for name in all_gates())


@pytest.mark.parametrize(
    ("make", "words", "expected"),
    [
        ((), (), "has no folder drive/"),
        (("drive",), (), "holds no video"),
        (("drive/a.mp4", "ref/b.png"), (), "a.mp4 has no photo"),
        (("drive/a.mp4",), ("--set", "protocol=emosh"), "name its section here"),
        (("drive/a.mp4",), ("--set", "evaluate.sise=64"), "did you mean 'size'"),
        (("drive/a.mp4",), ("--backend", "pupet"), "choose one of"),
        (("drive/a.mp4",), (), "is empty"),
    ],
)
def test_bad_requests(own_folder: Path, make: tuple[str, ...], words: tuple[str, ...], expected: str) -> None:
    """One line, exit 2, no report."""
    Path("pairs").mkdir()
    for each in make:
        place = Path("pairs") / each
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch() if place.suffix else place.mkdir()
    assert expected in refused("evaluate", "ablate", "pairs", "-o", "a.json", *words)
    assert not Path("a.json").exists()
