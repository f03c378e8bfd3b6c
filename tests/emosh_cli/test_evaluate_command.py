"""`emosh evaluate` on one small real result: every section that its options ask for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip


@pytest.fixture(scope="module")
def judged(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """The clip's result against its driver, its motion and its photo; the report, and the plot's file."""
    folder = tmp_path_factory.mktemp("evaluate")
    said = emosh(
        "evaluate", clip.result, "--truth", clip.result, "--motion", clip.work / "target.npz", "--ref", clip.photo,
        "-o", folder / "r.json", "--plot", folder / "p.svg", "--set", "evaluate.size=64",
        "--set", "evaluate.shape_frames=2", "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    return json.loads((folder / "r.json").read_text()), folder / "p.svg"


def test_all_sections_stand_in_one_report(judged: tuple[dict, Path]) -> None:
    """Pictures, colour, motion, what tracking took, and shape; a video equals itself."""
    report, plot = judged
    assert set(report) >= {"paired", "colour", "pose", "tracking", "shape"}
    assert report["paired"]["psnr"]["mean"] == 100
    assert report["colour"]["from_truth"]["mean"] == 0
    assert plot.read_text().startswith("<svg")


def test_tracking_is_timed(judged: tuple[dict, Path]) -> None:
    """Table 6's figure: frames over seconds, split by step, with the machine it was measured on."""
    tracking = judged[0]["tracking"]
    assert tracking["frames"] == 5
    assert tracking["frames_per_second"] == pytest.approx(5 / tracking["seconds"], rel=0.01)
    assert sum(tracking["seconds_by_step"].values()) <= tracking["seconds"] + 0.01
    assert tracking["machine"]["cores"] >= 1
    assert tracking["reprojection"]["face_px"] > 0


def test_shape_has_the_trackers_own_error_beside_it(judged: tuple[dict, Path]) -> None:
    """Frames of the puppet have the photo's body up to what the tracker varies; the repeat error is there."""
    shape = judged[0]["shape"]
    assert shape["frames"] + shape["frames_without_person"] == 2
    assert shape["repeat"]["pairs"] == 4
    assert -1 <= shape["to_reference"]["betas_cosine"] <= 1
    assert shape["whole_clip"]["pairs"] == 1


def test_a_tracked_result_is_not_tracked_again(clip: Clip, tmp_path: Path) -> None:
    """--tracked takes the result's motion from its file: same figures as of any two motions, no tracking section."""
    target = clip.work / "target.npz"
    said = emosh("evaluate", clip.result, "--motion", target, "--tracked", target, "-o", tmp_path / "r.json")
    assert said.code == 0, said.err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["pose"]["upper_body_mm"] == pytest.approx(0, abs=1e-3)
    assert "tracking" not in report


def test_the_disco_protocol_by_name(clip: Clip, tmp_path: Path) -> None:
    """--set protocol=disco gives DisCo's figures, both PSNRs, and no square."""
    said = emosh("evaluate", clip.result, "--truth", clip.drive, "-o", tmp_path / "r.json",
                 "--set", "evaluate.protocol=disco")  # fmt: skip
    assert said.code == 0, said.err
    paired = json.loads((tmp_path / "r.json").read_text())["paired"]
    assert paired["protocol"] == "disco"
    assert paired["psnr_uint8"]["mean"] > paired["psnr"]["mean"]
    assert paired["l1"]["mean"] < 0.01


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "--truth VIDEO, --ref PHOTO, --motion NPZ"),
        (("--tracked", "DRIVE", "--truth", "DRIVE"), "--motion NPZ"),
        (("--truth", "DRIVE", "--plot", "p.png"), "p.svg"),
        (("--truth", "DRIVE", "--set", "evaluate.protocol=disko"), "choose one of emosh, disco"),
        (("--truth", "DRIVE", "--set", "evaluate.fit=mine"), "'same' or 'pad'"),
        (("--truth", "nowhere.mp4"), "does not exist"),
        (("--ref", "EMPTY"), "empty"),
    ],
)
def test_bad_requests_are_one_line(own_folder: Path, clip: Clip, words: tuple[str, ...], expected: str) -> None:
    """What cannot be measured is refused in one line with exit code 2, and no report is left."""
    (own_folder / "empty.png").write_bytes(b"")
    shutil.copy(clip.result, "r.mp4")
    places = {"DRIVE": clip.drive, "EMPTY": "empty.png"}
    assert expected in refused("evaluate", "r.mp4", *(places.get(word, word) for word in words), "-o", "o.json")
    assert not Path("o.json").exists()
