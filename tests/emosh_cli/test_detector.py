"""`emosh models add dwpose` and `emosh track --detector dwpose`, with tiny networks in the published form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import load_motion
from stages.body.model import Body
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip

pytest.importorskip("onnx", reason="tiny networks are made with the package onnx")

from tests.detect.tiny_onnx import constant_pose, marker_boxes, marker_pose


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pose.onnx and boxes.onnx."""
    folder = tmp_path_factory.mktemp("onnx")
    marker_pose(folder / "pose.onnx")
    marker_boxes(folder / "boxes.onnx", 200, 320)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: Body) -> Path:
    """A home of emosh that has the open body and nothing else."""
    from stages.body.store import body_path

    baked, folder = body_path("open"), tmp_path / "home"
    (folder / "bodies").mkdir(parents=True)
    (folder / "bodies" / baked.name).symlink_to(baked)
    monkeypatch.setenv("EMOSH_HOME", str(folder))
    return folder


def test_models_add_files_what_it_checked(networks: Path, home: Path) -> None:
    """`models add dwpose FILE` and `dwpose-det FILE` link the files; the wrong one and fetching are refused."""
    assert "is not DWPose's pose network" in refused("models", "add", "dwpose", networks / "boxes.onnx")
    assert "does not exist" in refused("models", "add", "dwpose", networks / "none.onnx")
    said = emosh("models", "add", "dwpose", networks / "pose.onnx")
    assert said.code == 0, said.err
    assert "installed as dwpose: DWPose's pose network, 288x384" in said.err
    assert emosh("models", "add", "dwpose-det", networks / "boxes.onnx", "--copy").code == 0
    rows = {row["name"]: row for row in emosh("models", "list", "--json").json["models"]}
    assert rows["dwpose"]["installed"]
    assert rows["dwpose-det"]["installed"]
    assert (home / "detectors/dw-ll_ucoco_384.onnx").resolve() == networks / "pose.onnx"
    assert "huggingface.co/yzd-v/DWPose" in refused("models", "fetch", "dwpose")


def test_the_model_table_places_are_the_detectors_own(home: Path) -> None:
    """`emosh models` lists every network file of every detector in the place where the detector looks."""
    from emosh_cli.workflows import model_files
    from stages.detect.detectors import DETECTORS

    places = {entry.name: model_files.installed_path(entry) for entry in model_files.MODEL_FILES}
    files = {file.name: file.where() for detector in DETECTORS.values() for file in detector.files}
    assert tuple(files) == model_files.DETECTOR_NAMES
    assert all(places[name] == path for name, path in files.items())


def test_a_clip_is_tracked_with_dwposes_points(clip: Clip, home: Path, tmp_path: Path) -> None:
    """Shoulders that the network puts elsewhere move the body, and the motion records which network it was; an absent
    file and a misspelt name are one line before any work."""
    words = ("track", clip.drive, "-o", tmp_path / "with.npz", "--detector")
    assert "emosh models add dwpose FILE" in refused(*words, "dwpose")
    assert "choose: mediapipe, dwpose" in refused(*words, "openpose")
    points = np.zeros((133, 3))
    points[[5, 6]] = (230, 200, 0.9), (40, 200, 0.9)
    network = constant_pose(tmp_path / "pose.onnx", points)
    assert emosh("models", "add", "dwpose", network).code == 0
    said = emosh(*words, "dwpose")
    assert said.code == 0, said.err
    found, before = load_motion(tmp_path / "with.npz"), load_motion(clip.work / "drive.npz")
    assert set(found.provenance.weights) == {"body", "dwpose"}
    assert found.provenance.config["detector"] == "dwpose"
    assert "dwpose" not in before.provenance.weights
    assert not np.allclose(found.poses, before.poses, atol=1e-3)


def test_another_network_is_another_track(clip: Clip, home: Path, tmp_path: Path) -> None:
    """`animate` plans the track again when the detector's file is not the one it was tracked with."""
    command = [*clip.command, "--set", "track.detector=dwpose", "--dry-run", "--json"]
    assert emosh("models", "add", "dwpose", constant_pose(tmp_path / "a.onnx", np.zeros((133, 3)))).code == 0
    said = emosh(*command)
    assert said.code == 0, said.err
    assert "the dwpose changed" in " ".join(said.json["plan"])
