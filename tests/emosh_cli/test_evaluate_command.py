"""`emosh evaluate` on one small real result: every section that its options ask for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip
from tests.evaluate.tiny_networks import TinyArcface, TinyVgg16, scripted


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


@pytest.fixture
def judged_by(tmp_path: Path, body, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own with tiny LPIPS (vgg) and ArcFace in the published forms; the open body is shared."""
    from stages.body.store import body_path

    baked, own = body_path("open"), tmp_path / "home"
    (own / "bodies").mkdir(parents=True)
    (own / "bodies" / baked.name).symlink_to(baked)
    monkeypatch.setenv("EMOSH_HOME", str(own))
    for name, module in (("lpips", TinyVgg16()), ("arcface", TinyArcface())):
        path = scripted(module, tmp_path / f"{name}.pt")
        assert "--trust" in refused("models", "add", name, path)
        said = emosh("models", "add", name, path, "--trust")
        assert said.code == 0, said.err
    return own


def test_with_networks_the_report_says_which_files_judged(clip: Clip, judged_by: Path, tmp_path: Path) -> None:
    """LPIPS and identity stand in the report with their files' sha256; what is not installed is listed with the way to
    add it; the same video has LPIPS zero."""
    said = emosh("evaluate", clip.result, "--truth", clip.result, "--ref", clip.photo, "-o", tmp_path / "r.json",
                 "--set", "evaluate.size=64", "--set", "evaluate.shape_frames=0")  # fmt: skip
    assert said.code == 0, said.err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["paired"]["lpips_vgg"]["mean"] == 0
    assert report["paired"]["networks"]["lpips_vgg"][0]["trusted"] is True
    assert "LPIPS v0.1 (vgg)" in report["paired"]["definitions"]["lpips_vgg"]
    assert report["identity"]["detection_rate"] == 1
    assert report["identity"]["cosine"]["mean"] > 0.8
    assert set(report["provenance"]["weights"]) - {"dlib"} == {"lpips-vgg", "arcface"}
    assert set(report["left_out"]) - {"face_distance"} == {"fid", "fvd", "lpips_alex", "shape"}
    assert "emosh models add lpips FILE" in report["left_out"]["lpips_alex"]
    assert "left out: lpips_alex" in said.err


def test_without_networks_the_rest_runs(judged: tuple[dict, Path]) -> None:
    """Figures whose network is not installed are left out by name; the others are there."""
    report = judged[0]
    assert set(report["left_out"]) >= {"fid", "fvd"}
    for figure in ("lpips_alex", "lpips_vgg"):
        assert (figure in report["paired"]) != (figure in report["left_out"])
    assert ("identity" in report) != ("identity" in report["left_out"])


def test_trust_is_for_networks_only(tmp_path: Path) -> None:
    """--trust on anything else, and a network file that is not there, are refused."""
    assert "--trust is for network files" in refused("models", "add", tmp_path, "--trust")
    assert "does not exist" in refused("models", "add", "i3d", tmp_path / "none.pt")
    assert "is not one of the known files of inception" in refused("models", "add", "inception", Path(__file__))
