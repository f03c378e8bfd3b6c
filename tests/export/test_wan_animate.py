"""Wan-Animate's input folder: sizes, frames and points as its preprocess makes them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.face import box_of, face_box
from stages.drawing.frames import View, posed_frames
from stages.drawing.skeleton import COLOURS, draw_skeleton
from stages.drawing.whole_body import WholeBody, point_finder
from stages.errors import InputError
from stages.export.wan_animate import face_motion, letterboxed, picture_size, write_wan_animate
from stages.retarget.retarget import retarget
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames
from tests.motions import joint, standing


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A grey portrait picture."""
    write_png(tmp_path / "ref.png", np.full((640, 480, 3), 90, np.uint8))
    return tmp_path / "ref.png"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1280, 720), (1280, 720)),
        ((720, 1280), (704, 1280)),
        ((512, 512), (960, 960)),
        ((1000, 1500), (768, 1184)),
        ((333, 777), (640, 1440)),
    ],
)
def test_sizes_are_the_preprocess_own(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The reference's size at 1280 x 720 is what `resize_by_area(..., divisor=16)` gives, worked out by brute force."""
    assert picture_size(*size, 1280 * 720) == expected == brute(*size)


def brute(width: int, height: int) -> tuple[int, int]:
    """Every size the preprocess may take, told from its rules alone."""
    area, ratio = 1280 * 720, width / height
    tallest = int(np.sqrt(area / ratio))
    sizes = []
    for tall in range(16, tallest + 32, 16):
        for wide in range(64, 4096, 64):
            near = abs(wide - tall * ratio) < 64
            if near and wide * tall <= area and tall <= 16 * int(np.ceil(tallest / 16)):
                sizes.append((wide, tall))
    return min(sizes, key=lambda each: (-each[0] * each[1], abs(each[0] / each[1] - ratio)))


def test_the_folder(body: Body, tmp_path: Path, photo: Path) -> None:
    """Three files of one length: the pose at the reference's size, the face at 512, the photo as it was."""
    made = write_wan_animate(tmp_path / "wan", standing(body, 5), body, photo, fps=30, area=256 * 256)
    assert {path.name for path in (tmp_path / "wan").iterdir()} == {"src_pose.mp4", "src_face.mp4", "src_ref.png"}
    pose, face = (probe(tmp_path / "wan" / name) for name in ("src_pose.mp4", "src_face.mp4"))
    assert (pose.width, pose.height) == (made.width, made.height) == picture_size(480, 640, 256 * 256)
    assert (face.width, face.height) == (512, 512)
    assert pose.frame_count == face.frame_count == made.frames == 6
    assert pose.fps == face.fps == 30
    assert made.faces_outside == 0


def points_of(motion: Motion, body: Body) -> WholeBody:
    """The points of a motion's first row in its own picture."""
    view = View.own(motion)
    (frame,) = posed_frames(motion, body, view, np.array([0]))
    return point_finder(body, view)(frame)


def test_points_lie_where_the_body_is(body: Body) -> None:
    """Right is right, hands hang on wrists, a point outside the picture or of an unmeasured hand is not drawn."""
    motion = standing(body, 1)
    motion.valid[:, 3] = False
    frame = points_of(motion, body)
    nose, neck, right, left = frame.body[[0, 1, 2, 5], :2]
    assert nose[1] < neck[1]
    assert right[0] < neck[0] < left[0]
    np.testing.assert_allclose(neck, (right + left) / 2, atol=1e-3)
    assert np.linalg.norm(frame.left_hand[0, :2] - frame.body[7, :2]) < 25
    assert frame.left_hand[:, 2].all()
    assert not frame.right_hand[:, 2].any()
    below = frame.body[:, 1] >= 512
    assert below.any()
    assert not frame.body[below, 2].any()
    assert frame.body[[0, 14, 15, 16, 17], 2].all()


def test_a_profile_hides_the_far_ear(body: Body) -> None:
    """Turned a quarter to the picture's right, the head shows one ear and one eye."""
    motion = standing(body, 1)
    motion.poses[:, joint("neck")] = [0, np.pi / 2, 0]
    frame = points_of(motion, body)
    assert frame.body[[16, 17], 2].tolist() == [1, 0]
    assert frame.body[[14, 15], 2].tolist() == [1, 0]


def test_the_drawing_has_their_colours(body: Body) -> None:
    """On black: joints in full colour, limbs at 60 %, nothing else but the hands' hues; thin as theirs at this size."""
    frame = points_of(standing(body, 1), body)
    frame = replace(frame, left_hand=frame.left_hand * 0, right_hand=frame.right_hand * 0)
    picture = draw_skeleton(frame, 512, 512)
    found = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()} - {(0, 0, 0)}
    assert found <= set(COLOURS) | {tuple(int(0.6 * value) for value in colour) for colour in COLOURS}
    x, y = frame.body[5, :2].astype(int)
    assert tuple(picture[y, x]) == COLOURS[5]
    assert (picture.any(2)).mean() < 0.02


def test_the_face_box_is_theirs() -> None:
    """A 100 x 80 box grows to 1.3 times its area about the middle, three quarters of the height above, cut to size."""
    points = np.array([[200.0, 100.0], [300.0, 180.0]])
    grown = np.sqrt(1.3)
    left, right, top, bottom = face_box(points, 1000, 1000)
    assert (left, right) == (int(250 - 50 * grown), int(250 + 50 * grown))
    assert (top, bottom) == (int(100 - 0.75 * 80 * (grown - 1)), int(180 + 0.25 * 80 * (grown - 1)))
    assert face_box(points, 290, 150) == (left, 290, top, 150)


def write_video(path: Path, pictures: list[np.ndarray]) -> Path:
    """A lossless video at 25 frames per second."""
    height, width = pictures[0].shape[:2]
    with VideoSink(path, width, height, Fraction(25), lossless=True) as sink:
        for rgb in pictures:
            sink.write(rgb)
    return path


def test_the_face_is_cut_from_the_driving_video(body: Body, tmp_path: Path, photo: Path) -> None:
    """With the video, the face pictures are its pixels inside the box; too short a video is refused by its counts."""
    motion = standing(body, 4)
    video = write_video(tmp_path / "drive.mp4", [np.full((512, 512, 3), 40 * row + 20, np.uint8) for row in range(4)])
    write_wan_animate(tmp_path / "wan", motion, body, photo, video=video, fps=25, area=256 * 256)
    means = [frame.rgb.mean() for frame in read_frames(tmp_path / "wan" / "src_face.mp4")]
    np.testing.assert_allclose(means, [20, 60, 100, 140], atol=3)
    for rows, said in ((9, "has 4 frames, but the motion has 9 rows"), (3, "has more frames than the motion has rows")):
        with pytest.raises(InputError, match=said):
            write_wan_animate(tmp_path / "no", standing(body, rows), body, photo, video=video, area=256 * 256)
    with pytest.raises(InputError, match="is 512x512, the motion was tracked in 640x512"):
        write_wan_animate(tmp_path / "no", standing(body, 4, size=(640, 512)), body, photo, video=video)
    assert not (tmp_path / "no").exists()


@pytest.fixture
def pair(body: Body) -> tuple[Motion, Motion]:
    """A driver, and its motion in the body of somebody with a larger head of another shape."""
    driver = standing(body, 3, seed=1)
    target, _ = retarget(driver, replace(standing(body, 1, seed=5), head_scale=1.3), body)
    return driver, target


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes: left, right, top, bottom."""
    common = np.minimum(one[1::2], other[1::2]) - np.maximum(one[::2], other[::2])
    areas = [np.prod(box[1::2] - box[::2]) for box in (one, other)]
    return float(np.prod(np.maximum(common, 0)) / (sum(areas) - np.prod(np.maximum(common, 0))))


def test_the_face_box_is_the_drivers(body: Body, tmp_path: Path, photo: Path, pair: tuple[Motion, Motion]) -> None:
    """Of a retargeted motion, the face is cut where the driver's head is, not where the other head would be.

    The video is red by column and green by row, so that a face picture tells its box.
    """
    driver, target = pair
    place = np.clip(2.0 * (np.arange(512) - 192), 0, 255), np.clip(2.0 * (np.arange(512) - 96), 0, 255)
    rgb = np.zeros((512, 512, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = place[0][None], place[1][:, None]
    video = write_video(tmp_path / "drive.mp4", [rgb] * 3)
    write_wan_animate(tmp_path / "wan", target, body, photo, video=video, video_motion=driver, fps=25, area=256 * 256)
    boxes = []
    for frame in read_frames(tmp_path / "wan" / "src_face.mp4"):
        columns, rows = frame.rgb[..., 0].mean(0) / 2 + 192.5, frame.rgb[..., 1].mean(1) / 2 + 96.5
        lines = [np.polyfit(np.arange(40, 472) + 0.5, each[40:472], 1) for each in (columns, rows)]
        boxes.append(np.array([np.polyval(line, at) for line in lines for at in (0, 512)]))
    right, wrong = (
        [np.array(box_of(frame, 512, 512), float) for frame in posed_frames(motion, body, View.own(motion))]
        for motion in (driver, target)
    )
    assert min(map(overlap, boxes, right)) > 0.99
    assert max(map(overlap, boxes, wrong)) < 0.9


def test_a_video_needs_its_own_motion(body: Body, tmp_path: Path, photo: Path, pair: tuple[Motion, Motion]) -> None:
    """A retargeted motion with a video is refused without the video's motion, with one of another length, or with
    another retargeted one; nothing is made."""
    driver, target = pair
    video = write_video(tmp_path / "drive.mp4", [np.zeros((512, 512, 3), np.uint8)] * 3)
    for video_motion, said in (
        (None, "the motion is retargeted.*--video-motion NPZ"),
        (target, "--video-motion is retargeted"),
        (standing(body, 4), "--video-motion has 4 rows, but the motion 3"),
    ):
        with pytest.raises(InputError, match=said):
            write_wan_animate(tmp_path / "no", target, body, photo, video=video, video_motion=video_motion)
    assert not (tmp_path / "no").exists()
    assert face_motion(driver, None) is driver


def test_without_a_person_the_pictures_are_black(body: Body, tmp_path: Path, photo: Path) -> None:
    """A row in which nobody was seen has no skeleton and no face."""
    motion = standing(body, 3)
    motion.valid[1] = False
    made = write_wan_animate(tmp_path / "wan", motion, body, photo, fps=25, area=256 * 256)
    for name in ("src_pose.mp4", "src_face.mp4"):
        assert [frame.rgb.max() > 100 for frame in read_frames(tmp_path / "wan" / name)] == [True, False, True]
    assert made.faces_outside == 1


def test_framing_ref_is_the_place_in_the_photo(body: Body, tmp_path: Path, photo: Path) -> None:
    """Driven by the photo's own pose from another camera, the skeleton lies on the padded photo's person; with framing
    drive it lies where the driver is. The size is the photo's with both."""
    reference = replace(standing(body, 1, size=(480, 640)), trans=np.array([[0.2, 0.3, 1.6]], np.float32))
    motion = replace(standing(body, 1), poses=reference.poses, trans=np.array([[-0.3, 0.4, 3.0]], np.float32))
    drawn = {}
    for framing in ("ref", "drive"):
        made = write_wan_animate(
            tmp_path / framing, motion, body, photo, ref_motion=reference, framing=framing, fps=25, area=512 * 512
        )
        assert (made.width, made.height) == picture_size(480, 640, 512 * 512)
        (drawn[framing],) = (frame.rgb for frame in read_frames(tmp_path / framing / "src_pose.mp4"))
    view = View.fitted(reference, made.width, made.height)
    (frame,) = posed_frames(reference, body, view)
    expected = draw_skeleton(point_finder(body, view)(frame), made.width, made.height)
    found = {framing: (rgb.max(2) > 40)[expected.any(2)].mean() for framing, rgb in drawn.items()}
    assert found["ref"] > 0.95
    assert found["drive"] < 0.1


def test_framing_ref_needs_the_motion_of_the_photo(body: Body, tmp_path: Path, photo: Path) -> None:
    """Without it, or with that of another photo or of a video, it is refused, and nothing is made."""
    motion = standing(body, 2)
    for reference, said in (
        (None, "--ref-motion NPZ"),
        (standing(body, 1), "1 row of 512x512 pixels, but the photo is 480x640"),
        (standing(body, 2, size=(480, 640)), "--ref-motion has 2 rows"),
    ):
        with pytest.raises(InputError, match=said):
            write_wan_animate(tmp_path / "no", motion, body, photo, ref_motion=reference, framing="ref")
    assert not (tmp_path / "no").exists()


def test_padding_keeps_the_shape() -> None:
    """A wide picture in a square is centred between two black bars."""
    out = letterboxed(np.full((50, 100, 3), 255, np.uint8), 64, 64)
    rows = out.any((1, 2))
    assert (rows.sum(), rows.argmax()) == (32, 16)
