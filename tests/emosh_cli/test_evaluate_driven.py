"""`emosh evaluate cross` and `emosh evaluate self`: folders of photos and drivers, drawn, measured, compared."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from emosh_cli.workers.engines import choose_engine
from emosh_cli.workers.local import limit_to_one_card, local_engine
from emosh_cli.workflows.drawn_clips import KEPT
from emosh_cli.workflows.driven_sets import cross_pairs, self_pairs
from stages.errors import InputError
from stages.video.metadata import read_metadata
from stages.video.png import write_png
from stages.video.source import probe, read_frames
from tests.command_line import CommandResult, emosh, refused
from tests.emosh_cli.conftest import FRAMES, SMALL, Clip
from tests.emosh_cli.test_wan import QUICK as WAN
from tests.wan import tiny

QUICK = (*SMALL, "--backend", "puppet", "--workers", "1", "--set", "evaluate.size=64", "--set",
         "evaluate.shape_frames=1", "--set", "study.height=64")  # fmt: skip


def crossed(folder: Path, *words: object) -> CommandResult:
    """The command on refs/ and drivers/ of a folder."""
    return emosh("evaluate", "cross", "--refs", folder / "refs", "--drivers", folder / "drivers", "-o", folder / "out",
                 *QUICK, *words)  # fmt: skip


@pytest.fixture(scope="module")
def made(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CommandResult]:
    """Two photos, one of which shows nobody, with two drivers."""
    folder = tmp_path_factory.mktemp("driven")
    for name in ("refs", "drivers"):
        (folder / name).mkdir()
    shutil.copy(clip.photo, folder / "refs" / "ann.png")
    write_png(folder / "refs" / "wall.png", np.full((160, 160, 3), 128, np.uint8))
    for name in ("nod", "turn"):
        shutil.copy(clip.drive, folder / "drivers" / f"{name}.mp4")
    return folder, crossed(folder)


def test_every_photo_with_every_driver(made: tuple[Path, CommandResult]) -> None:
    """A video per pair, as long as the driver; a pair that cannot be drawn is left out with the reason; the report has
    the shape of the others, and the curves over time lie beside it."""
    folder, said = made
    assert said.code == 0, said.err
    out = folder / "out"
    assert sorted(path.name for path in (out / "emosh").glob("*.mp4")) == ["ann--nod.mp4", "ann--turn.mp4"]
    assert all(probe(path).frame_count == FRAMES for path in (out / "emosh").glob("*.mp4"))
    assert "left out: emosh, pair wall--nod: no person found in" in said.err
    assert "no study page" in said.err
    report = json.loads((out / "report.json").read_text())
    assert {table["table"] for table in report["tables"]} - {2} == {5}  # 2, identity, needs a face network
    assert report["clips_left_out"] == {"cross": {"wall--nod": "not in emosh", "wall--turn": "not in emosh"}}
    assert "no person found" in report["left_out"]["emosh, pair wall--turn"]
    assert "colour: distance from the first frame" in (out / "report.svg").read_text()
    assert len(list((out / "motions").iterdir())) == 2
    assert len(list((out / "references").iterdir())) == 1


def test_another_method_joins_and_nothing_is_made_again(made: tuple[Path, CommandResult]) -> None:
    """A folder with another method's results of the same names is measured with ours and gives the page of a study; our
    videos and figures are remembered."""
    folder, _ = made
    out = folder / "out"
    (out / "rival").mkdir()
    for name in ("nod", "turn"):
        shutil.copy(out / "emosh" / f"ann--{name}.mp4", out / "rival" / f"ann--{name}.mp4")
    before = {path: path.stat().st_mtime_ns for path in (out / "emosh").glob("*.mp4")}
    said = crossed(folder)
    assert said.code == 0, said.err
    assert "4 clips measured, 4 of them remembered" in said.err  # the rival's files are the same bytes
    assert {path: path.stat().st_mtime_ns for path in before} == before
    rows = json.loads((out / "report.json").read_text())["tables"][0]["rows"]
    assert [row["method"] for row in rows] == ["emosh", "rival"]
    key = json.loads((out / "study.key.json").read_text())
    assert {(each["clip"], each["method"]) for each in key["items"]} == {("ann--nod", "rival"), ("ann--turn", "rival")}
    assert "rival" not in (out / "study.html").read_text()


def test_a_variant_is_planned_beside(made: tuple[Path, CommandResult]) -> None:
    """--variant no-tracker adds a method; a switch that the puppet does not have, and one that nobody has, are one
    line."""
    folder, _ = made
    planned = crossed(folder, "--variant", "no-tracker", "--dry-run")
    assert planned.out.splitlines()[3:6] == [
        "draw emosh: wall--turn", "draw no-tracker: ann--nod", "draw no-tracker: ann--turn",
    ]  # fmt: skip
    assert not (folder / "out" / "no-tracker").exists()
    assert "no-sac is not there with the puppet: only a model" in crossed(folder, "--variant", "no-sac").error
    assert "choose one of no-sac" in crossed(folder, "--variant", "nosac").error


def test_every_driver_by_itself(made: tuple[Path, CommandResult], tmp_path: Path) -> None:
    """The first frame of a driver is the photo, the driver the truth: table 1 has the similarity."""
    folder, _ = made
    (tmp_path / "drivers").mkdir()
    shutil.copy(folder / "drivers" / "nod.mp4", tmp_path / "drivers")
    out = tmp_path / "out"
    said = emosh(
        "evaluate",
        "self",
        "--drivers",
        tmp_path / "drivers",
        "-o",
        out,
        *QUICK,
        "--set",
        "evaluate.shape_frames=0",
        "--inputs-for",
        "mimicmotion",
    )
    assert said.code == 0, said.err
    first = next(iter(read_frames(tmp_path / "drivers" / "nod.mp4"))).rgb
    from stages.video.photo import read_photo

    assert np.array_equal(read_photo(out / "photos" / "nod.png"), first)
    for path in (out / "inputs/mimicmotion/ref/nod.png", out / "inputs/mimicmotion/drive/nod.mp4"):
        about = probe(path)
        assert (about.width, about.height) in ((576, 1024), (1024, 576))
    assert probe(out / "inputs/mimicmotion/drive/nod.mp4").frame_count == FRAMES
    table = json.loads((out / "report.json").read_text())["tables"][0]
    figures = {column["figure"]: cell for column, cell in zip(table["columns"], table["rows"][0]["cells"], strict=True)}
    assert table["table"] == 1
    assert 10 < figures["psnr"]["value"] < 60


def test_the_diffusion_model_is_loaded_once(
    made: tuple[Path, CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pairs, each with the first and with the most frontal frame as anchor, load the transformer once, let it go at
    the end, and give the bytes of networks that are loaded anew for each video. A stopped run encodes and draws only
    what is missing."""
    from stages.generate.wan import generate
    from stages.generate.wan.kept_models import KeptModels

    folder, _ = made
    model = tiny.save_folder(tmp_path / "Tiny-Animate", tiny.animate_transformer())
    loads: list[str] = []
    load = generate.load_models
    monkeypatch.setattr(generate, "load_models", lambda *given: loads.append("loaded") or load(*given))

    def videos(*words: object) -> dict[str, bytes]:
        loads.clear()
        said = emosh("evaluate", "self", "--drivers", folder / "drivers", "-o", tmp_path / "out", "--backend", "wan",
                     "--model", model, "--adapter", "none", "--workers", "1", "--variant", "frontal-anchor",
                     "--set", "render_cond.drawing=mesh", "--set", "evaluate.size=64",
                     "--set", "evaluate.shape_frames=0", "--set", "study.height=64", *WAN, *words)  # fmt: skip
        assert said.code == 0, said.err
        return {str(path): path.read_bytes() for name in ("emosh", "frontal-anchor")
                for path in (tmp_path / "out" / name).glob("*.mp4")}  # fmt: skip

    drawn = videos()
    assert len(drawn) == 4
    assert loads == ["loaded"]
    assert KEPT.models is None
    anchors = {path: json.loads(read_metadata(Path(path))["comment"])["config"]["anchor_frame"] for path in drawn}
    assert sorted(map(str, anchors.values())) == ["0", "0", "first", "first"]
    assert videos() == drawn
    assert loads == []
    (tmp_path / "out" / "emosh" / "nod.mp4").unlink()
    assert videos() == drawn
    assert loads == ["loaded"]
    monkeypatch.setattr(KeptModels, "placement_for", lambda self, fits: self.clear())
    assert videos("--force") == drawn
    assert len(loads) == 4


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--refs", "none", "--drivers", "drivers"), "none is not a folder; name the folder of the photos"),
        (("--refs", "drivers", "--drivers", "drivers"), "drivers holds no photos ending in"),
        (("--refs", "refs", "--drivers", "refs"), "refs holds no driving videos ending in"),
        (("--refs", "refs", "--drivers", "drivers", "--set", "size=64"), "name its section here"),
        (("--refs", "refs", "--drivers", "drivers", "--engine", "local", "-o", "foreign"), "foreign exists and is not"),
        (("--refs", "refs", "--drivers", "drivers", "--inputs-for", "champ"), "Champ takes pictures of any shape"),
        (("--refs", "refs", "--drivers", "drivers", "--engine", "slurm"), "--engine slurm: choose local or ray"),
    ],
)
def test_bad_requests(own_folder: Path, words: tuple[str, ...], expected: str) -> None:
    """One line, exit 2, nothing drawn."""
    for name in ("refs/a.png", "drivers/a.mp4", "foreign/own.txt"):
        place = own_folder / name
        place.parent.mkdir()
        place.write_bytes(b"x")
    out = () if "-o" in words else ("-o", "out")
    assert expected in refused("evaluate", "cross", "--backend", "puppet", *words, *out)
    assert not list(own_folder.rglob("*--*"))


def test_nothing_to_measure_is_said_before_anything_is_drawn(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a face network and without body shapes a crossed set has no figure."""
    monkeypatch.setattr("stages.evaluate.networks.chosen.installed", lambda _: {})
    monkeypatch.setattr("stages.evaluate.networks.chosen.installed_dlib", lambda: None)
    for name in ("refs/a.png", "drivers/a.mp4"):
        (own_folder / name).parent.mkdir()
        (own_folder / name).write_bytes(b"x")
    words = ("--refs", "refs", "--drivers", "drivers", "-o", "none", "--set", "evaluate.shape_frames=0")
    assert 'pip install "emosh[identity]"' in refused("evaluate", "cross", *words)
    assert not (own_folder / "none").exists()


def test_pairs_have_one_name_each(tmp_path: Path) -> None:
    """Photos times drivers; two photos that differ in their suffix alone would share a name and are refused."""
    for name in ("refs/a.png", "refs/b.jpg", "drivers/x.mp4", "drivers/y.mov", "drivers/notes.txt"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
    pairs = cross_pairs(tmp_path / "refs", tmp_path / "drivers")
    assert [pair.name for pair in pairs] == ["a--x", "a--y", "b--x", "b--y"]
    assert all(pair.truth is None for pair in pairs)
    assert [(pair.name, pair.truth) for pair in self_pairs(tmp_path / "drivers")] == [
        ("x", tmp_path / "drivers" / "x.mp4"), ("y", tmp_path / "drivers" / "y.mov"),
    ]  # fmt: skip
    (tmp_path / "refs" / "a.jpg").touch()
    with pytest.raises(InputError, match="results of one name; rename one of them"):
        cross_pairs(tmp_path / "refs", tmp_path / "drivers")


# ---- cards
def visible(_: int) -> str | None:
    """The GPUs that a worker may see."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_each_worker_sees_one_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two cards the workers take them in turn; of cards that the environment names, those."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = {value for _, value in local_engine(2, cards=2)(visible, list(range(12)))}
    assert found <= {"0", "1"}
    taken = multiprocessing.get_context("spawn").Value("i", 0)
    for given, expected in (("", ["0", "1", "0"]), ("3,5", ["5", "3", "5"])):
        seen = []
        for _ in expected:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
            limit_to_one_card(taken, 2)
            seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        assert seen == expected


def test_one_worker_per_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each job needs a card, as many run as there are cards, unless another number is asked for."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    said = {value for _, value in choose_engine("local", 0, on_cards=True)(visible, [1, 2])}
    assert said == {os.environ.get("CUDA_VISIBLE_DEVICES")}  # one card: the jobs run here


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='ray is not installed: pip install "emosh[ray]"')
def test_a_ray_worker_keeps_its_card_and_what_it_loaded() -> None:
    """On a Ray with two cards, two processes with one card each run all jobs; the cluster's cards count, not ours."""
    with tempfile.TemporaryDirectory() as place:  # as short as sockets must be
        environment = {**os.environ, "TMPDIR": place}
        command = [sys.executable, "-m", "tests.emosh_cli.two_cards"]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    said = [json.loads(line) for line in finished.stdout.splitlines()]
    assert sorted(job for job, _, _ in said) == list(range(6))
    assert len({process for _, process, _ in said}) == 2
    assert {card for _, _, card in said} == {"0", "1"}
