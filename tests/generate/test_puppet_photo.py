"""The puppet of a real photo: what it keeps, what it moves, and the video that it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.drawing.framing import anchor_motion, bound_turn
from stages.errors import InputError
from stages.generate.puppet.build import build_puppet
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.framing import check_picture, drawn_size, keep_in_picture, use_driving_camera
from stages.generate.puppet.generate import check_inputs, draw_frames, generate, make_puppet, render_frames
from stages.generate.puppet.view import make_rig, make_view
from stages.raster.masks import dilate, erode
from stages.video.metadata import read_metadata
from stages.video.source import read_frames
from tests.generate.conftest import Astronaut, repeated


def pose_columns(name: str) -> slice:
    """Columns of a joint in `poses`."""
    at = 3 * JOINT_NAMES.index(name)
    return slice(at, at + 3)


def truth(astronaut: Astronaut) -> np.ndarray:
    """The photo at the result's size."""
    height, width = astronaut.puppet.backdrop.alpha.shape
    return cv2.resize(astronaut.rgb, (width, height), interpolation=cv2.INTER_AREA)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Decibels over 8-bit values."""
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other.astype(float)) ** 2)))


@pytest.fixture(scope="module")
def at_rest(astronaut: Astronaut) -> np.ndarray:
    """The puppet in the photo's own pose."""
    return next(render_frames(astronaut.puppet, astronaut.motion, astronaut.motion, astronaut.config))


def test_its_own_pose_gives_the_photo_back(astronaut: Astronaut, at_rest: np.ndarray) -> None:
    """Driven by its own pose the person matches the photo: over 27 dB inside the matte at 384 pixels."""
    person = astronaut.puppet.backdrop.alpha > 0.5
    assert person.mean() > 0.2
    assert psnr(at_rest[person], truth(astronaut)[person]) > 27


def test_the_background_is_the_photo_where_it_is_not_covered(astronaut: Astronaut, at_rest: np.ndarray) -> None:
    """Away from the person every pixel equals the photo."""
    far = ~dilate(astronaut.puppet.backdrop.alpha > 0.02, 30)
    assert far.mean() > 0.1
    assert np.array_equal(at_rest[far], truth(astronaut)[far])


def test_the_mouth_opens_with_the_jaw(astronaut: Astronaut, tmp_path: Path) -> None:
    """With the jaw 0.3 radians down, the detected lips are further apart by 6 % of the face's height."""
    from stages.generate.puppet.generate import detect_face
    from stages.video.png import write_png

    clip = repeated(astronaut.motion, np.arange(2) / 25)
    clip.poses[:, pose_columns("jaw")] = [[0.0, 0, 0], [0.3, 0, 0]]
    clip.expression[:] = 0
    gaps = []
    for row, frame in enumerate(render_frames(astronaut.puppet, astronaut.motion, clip, astronaut.config)):
        write_png(tmp_path / f"{row}.png", frame)
        face = detect_face(tmp_path / f"{row}.png")
        assert face is not None
        gaps.append(np.linalg.norm(face[13] - face[14]) / np.linalg.norm(face[10] - face[152]))
    assert gaps[1] > gaps[0] + 0.06


def test_a_turning_head_leaves_no_hole(astronaut: Astronaut) -> None:
    """With a turned and bent head or torso, 99.9 % of the pixels well inside the posed mesh are covered."""
    from stages.body.camera import project
    from stages.raster.rasterizer import rasterizer

    puppet, config = astronaut.puppet, astronaut.config
    clip = repeated(astronaut.motion, np.arange(4) / 25)
    clip.poses[1, pose_columns("head")] += [0, 0.5, 0]
    clip.poses[2, pose_columns("head")] += [0.3, 0, 0.3]
    clip.poses[3, pose_columns("spine3")] += [0, 0.4, 0]
    moved = replace(config, framing="drive")  # the motion as it is, in the photo's own camera
    height, width = puppet.size[1], puppet.size[0]
    K = clip.K[0] * np.array([[width / astronaut.rgb.shape[1]], [height / astronaut.rgb.shape[0]], [1]], np.float32)
    for row, frame in enumerate(render_frames(puppet, astronaut.motion, clip, moved)):
        assert frame.dtype == np.uint8
        offsets = puppet.rig.offsets(clip.poses[row], clip.expression[row])
        vertices = puppet.rig.skin(offsets, puppet.rig.transforms(clip.poses[row], clip.trans[row]))
        points = project(vertices, K).astype(np.float32)
        mesh = rasterizer("numba")(points, puppet.underlay, width, height).face >= 0
        inside = erode(mesh, 3)
        assert (puppet.buffers["merged"][..., 3][inside] > 0.98).mean() > 0.999


def test_frames_are_drawn_one_by_one(astronaut: Astronaut) -> None:
    """All frames use the same buffers, so memory does not grow with the clip."""
    clip = repeated(astronaut.motion, np.arange(50) / 25)
    frames = render_frames(astronaut.puppet, astronaut.motion, clip, astronaut.config)
    next(frames)
    before = {name: id(array) for name, array in astronaut.puppet.buffers.items()}
    next(frames)
    assert {name: id(array) for name, array in astronaut.puppet.buffers.items()} == before


def test_anchoring_a_person_to_themselves_changes_nothing(astronaut: Astronaut, body: Body) -> None:
    """A reference driven by its own motion keeps pose, position, expression and camera to 1e-4."""
    own = astronaut.motion
    result = anchor_motion(own, own, body, 1.0, 0.7, 15.0)
    assert np.abs(result.poses - own.poses).max() < 1e-4
    assert np.abs(result.trans - own.trans).max() < 1e-4
    assert np.allclose(result.expression, own.expression)
    assert np.allclose(result.K, own.K)


def test_the_head_turns_from_the_photos_own_view(astronaut: Astronaut, body: Body) -> None:
    """A driver who looks aside all the time and nods leaves the head in the photo's view, but for the nod."""
    own = astronaut.motion
    clip = repeated(own, np.arange(3) / 25)
    clip.poses[:, pose_columns("head")] += [0, 0.6, 0]
    clip.poses[1, pose_columns("head")] += [0.2, 0, 0]
    relative = anchor_motion(clip, own, body, relative=True)
    absolute = anchor_motion(clip, own, body)

    def turn(motion: Motion, row: int) -> float:
        """Degrees between the head in a row and in the photo."""
        return float(np.degrees(np.linalg.norm(head_turn(motion, own, row))))

    assert turn(absolute, 0) > 25
    assert turn(relative, 0) < 8
    assert turn(relative, 1) > 5


def test_a_head_never_turns_farther_than_the_photo_shows() -> None:
    """80 degrees aside become 40 at most; 20 degrees, and a roll of 80 in the picture's plane, stay."""
    for axis, angle, expected in (([0, 1, 0], 20, 20), ([0, 1, 0], 80, 40), ([0, 0, 1], 80, 80)):
        turned = matrix_from_rotvec(np.radians(angle) * np.array([axis], float))
        found = np.degrees(np.linalg.norm(rotvec_from_matrix(bound_turn(turned, np.eye(3)))))
        assert abs(found - expected) < 1.5, (axis, angle, found)


def head_turn(motion: Motion, other: Motion, row: int) -> np.ndarray:
    """Rotation vector from the head of `other`'s first row to that of `row`, where only neck and head differ."""
    chain = [np.eye(3), np.eye(3)]
    for which, (poses, at) in enumerate(((motion.poses, row), (other.poses, 0))):
        for name in ("neck", "head"):
            chain[which] = chain[which] @ matrix_from_rotvec(poses[at, pose_columns(name)].astype(np.float64))
    return rotvec_from_matrix(chain[0] @ chain[1].T)


def test_a_close_up_leaves_shoulders_and_arms_as_in_the_photo(astronaut: Astronaut, body: Body) -> None:
    """A driver whose picture ends above the shoulders moves only neck, head and face."""
    own = astronaut.motion
    clip = repeated(own, np.arange(3) / 25)
    clip.poses[:, pose_columns("left_shoulder")] += 0.5
    clip.poses[1, pose_columns("head")] += [0, 0.4, 0]
    close = replace(clip, image_size=(own.image_size[0], 150))
    result = anchor_motion(close, own, body, 0.0, 0.0, 15.0)
    kept = [pose_columns(name) for name in ("pelvis", "spine3", "left_shoulder", "right_elbow")]
    for columns in kept:
        assert np.abs(result.poses[:, columns] - own.poses[0, columns]).max() < 1e-4
    head = result.poses[:, pose_columns("head")]
    assert np.abs(head[1] - head[0]).max() > 0.1


def test_the_video_has_the_motions_frames_and_times_and_says_that_it_is_synthetic(
    astronaut: Astronaut, body: Body, tmp_path: Path
) -> None:
    """Frame count and uneven timestamps are the motion's; the comment holds a record with `synthetic: true`."""
    times = np.array([0.0, 0.04, 0.10, 0.12])
    clip = repeated(astronaut.motion, times)
    out = tmp_path / "out.mp4"
    generate(astronaut.path, astronaut.motion, clip, body, astronaut.config, out)
    frames = list(read_frames(out))
    assert np.allclose([frame.pts_seconds for frame in frames], times, atol=1e-3)
    assert frames[0].rgb.shape[:2] == astronaut.puppet.backdrop.alpha.shape
    record = json.loads(read_metadata(out)["comment"])
    assert record["synthetic"] is True
    assert record["backend"] == "puppet"
    assert set(record["inputs"]) == {"photo", "reference", "motion", "body"}


def test_the_drivers_camera_gives_the_drivers_picture(astronaut: Astronaut) -> None:
    """With framing "drive" the result has the aspect ratio of the driver's picture and shows the photo at its place."""
    clip = repeated(astronaut.motion, np.arange(2) / 25)
    wide = replace(clip, image_size=(1024, 512))
    wide.K[:, 0, 2] += 256
    config = replace(astronaut.config, framing="drive")
    puppet = use_driving_camera(astronaut.puppet, astronaut.motion, wide, config.size, config.supersample)
    frame = next(render_frames(puppet, astronaut.motion, wide, config))
    assert frame.shape == (192, 384, 3)
    middle = cv2.resize(astronaut.rgb, (192, 192), interpolation=cv2.INTER_AREA)
    assert psnr(frame[20:100, 96 + 40 : 96 + 130], middle[20:100, 40:130]) > 20


def test_a_head_that_leaves_the_picture_is_moved_back_and_said(astronaut: Astronaut, body: Body) -> None:
    """A driver who rises by 18 cm: the person is moved down, the face stays inside. At a metre no move is enough.

    A metre that is walked is shortened; a metre all the time is not. Where the photo itself has only half of the face,
    the driver's camera is taken.
    """
    clip = repeated(astronaut.motion, np.arange(3) / 25)
    clip.trans[1:, 1] -= 0.18
    before = check_picture(clip, astronaut.puppet.rig)
    moved, check = keep_in_picture(clip, astronaut.puppet.rig)
    assert before.face_inside < 0.5
    assert check.face_inside == 1
    assert check.moved_percent[1] > 2
    assert "% down" in str(check)
    assert np.allclose(np.diff(moved.trans, axis=0), np.diff(clip.trans, axis=0), atol=1e-6)
    walked = replace(clip, trans=clip.trans + np.array([[0, 0, 0], [0, -1, 0], [0, -1, 0]], np.float32))
    check = keep_in_picture(walked, astronaut.puppet.rig)[1]
    assert check.face_inside == 1
    assert check.path_percent < 100
    assert "path was shortened" in str(check)
    clip.trans[:, 1] -= 1
    check = keep_in_picture(clip, astronaut.puppet.rig)[1]
    assert check.face_inside < 1
    assert check.path_percent == 0
    strip = replace(astronaut.motion, image_size=(512, 60), K=astronaut.motion.K.copy())
    strip.K[:, 1, 2] -= 80  # a photo with half of the face
    rising = replace(clip, trans=astronaut.motion.trans.repeat(3, 0), image_size=(512, 512))
    made = make_puppet(astronaut.rgb[80:140], strip, rising, body, None, astronaut.config)
    assert made[2].driving_camera
    assert made[1] is rising
    assert "driver's camera is used" in str(made[2])


def test_hands_are_as_large_as_the_targets(astronaut: Astronaut, body: Body) -> None:
    """Hands that the photo's motion guessed larger than the target's are drawn as small as the target's."""
    photo = replace(astronaut.motion, hand_scale=1.1)
    small = replace(repeated(astronaut.motion, np.array([0.0])), hand_scale=0.9)
    puppet, _, _ = make_puppet(astronaut.rgb, photo, small, body, None, replace(astronaut.config, size=64))
    hand = body.part_vertices("left_hand")
    size = np.ptp(puppet.rig.template[hand], axis=0).max()
    assert size == pytest.approx(np.ptp(make_rig(body, small).template[hand], axis=0).max(), rel=0.01)


def test_two_threads_draw_the_same_frames_in_order(astronaut: Astronaut) -> None:
    """Frames of two threads equal those of one."""
    clip = repeated(astronaut.motion, np.arange(7) / 25)
    clip.poses[:, pose_columns("head")] += np.linspace(0, 0.3, 7)[:, None] * [0, 1, 0]
    one, two = (list(draw_frames(astronaut.puppet, clip, threads)) for threads in (1, 2))
    assert not np.array_equal(one[0], one[-1])
    assert all(np.array_equal(*pair) for pair in zip(one, two, strict=True))


def test_a_result_is_as_large_as_the_photo_and_not_larger(astronaut: Astronaut, body: Body) -> None:
    """With the usual settings 512 pixels stay 512; above 853 the enlargement for drawing shrinks."""
    assert PuppetConfig().size == 1920
    puppet = build_puppet(astronaut.rgb, astronaut.motion, body, None, PuppetConfig())
    assert puppet.backdrop.photo.shape == (512, 512, 3)
    assert drawn_size((800, 512), 1.5) == (1200, 768)
    assert drawn_size((1024, 512), 1.5) == (1280, 640)
    assert drawn_size((1920, 1080), 1.5) == (1920, 1080)


def test_a_clip_is_refused_as_the_photos_motion(astronaut: Astronaut, body: Body) -> None:
    """A reference with several rows and a motion on another body are each refused with a one-line error."""
    clip = repeated(astronaut.motion, np.arange(2) / 25)
    with pytest.raises(InputError, match="2 rows"):
        check_inputs(clip, clip, body)
    with pytest.raises(InputError, match="track it again with --body"):
        check_inputs(astronaut.motion, replace(clip, body_sha256="0" * 64, body_points=None), body)


def test_hair_that_the_border_cuts_is_continued_above_it(astronaut: Astronaut, body: Body) -> None:
    """A photo cut through the hair gets a strip above it; with room above the head it gets none."""
    top = 18  # rows: half of the hair above the fitted head
    cut = replace(astronaut.motion, image_size=(512, 512 - top), K=astronaut.motion.K.copy())
    cut.K[:, 1, 2] -= top
    rig = make_rig(body, cut)
    assert make_view(astronaut.rgb, astronaut.motion, rig, (256, 256)).offset[1] == 0
    assert make_view(astronaut.rgb[top:], cut, rig, (256, 256)).offset[1] > 0
