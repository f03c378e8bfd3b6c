"""The real detector on a public-domain photo: skimage's astronaut (NASA), which is part of its wheel."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image

from stages.detect.config import DetectConfig
from stages.detect.gates import gate
from stages.detect.holistic import detect
from stages.detect.matte import person_matte
from stages.errors import InputError

MIRROR_EYES = {33: 263, 263: 33, 61: 291, 291: 61, 1: 1, 152: 152}
"""Outer eye corners, mouth corners, nose and chin: index -> index of the mirrored point."""


def _saved(path, rgb: np.ndarray):
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def observed(astronaut, folder):
    return detect(_saved(folder / "astronaut.png", astronaut))


@pytest.fixture(scope="module")
def collage(astronaut, folder):
    """The astronaut twice: large at the right, at 60 % of that size at the left."""
    small = np.asarray(Image.fromarray(astronaut).resize((307, 307)))
    canvas = np.full((512, 840, 3), 190, np.uint8)
    canvas[205:, :307] = small
    canvas[:, 328:] = astronaut
    return _saved(folder / "two.png", canvas)


def test_the_astronaut_has_a_body_and_a_face(observed):
    """One frontal person is found and valid, with the nose at its known position and face angles below 15 degrees."""
    verdict = gate(observed)
    assert verdict.valid[0].tolist()[:2] == [True, True]
    assert observed.other_people == 0
    nose = observed.face[0, 1, :2]
    np.testing.assert_allclose(nose, (226, 133), atol=10)
    np.testing.assert_allclose(observed.pose[0, 0, :2], nose, atol=15)
    assert np.all(np.abs(verdict.face_angles[0]) < 15)


def test_mirrored_photo_gives_mirrored_landmarks(observed, astronaut, folder):
    """A mirrored picture gives mirrored points with left and right swapped, within 4 % of the face height."""
    mirrored = detect(_saved(folder / "mirrored.png", np.ascontiguousarray(astronaut[:, ::-1])))
    height = np.linalg.norm(observed.face[0, 10, :2] - observed.face[0, 152, :2])
    for own, other in MIRROR_EYES.items():
        expected = [512 - observed.face[0, other, 0], observed.face[0, other, 1]]
        np.testing.assert_allclose(mirrored.face[0, own, :2], expected, atol=0.04 * height)
    assert mirrored.pose[0, 11, 0] > mirrored.pose[0, 12, 0]


def test_the_same_photo_gives_the_same_numbers(observed, folder):
    """Detection is deterministic."""
    again = detect(folder / "astronaut.png")
    np.testing.assert_array_equal(again.face, observed.face)
    np.testing.assert_array_equal(again.pose, observed.pose)


def test_nobody_is_found_in_a_blank_picture(folder):
    """A blank photo gives one row in which no part is found or valid."""
    seen = detect(_saved(folder / "blank.png", np.full((360, 480, 3), 200, np.uint8)))
    assert len(seen) == 1
    assert not seen.found.any()
    assert not gate(seen).valid.any()


def test_nobody_is_found_in_pictures_without_people(folder):
    """Pictures of a cup of coffee and of a cat have no valid person."""
    for thing in (skimage.data.coffee(), skimage.data.chelsea()):
        assert not gate(detect(_saved(folder / "thing.png", thing))).valid.any()


def test_the_larger_of_two_people_is_followed(collage):
    """Of two people the larger is followed and the other is counted."""
    seen = detect(collage)
    assert seen.other_people == 1
    np.testing.assert_allclose(seen.face[0, 1, :2], (226 + 328, 133), atol=12)
    assert gate(seen).valid[0, :2].all()


def test_person_1_is_the_smaller(collage):
    """`person=1` follows the second largest person, with landmarks on that person."""
    seen = detect(collage, DetectConfig(person=1))
    assert seen.other_people == 1
    np.testing.assert_allclose(seen.face[0, 1, :2], (226 * 0.6, 205 + 133 * 0.6), atol=10)
    assert gate(seen).valid[0, :2].all()


def test_a_person_who_is_not_there_is_an_input_error(observed, folder):
    """`person=1` in a picture of one person is an error that says how many people there are."""
    with pytest.raises(InputError, match="only one person"):
        detect(folder / "astronaut.png", DetectConfig(person=1))


def test_matte_covers_the_person_and_spares_the_background(astronaut):
    """The matte is near 1 on face and suit, near 0 on the wall, and 0 outside the given box."""
    matte = person_matte(astronaut)
    assert matte.shape == astronaut.shape[:2]
    assert matte.dtype == np.float32
    assert matte[90:170, 190:260].mean() > 0.95
    assert matte[20:120, 340:370].mean() < 0.15
    boxed = person_matte(astronaut, np.array([150, 40, 300, 220]))
    assert boxed[90:170, 190:260].mean() > 0.9
    assert boxed[400:].max() == 0


def test_nothing_is_written_to_stderr_by_the_networks(folder, observed, capfd):
    """The networks write nothing to stdout and stderr, and stderr works afterwards."""
    import sys

    detect(folder / "astronaut.png")
    print("still here", file=sys.stderr)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "still here\n"


def test_a_small_person_is_found_in_parts_of_the_picture(astronaut, folder):
    """A face of 55 px in a picture 1280 px wide, missed in the whole picture, is found at the right position."""
    canvas = np.full((960, 1280, 3), 150, np.uint8)
    canvas[300:556, 300:556] = np.asarray(Image.fromarray(astronaut).resize((256, 256)))
    seen = detect(_saved(folder / "small.png", canvas))
    assert gate(seen).valid[0, :2].all()
    np.testing.assert_allclose(seen.face[0, 1, :2], (300 + 113, 300 + 66), atol=8)
