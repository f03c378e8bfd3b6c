"""The background: known pixels are kept, unknown ones filled in."""

from __future__ import annotations

import numpy as np

from stages.generate.puppet.background import Backdrop, fill_hole
from stages.generate.puppet.matte import foreground_colours, solid_colours
from stages.generate.puppet.others import shows_others
from stages.raster.masks import dilate


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A horizontal gradient in grey and a round hole."""
    y, x = np.mgrid[:120, :160]
    photo = np.repeat((60 + y)[..., None], 3, 2).astype(np.uint8)
    return photo, (x - 80) ** 2 + (y - 60) ** 2 < 30**2


def test_the_photo_is_kept_outside_the_hole_and_a_gradient_is_continued_inside() -> None:
    """Outside the hole not one value changes; inside, a linear gradient is restored within four grey levels."""
    photo, hole = scene()
    damaged = np.where(hole[..., None], 255, photo).astype(np.uint8)
    plate = fill_hole(damaged, hole)
    assert np.array_equal(plate[~hole], photo[~hole])
    assert np.abs(plate[hole].astype(int) - photo[hole]).max() <= 4


def test_a_picture_that_is_all_hole_still_gives_a_plate() -> None:
    """A person who fills the picture gives a plain background and no error."""
    photo, _ = scene()
    plate = fill_hole(photo, np.ones(photo.shape[:2], bool))
    assert plate.shape == photo.shape


def test_the_photo_is_used_where_the_outline_has_not_moved() -> None:
    """In the photo's pose pixels beside the matte are the photo's; without the person they are the fill."""
    photo, hole = scene()
    alpha = hole.astype(np.float32)
    plate = np.where(dilate(hole, 6)[..., None], 7, photo).astype(np.uint8)
    backdrop = Backdrop(photo, plate, alpha)
    assert np.array_equal(backdrop.background_for(alpha)[~hole], photo[~hole])
    gone = backdrop.background_for(np.zeros_like(alpha))
    assert (gone[dilate(hole, 3)] == 7).all()
    assert np.array_equal(gone[:4], photo[:4])


def test_unmixed_colours_mix_back_to_the_photo() -> None:
    """alpha F + (1 - alpha) B is the photo wherever the matte is more than half person."""
    rng = np.random.default_rng(2)
    front, back = (rng.integers(60, 200, (20, 20, 3)).astype(np.uint8) for _ in range(2))
    alpha = rng.uniform(0.65, 1.0, (20, 20)).astype(np.float32)
    photo = (alpha[..., None] * front + (1 - alpha[..., None]) * back).round().astype(np.uint8)
    found = foreground_colours(photo, alpha, back, front)
    again = alpha[..., None] * found + (1 - alpha[..., None]) * back
    assert np.abs(again - photo).max() <= 1.0


def test_solid_colours_reach_every_pixel() -> None:
    """Pixels outside the matte get the person's colour, not the colour of the surroundings."""
    photo = np.zeros((30, 30, 3), np.uint8)
    photo[10:20, 10:20] = (200, 100, 50)
    alpha = (photo[..., 0] > 0).astype(np.float32)
    assert np.abs(solid_colours(photo, alpha, 1.0).astype(int) - (200, 100, 50)).max() <= 1


def test_what_is_nearer_to_another_face_is_another_person() -> None:
    """Of two people side by side the right one, with hair, shoulders and trunk, is not the left one's; the left one's
    own pixels never are another's, nor is anything because of the own face, a face on the shirt or a far face."""
    mesh, head = np.zeros((400, 500), bool), np.zeros((400, 500), bool)
    head[60:120, 110:160] = True
    mesh[120:400, 70:200] = mesh[60:120, 110:160] = True
    own, right = [118.0, 75, 153, 110], [300.0, 80, 340, 120]
    others = shows_others(np.array([own, right]), mesh, head)
    assert others[70:390, 280:360].all()
    assert not others[mesh].any()
    assert not others[:, :210].any()
    shirt, far = [120.0, 200, 150, 230], [300.0, 80, 310, 90]
    assert not shows_others(np.array([own, shirt, far]), mesh, head).any()
    assert not shows_others(np.zeros((0, 4)), mesh, head).any()
