"""DWPose through onnxruntime, with tiny networks of the published shapes whose results are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.body.model import Body
from stages.detect.dwpose import box_of_person, points_in_box, read_points
from stages.detect.onnx_network import check_network, open_network
from stages.detect.yolox import grid_cells, letterboxed, non_maximum_suppression, people_boxes
from stages.errors import InputError
from stages.progress import silent
from stages.video.png import write_png
from tests.motions import standing
from tests.track.synthetic import observe

pytest.importorskip("onnx", reason="tiny networks are made with the package onnx")

from tests.detect.tiny_onnx import marker_boxes, marker_pose

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pose.onnx and boxes.onnx."""
    folder = tmp_path_factory.mktemp("onnx")
    marker_pose(folder / "pose.onnx")
    marker_boxes(folder / "boxes.onnx", 200, 320)
    return folder


def painted(size: tuple[int, int], spots: dict[tuple[int, int, int], tuple[int, int]], reach: int = 3) -> np.ndarray:
    """A black picture, width x height, with a square of each colour around each place."""
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    for colour, (x, y) in spots.items():
        rgb[y - reach : y + reach + 1, x - reach : x + reach + 1] = colour
    return rgb


@pytest.mark.parametrize("box", [(100, 60, 400, 460), (20, 40, 620, 240), (-80, 10, 260, 470)])
def test_points_are_mapped_back_through_crop_and_bins(networks: Path, box: tuple[int, int, int, int]) -> None:
    """Body, left hand and right hand are found at the red, green and blue spots, for tall, wide and overhanging boxes.
    Full brightness gives confidence 1, so mean, deviation and the order of colours are the published ones."""
    spots = {RED: (180, 120), GREEN: (220, 200), BLUE: (130, 180)}
    found = points_in_box(painted((640, 480), spots), np.array(box, float), open_network(networks / "pose.onnx"))
    bin_px = 1.25 * max(box[2] - box[0], (box[3] - box[1]) * 0.75) / 288
    for place, points in zip(spots.values(), (slice(0, 91), slice(91, 112), slice(112, 133)), strict=True):
        np.testing.assert_allclose(found[points, :2] - place, 0, atol=4 + bin_px)
        np.testing.assert_allclose(found[points, 2], 1, atol=0.02)


def test_boxes_are_decoded_and_suppressed(networks: Path) -> None:
    """In a picture twice as wide as the letterbox, each of two red spots gives a box of known size, in pixels of the
    picture, highest score first. A neighbour cell that sees part of a spot is suppressed; blue is not a person."""
    rgb = np.zeros((720, 1280, 3), np.uint8)
    rgb[128:192, 192:276] = RED  # letterboxed: all of the cell at (112, 80), and 0.6 of the one to its right
    rgb[384:448, 1024:1074] = RED  # 0.8 of the cell at (528, 208)
    rgb[600:700, 100:400] = BLUE
    boxes = people_boxes(rgb, open_network(networks / "boxes.onnx"))
    expected = [[224 - 200, 160 - 320, 224 + 200, 160 + 320], [1056 - 200, 416 - 320, 1056 + 200, 416 + 320]]
    np.testing.assert_allclose(boxes, expected, atol=1)


def test_the_letterbox_is_grey_with_the_picture_at_the_top_left() -> None:
    """A portrait picture keeps its proportions, the rest is 114, and the channels are BGR, 0 to 255."""
    picture, ratio = letterboxed(np.full((1000, 500, 3), (10, 20, 30), np.uint8))
    assert ratio == pytest.approx(0.64)
    assert picture.shape == (1, 3, 640, 640)
    assert (picture[0, :, :640, :320] == np.array([30, 20, 10])[:, None, None]).all()
    assert (picture[0, :, :, 320:] == 114).all()


def test_grid_cells_are_those_of_yolox() -> None:
    """6,400 cells of stride 8, row by row, then 1,600 of stride 16 and 400 of stride 32."""
    corners, strides = grid_cells()
    assert corners.shape == (8400, 2)
    assert corners[[0, 1, 80, 6400, 6440, 8000, 8399]].tolist() == [
        [0, 0],
        [1, 0],
        [0, 1],
        [0, 0],
        [0, 1],
        [0, 0],
        [19, 19],
    ]
    assert [int((strides == each).sum()) for each in (8, 16, 32)] == [6400, 1600, 400]


def test_suppression_keeps_the_best_of_overlapping_boxes() -> None:
    """Of three overlapping boxes the one with the highest score stays, a separate box stays, no boxes give no boxes."""
    boxes = np.array([[0, 0, 100, 100], [5, 0, 105, 100], [200, 0, 300, 100], [0, 5, 100, 105]], float)
    assert non_maximum_suppression(boxes, np.array([0.5, 0.9, 0.4, 0.6])) == [1, 2]
    assert non_maximum_suppression(np.zeros((0, 4)), np.zeros(0)) == []


def test_the_box_of_the_followed_person_is_used() -> None:
    """Of two boxes the one that overlaps MediaPipe's box is used; without an overlap MediaPipe's own box is used."""
    boxes = np.array([[0, 0, 100, 300], [200, 0, 320, 300]], float)
    own = np.array([210.0, 20, 300, 280])
    np.testing.assert_array_equal(box_of_person(boxes, own), boxes[1])
    np.testing.assert_array_equal(box_of_person(boxes[:1], own), own)
    np.testing.assert_array_equal(box_of_person(np.zeros((0, 4)), own), own)


def test_a_photo_is_read_with_and_without_boxes(body: Body, networks: Path, tmp_path: Path) -> None:
    """The spots of a photo become points; a person whom MediaPipe does not follow gets none."""
    motion = standing(body, 1, size=(640, 480))
    observations = observe(body, motion)
    write_png(tmp_path / "photo.png", painted((640, 480), {RED: (300, 200), GREEN: (340, 260), BLUE: (250, 250)}, 20))
    pose = open_network(networks / "pose.onnx")
    for boxes in (None, open_network(networks / "boxes.onnx")):
        rows = read_points(tmp_path / "photo.png", [observations], pose, boxes, silent)[0]
        np.testing.assert_allclose(rows.pose[0, [0, 11, 27], :2] - (300, 200), 0, atol=22)
        np.testing.assert_allclose(rows.left_hand[0, :, :2] - (340, 260), 0, atol=22)
        np.testing.assert_allclose(rows.right_hand[0, :, :2] - (250, 250), 0, atol=22)
    observations.person_box[:] = np.nan
    assert np.isnan(read_points(tmp_path / "photo.png", [observations], pose, None, silent)[0].pose).all()


def test_wrong_files_are_one_line_errors(networks: Path, tmp_path: Path) -> None:
    """Each network in place of the other, and files that are not networks."""
    (tmp_path / "text.onnx").write_text("nothing of the kind")
    for name, path, message in (
        ("dwpose", networks / "boxes.onnx", "is not DWPose's pose network: it gives 1x8400x85 .* expected 1x133x1280"),
        ("dwpose-det", networks / "pose.onnx", "takes 288x384, expected YOLOX's 640x640"),
        ("dwpose", tmp_path / "text.onnx", "is not an ONNX file"),
        ("dwpose-det", tmp_path / "absent.onnx", "does not exist; give an ONNX file"),
    ):
        with pytest.raises(InputError, match=message):
            check_network(name, path)
