"""The driving video without its person: what is removed, what is kept, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.frames import View, posed_frames
from stages.encode.background import (
    GROWTH_PX,
    LatentMask,
    Picture,
    by_latents,
    driver_background,
    in_pixels,
    nearest_seen,
    widened,
)
from stages.errors import InputError
from stages.raster.rasterizer import rasterizer
from stages.video.sink import VideoSink
from stages.video.source import probe
from tests.motions import standing
from tests.wan.clips import write_cond

SIZE = (320, 128)
FRAMES = 4


def silhouettes(motion: Motion, body: Body, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """The pixels of the motion's body in each frame of a map of that size."""
    view, draw = View.fitted(motion, *size), rasterizer("numba")
    return [draw(each.screen, body.faces, *size).face >= 0 for each in posed_frames(motion, body, view)]


def write_driver(path: Path, count: int = FRAMES, size: tuple[int, int] = SIZE) -> Path:
    """A lossless video of bright noise, the same in every frame."""
    rgb = np.random.default_rng(2).integers(100, 256, (size[1], size[0], 3), np.uint8)
    with VideoSink(path, *size, Fraction(25), lossless=True) as sink:
        for _ in range(count):
            sink.write(rgb)
    return path


def made(
    place: Path,
    motion: Motion,
    body: Body,
    target: Motion | None = None,
    size: tuple[int, int] = SIZE,
    cells: int = 999,
) -> list[tuple[Picture, LatentMask]]:
    """The background of a noise video in a map of that size, along the person's outline."""
    video = write_driver(place / "drive.mp4", len(motion), motion.image_size)
    info = probe(write_cond(place / "cond.mp4", len(motion), size))
    background = driver_background(video, motion, body, target)
    assert background.count == len(motion)
    return list(background.frames(info, 999))


@pytest.fixture
def matte(monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], None]:
    """A function that sets what the network finds in every frame."""

    def find(mask: np.ndarray) -> None:
        monkeypatch.setattr("stages.detect.matte.person_matte", lambda *_: mask.astype(np.float32))

    find(np.zeros((SIZE[1], SIZE[0])))
    return find


def test_the_whole_body_is_removed_and_the_rest_kept(body: Body, tmp_path: Path) -> None:
    """With the real network, every pixel of the body and GROWTH_PX around it is black, and the other pixels are the
    video's; a map of the video's own size changes no pixel."""
    motion = standing(body, FRAMES, size=SIZE)
    original = np.random.default_rng(2).integers(100, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    found = made(tmp_path, motion, body)
    assert len(found) == FRAMES
    for (picture, mask), person in zip(found, silhouettes(motion, body), strict=True):
        gone = in_pixels(mask)
        assert picture.dtype == np.uint8
        assert not picture[gone].any()
        assert np.array_equal(picture[~gone], original[~gone])
        rows, columns = np.nonzero(person)
        for down, right in ((0, 0), (-GROWTH_PX, 0), (GROWTH_PX, 0), (0, -GROWTH_PX), (0, GROWTH_PX)):
            assert gone[(rows + down).clip(0, SIZE[1] - 1), (columns + right).clip(0, SIZE[0] - 1)].all()
        assert 0.05 < mask.mean() < 0.9


def test_other_people_stay(body: Body, tmp_path: Path, matte: Callable[[np.ndarray], None]) -> None:
    """Of what the network finds, hair at the body is removed; a person apart stays, and one who touches it far away."""
    motion = standing(body, FRAMES, size=SIZE)
    person = silhouettes(motion, body)[0]
    top, right = np.nonzero(person.any(1))[0][0], np.nonzero(person.any(0))[0][-1]
    column = int(np.median(np.nonzero(person[top])[0]))
    seen = np.zeros_like(person)
    seen[max(top - 12, 0) : top, column - 2 : column + 3] = True  # hair, up to 12 pixels above the head
    seen[100:110, 2:6] = True  # apart
    height = int(np.nonzero(person[:, right])[0][0])
    seen[height, right:] = True  # an arm of somebody who stands at the right edge
    matte(seen)
    mask = in_pixels(made(tmp_path, motion, body)[0][1])
    assert mask[top - 10 : top, column].all()
    assert not mask[100:110, 2:6].any()
    assert mask[height, right + 12]
    assert not mask[height, -8:].any()


def test_a_larger_target_gets_room(body: Body, tmp_path: Path, matte: Callable[[np.ndarray], None]) -> None:
    """The retargeted body's pixels are in the mask too, in the frames that show it; the old person's still are."""
    motion = standing(body, FRAMES, size=SIZE)
    valid = motion.valid.copy()
    valid[2] = False
    aside = replace(motion, trans=motion.trans + np.float32([0.3, -0.2, 0]), valid=valid)
    both = [in_pixels(mask) for _, mask in made(tmp_path, motion, body, aside)]
    alone = [in_pixels(mask) for _, mask in made(tmp_path, motion, body)]
    for row, new in enumerate(silhouettes(aside, body)):
        assert (both[row] >= alone[row]).all()
        assert both[row][new].all() == (row != 2)
        assert not alone[row][new].all()


def test_borders_stay_black_and_known(body: Body, tmp_path: Path, matte: Callable[[np.ndarray], None]) -> None:
    """In a map of another shape the picture is centred; the borders are black and outside the mask."""
    motion = standing(body, 2, size=SIZE)
    matte(np.ones((224, 320)))
    for picture, mask in made(tmp_path, motion, body, size=(320, 224)):
        assert picture.shape == (224, 320, 3)
        assert not picture[:48].any()
        assert not picture[176:].any()
        assert not mask[:6].any()
        assert not mask[22:].any()
        assert mask[6:22].any()
        assert picture[48:176].any()


def test_frames_without_the_person(body: Body, tmp_path: Path, matte: Callable[[np.ndarray], None]) -> None:
    """Half a second long the last seen body is removed, in case a part of it is still there. After that only what the
    network finds at that place is, and nothing where it finds nothing."""
    motion = standing(body, 30, size=SIZE)
    motion = replace(motion, valid=np.arange(30)[:, None].repeat(4, 1) < 4)
    person = silhouettes(motion, body)[3]
    masks = [in_pixels(mask) for _, mask in made(tmp_path, motion, body)]
    assert all(mask[person].all() for mask in masks[3:16])
    assert not any(mask.any() for mask in masks[16:])
    matte(np.ones((SIZE[1], SIZE[0])))
    late = in_pixels(made(tmp_path, motion, body)[-1][1])
    assert late[person].all()


def test_the_nearest_row_that_shows_the_person() -> None:
    """Each row gets the nearest seen one, the earlier of two; a seen row gets itself."""
    seen = np.array([False, True, False, False, False, True, False])
    assert nearest_seen(seen).tolist() == [1, 1, 1, 1, 5, 5, 5]
    assert nearest_seen(np.ones(3, bool)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("cells", [1, 2, 3, 8, 999])
def test_the_cells_of_the_mask(cells: int) -> None:
    """The mask covers the grown person and stays in its box; one cell fills the box, many follow the outline; in
    between, the cells are as wide as the box divided, and each is full or empty."""
    person = np.zeros((256, 256), bool)
    person[90:100, 60:160] = person[90:200, 60:70] = True
    found, outline = widened(person, cells), widened(person, 10_000)
    grown = np.zeros_like(person)
    for row, column in np.argwhere(person):
        grown[row - GROWTH_PX : row + GROWTH_PX + 1, column - GROWTH_PX : column + GROWTH_PX + 1] = True
    assert np.array_equal(outline, by_latents(grown))
    assert (found >= outline).all()
    rows, columns = np.nonzero(outline.any(1))[0], np.nonzero(outline.any(0))[0]
    box = found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert found.sum() == box.sum()
    assert box.all() == (cells == 1)
    tall, wide = (int(np.ceil(side / cells)) for side in box.shape)
    for top in range(0, box.shape[0], tall):
        for left in range(0, box.shape[1], wide):
            cell = box[top : top + tall, left : left + wide]
            assert cell.all() or not cell.any()
    assert not widened(np.zeros((64, 64), bool), cells).any()


def test_what_is_refused(body: Body, tmp_path: Path) -> None:
    """A motion without a person, a video or a target of another size or length, another body: one line each."""
    motion = standing(body, FRAMES, size=SIZE)
    video = write_driver(tmp_path / "drive.mp4")
    nobody = replace(motion, valid=np.zeros_like(motion.valid))
    with pytest.raises(InputError, match=r"drive\.mp4: its motion shows the person in no frame"):
        driver_background(video, nobody, body)
    small = write_driver(tmp_path / "small.mp4", size=(160, 64))
    with pytest.raises(InputError, match=r"small\.mp4 is 160x64, the motion was tracked in 320x128; give the video"):
        driver_background(small, motion, body)
    short = write_driver(tmp_path / "short.mp4", FRAMES - 1)
    with pytest.raises(InputError, match=r"short\.mp4 has 3 frames, but the motion has 4 rows; give the video"):
        driver_background(short, motion, body)
    long = driver_background(write_driver(tmp_path / "long.mp4", FRAMES + 1), motion, body)
    info = probe(write_cond(tmp_path / "cond.mp4", FRAMES, SIZE))
    with pytest.raises(InputError, match=r"long\.mp4 has more frames than the motion has rows"):
        list(long.frames(info, 8))
    for target, said in (
        (standing(body, FRAMES + 1, size=SIZE), r"target has 5 rows of 320x128, the motion of .* has 4 of 320x128"),
        (standing(body, FRAMES, size=(128, 128)), "target has 4 rows of 128x128"),
        (replace(motion, body_sha256="0" * 64), "the target was fitted on body"),
    ):
        with pytest.raises(InputError, match=said):
            driver_background(video, motion, body, target)
    with pytest.raises(InputError, match="the motion was fitted on body"):
        driver_background(video, replace(motion, body_sha256="0" * 64), body)
