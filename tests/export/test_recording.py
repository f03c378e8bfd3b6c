"""The rerun recording, read back by rerun's own dataframe reader."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.artifacts.world import World
from stages.body.camera import project
from stages.body.model import Body, pose_motion
from stages.body.rotations import matrix_from_rotvec
from stages.errors import InputError
from stages.export.recording import PART_RGB, read_provenance, write_recording
from stages.video.sink import VideoSink
from tests.command_line import refused
from tests.motions import standing

rr = pytest.importorskip("rerun", reason='rerun-sdk is not installed (the extra "view")')
FRAMES = 3


@pytest.fixture(scope="module")
def recording(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames with their video."""
    folder = tmp_path_factory.mktemp("view")
    with VideoSink(folder / "drive.mp4", 512, 512, Fraction(25)) as sink:
        for row in range(FRAMES):
            sink.write(np.full((512, 512, 3), 60 * row + 30, np.uint8))
    motion = standing(body, FRAMES, seed=3)
    motion.valid[1, 2] = False
    write_recording(folder / "a.rrd", motion, body, folder / "drive.mp4")
    return folder / "a.rrd"


def column(path: Path, entity: str, component: str) -> list[Any]:
    """A component's value at each frame of the timeline."""
    view = rr.dataframe.load_recording(path).view(index="frame", contents=entity)
    table = view.fill_latest_at().select().read_all()
    (name,) = [name for name in table.column_names if name.endswith(component)]
    return table.column(name).to_pylist()


def test_everything_is_on_one_timeline(recording: Path) -> None:
    """Body, skeleton, camera, picture, keypoints and curves each have a value at every frame and time."""
    view = rr.dataframe.load_recording(recording).view(index="time", contents="/**")
    table = view.select().read_all()
    nanoseconds = table["time"].cast("int64").to_pylist()
    np.testing.assert_allclose(1e-9 * np.array(nanoseconds), np.arange(FRAMES) / 25, atol=1e-6)
    entities = {name.split(":")[0] for name in table.column_names if ":" in name}
    curves = {f"/{curve}/{part}" for curve in ("error_px", "valid") for part in PART_RGB}
    points = {f"/camera/keypoints/{part}" for part in PART_RGB}
    assert entities >= {"/person/body", "/person/skeleton", "/person/joints", "/camera", "/camera/picture"}
    assert entities >= curves | points


def test_the_body_is_the_forward_pass(body: Body, recording: Path) -> None:
    """The recorded vertices are those of the posed motion, to the last bit, with the body's own triangles."""
    posed = pose_motion(body, standing(body, FRAMES, seed=3))
    found = np.array(column(recording, "/person/body", "Position3D"), np.float32)
    np.testing.assert_array_equal(found, posed.vertices)
    assert len(column(recording, "/person/body", "TriangleIndices")[0]) == len(body.faces)


def test_keypoints_lie_on_the_projected_body(body: Body, recording: Path) -> None:
    """The left wrist's dot is where the camera sees the left wrist, within the size of a wrist."""
    motion = standing(body, FRAMES, seed=3)
    wrists = project(pose_motion(body, motion).joints[:, 20:21], motion.K)[:, 0, :2]
    hands = np.array(column(recording, "/camera/keypoints/left_hand", "Position2D"))
    assert np.linalg.norm(hands[:, 0] - wrists, axis=1).max() < 10


def test_the_floor_is_drawn_where_it_is(body: Body, tmp_path: Path) -> None:
    """Squares on the motion's plane, in the camera's frame of each row, also of a camera that turns and travels."""
    frames = 3
    turn = matrix_from_rotvec(np.stack([0.1 * np.arange(frames), 0.2 * np.arange(frames), np.zeros(frames)], -1))
    world = World(turn, 0.3 * np.arange(3.0 * frames).reshape(frames, 3), np.full(frames, "travelling"))
    normal = np.array([0.1, -0.99, 0.1]) / np.linalg.norm([0.1, -0.99, 0.1])
    floor = np.tile([*normal, -1.2], (frames, 1))
    motion = replace(standing(body, frames), floor=floor, **world.as_rows())
    write_recording(tmp_path / "a.rrd", motion, body)
    lines = np.array(column(tmp_path / "a.rrd", "/floor", "LineStrip3D"))
    assert lines.shape == (frames, 18, 2, 3)
    in_world = world.points(lines.reshape(frames, -1, 3))
    np.testing.assert_allclose(in_world @ normal, -1.2, atol=1e-5)
    np.testing.assert_allclose(in_world[0], in_world[2], atol=1e-5)
    assert np.linalg.norm(np.ptp(in_world[0], axis=0)) > 4


def test_the_picture_is_the_video(recording: Path) -> None:
    """Each frame holds its own picture of the video as JPEG."""
    from io import BytesIO

    from PIL import Image

    blobs = column(recording, "/camera/picture", "Blob")
    means = [np.asarray(Image.open(BytesIO(bytes(blob[0])))).mean() for blob in blobs]
    np.testing.assert_allclose(means, [30, 90, 150], atol=3)


def test_what_was_not_measured_shows(recording: Path) -> None:
    """The curve of a hand that was filled in falls to 0 in that frame."""
    assert [value[0] for value in column(recording, "/valid/left_hand", "Scalar")] == [1, 0, 1]


def test_it_says_what_it_was_made_from(body: Body, recording: Path) -> None:
    """Provenance comes back from the file."""
    record = json.loads(str(read_provenance(recording)))
    assert (record["stage"], record["weights"]["body"]) == ("view", body.sha256)


def test_a_message_that_claims_gigabytes_takes_none(recording: Path, tmp_path: Path) -> None:
    """Each message says how long it is. One that says 4 GiB gives no provenance, and stays below a fifth of that."""
    whole = recording.read_bytes()
    start = whole.rindex(b"\x02" + bytes(7))
    assert 0 < int.from_bytes(whole[start + 8 : start + 16], "little") < len(whole)
    (tmp_path / "liar.rrd").write_bytes(whole[: start + 8] + b"\xff\xff\xff\xff" + whole[start + 12 :])
    told = subprocess.run([sys.executable, "-c", _PEAK, tmp_path / "liar.rrd"], capture_output=True, check=True)
    found, peak_kib = told.stdout.split()
    assert found == b"None"
    assert int(peak_kib) < 800 * 1024


_PEAK = """
import resource, sys
from stages.export.recording import read_provenance
print(read_provenance(sys.argv[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_too_short_a_video_is_refused(body: Body, recording: Path, tmp_path: Path) -> None:
    """A video with fewer frames than rows is refused by both counts, and no file is left."""
    with pytest.raises(InputError, match="has 3 frames but the motion has 5 rows"):
        write_recording(tmp_path / "b.rrd", standing(body, 5), body, recording.with_name("drive.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_without_rerun_it_is_one_line(motion_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the command says what to install."""
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert 'pip install "emosh[view]"' in refused("view", motion_path, "-o", motion_path.with_name("x.rrd"))


@pytest.fixture
def motion_path(body: Body, tmp_path: Path) -> Path:
    """A motion file."""
    from stages.artifacts.motion import save_motion

    save_motion(tmp_path / "m.npz", standing(body, 2))
    return tmp_path / "m.npz"
