"""Points of the background are followed from key frame to key frame."""

from __future__ import annotations

import numpy as np

from stages.camera.background import joined
from stages.camera.follow import MOST_PICTURES, Follower
from stages.camera.path import camera_path
from stages.camera.people import Covered, person_capsules

WIDE, SIZE = 700, (320, 240)


def wall(seed: int = 0) -> np.ndarray:
    """A wide picture with texture of several sizes."""
    import cv2

    random = np.random.default_rng(seed)
    out = np.zeros((SIZE[1], WIDE, 3), np.float32)
    for size in (4, 12, 40):
        small = random.random((SIZE[1] // size + 2, WIDE // size + 2, 3)).astype(np.float32)
        out += 85 * cv2.resize(small, (WIDE, SIZE[1]), interpolation=cv2.INTER_CUBIC)
    return np.clip(out, 0, 255).astype(np.uint8)


def frame(picture: np.ndarray, shift: float) -> np.ndarray:
    """A part of the wall, `shift` px from the left."""
    import cv2

    moved = np.array([[1, 0, -shift], [0, 1, 0]], np.float32)
    return cv2.warpAffine(picture, moved, SIZE, flags=cv2.INTER_CUBIC)


def test_points_are_found_within_a_tenth_of_a_pixel() -> None:
    """The wall moves by 5.3 px per frame; after 30 frames and some key frames the sum is right within 0.5 px."""
    follower, picture = Follower(*SIZE), wall()
    for index in range(31):
        follower.add(index, frame(picture, 5.3 * index), Covered())
    assert len(follower.segments) > 1
    total = 0.0
    for segment in follower.segments:
        if segment.frames:
            total += float(np.median(segment.points[segment.found[-1], 0] - segment.places[-1][:, 0]))
    assert abs(total - 5.3 * 30) < 0.5
    assert all((each.before >= 0).sum() > 10 for each in follower.segments[1:])


def test_people_are_left_out() -> None:
    """No point lies in a box or in the capsules of a person, at first or later."""
    pose = np.zeros((33, 3), np.float32)
    pose[:, :2] = (80, 60)
    pose[[11, 12], :2], pose[[23, 24], :2] = ((60, 90), (100, 90)), ((65, 150), (95, 150))
    covered = Covered((np.array([200.0, 50, 260, 240]),), person_capsules(pose))
    follower, picture = Follower(*SIZE), wall()
    for index in range(4):
        follower.add(index, frame(picture, 0.5 * index), covered)
    segment = follower.segments[0]
    for places in (segment.points, segment.places[-1]):
        x, y = places.T
        assert not ((x > 201) & (x < 259) & (y > 51)).any()
        assert not ((x > 62) & (x < 98) & (y > 90) & (y < 150)).any()
    assert len(segment.points) > 40


def test_a_person_who_walks_past_does_not_move_the_camera() -> None:
    """A striped person without a box covers a fifth of a still wall: still."""
    follower, picture = Follower(*SIZE), wall()
    person = wall(1)[:, :64]
    for index in range(20):
        shown = frame(picture, 0).copy()
        shown[:, 10 * index : 10 * index + 64] = person
        follower.add(index, shown, Covered())
    background = joined([follower])
    assert camera_path(background.segments, 0, 20, SIZE, background.scale, 300.0).kind == "still"


def test_lanes_are_joined_where_they_overlap() -> None:
    """Two followers that share 8 frames give one list, whose points are known to be the same."""
    picture, lanes = wall(), [Follower(*SIZE), Follower(*SIZE)]
    for lane, (start, end) in zip(lanes, ((0, 20), (12, 32)), strict=True):
        for index in range(start, end):
            lane.add(index, frame(picture, 3.0 * index), Covered())
    background = joined(lanes)
    keys = [each.key for each in background.segments]
    assert keys == sorted(set(keys))
    second = next(each for each in background.segments if each.key == 12)
    assert (second.before >= 0).sum() > 20
    path = camera_path(background.segments, 0, 32, SIZE, background.scale, 300.0)
    assert path.kind != "unknown"


def test_few_pictures_are_kept() -> None:
    """A clip with a cut in every frame keeps at most MOST_PICTURES pictures."""
    follower, picture = Follower(64, 48), wall()[:48, :64]
    for index in range(3 * MOST_PICTURES):
        follower.forget()
        follower.add(index, picture, Covered())
    assert sum(each.picture is not None for each in follower.segments) <= MOST_PICTURES


def test_a_plain_wall_with_a_shade_stands_still_and_a_blank_one_is_unknown() -> None:
    """Soft shades without corners tell that the camera stands; a blank wall tells nothing."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    shade = 120 + 50 * np.sin(x / 90) * np.cos(y / 70)
    random = np.random.default_rng(2)
    for wanted, base in (("still", shade), ("unknown", 0 * shade + 120)):
        follower = Follower(*SIZE)
        for index in range(40):
            noisy = base[..., None] + random.normal(0, 0.5, (*base.shape, 3))
            follower.add(index, noisy.round().astype(np.uint8), Covered())
        assert camera_path(follower.segments, 0, 40, SIZE, 1.0, 300.0).kind == wanted
