"""The networks against what mediapipe 0.10.21 itself gave for one photograph, kept in mediapipe_0_10_21.npz.

The photograph is scikit-image's astronaut, 512 x 512. The clip is the same picture moved 3 px right and 2 px down per
frame; frames 0, 4 and 9 are kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from stages.networks.detection import FAR_FACES, NEAR_FACES, detect
from stages.networks.face import find_mesh
from stages.networks.holistic import Holistic
from stages.networks.matte import read_matte
from stages.networks.opened import Networks

RGB = astronaut()


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


@pytest.fixture(scope="module")
def known() -> dict[str, np.ndarray]:
    """mediapipe's own points, px and m."""
    with np.load(Path(__file__).with_name("mediapipe_0_10_21.npz"), allow_pickle=False) as arrays:
        return dict(arrays)


def apart(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distances in the picture, px."""
    return np.linalg.norm(found[:, :2] - expected[:, :2], axis=1)


def check_parts(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], pose_px: float) -> None:
    """The pose's visible points are mediapipe's to `pose_px` in the median, the face's to 0.5 px, the rest alike.

    A point may lie several px away where the network's point is at the border of two cells of the heat map.
    """
    seen = expected["pose"][:, 2] > 0.5
    assert np.median(apart(found["pose"], expected["pose"])[seen]) < pose_px
    np.testing.assert_allclose(found["pose"][:, 2], expected["pose"][:, 2], atol=0.1)
    assert np.abs(found["pose_world"] - expected["pose_world"])[seen].max() < 0.02
    assert np.median(apart(found["face"], expected["face"])) < 0.5
    assert np.abs(found["face"] - expected["face"]).max() < 2.5


def test_a_photo_gives_mediapipes_points(networks: Networks, known: dict[str, np.ndarray]) -> None:
    """Holistic in a photo: pose, world pose and face are those of mediapipe; no hand is found, as there."""
    found = Holistic(networks).read(RGB, is_photo=True)
    assert set(found) == {"pose", "pose_world", "face"}
    check_parts(found, {name: known[f"photo_{name}"] for name in found}, 0.2)


def test_a_clip_is_followed_and_smoothed_as_by_mediapipe(networks: Networks, known: dict[str, np.ndarray]) -> None:
    """Frames 0, 4 and 9 of a moving picture: regions, tracking and smoothing give mediapipe's points to 2 px. Points
    without smoothing are more than 4 px away."""
    holistic, far = Holistic(networks), []
    for number in range(10):
        rgb = np.ascontiguousarray(np.roll(RGB, (2 * number, 3 * number), (0, 1)))
        found = holistic.read(rgb)
        if number in (0, 4, 9):
            expected = {name: known[f"clip_{name}"][(0, 4, 9).index(number)] for name in found}
            check_parts(found, expected, 2.0)
            bare = Holistic(networks).read(rgb, is_photo=True)
            seen = expected["pose"][:, 2] > 0.5
            far.append(float(np.median(apart(bare["pose"], expected["pose"])[seen])))
    assert min(far[1:]) > 4.0


def test_forgetting_starts_anew(networks: Networks) -> None:
    """After `forget` the next picture gives what a new reader gives."""
    holistic = Holistic(networks)
    holistic.read(np.ascontiguousarray(np.roll(RGB, 40, 1)))
    holistic.forget()
    again, new = holistic.read(RGB), Holistic(networks).read(RGB)
    assert all(np.array_equal(again[name], new[name]) for name in new)


def test_nothing_is_found_in_an_empty_picture(networks: Networks) -> None:
    """A grey picture gives no part, no face and no mesh."""
    grey = np.full((200, 300, 3), 128, np.uint8)
    assert Holistic(networks).read(grey) == {}
    assert detect(grey, NEAR_FACES, networks, 0.5) == []
    assert find_mesh(grey, networks) is None


def test_faces_and_mesh_are_mediapipes(networks: Networks, known: dict[str, np.ndarray]) -> None:
    """Both face detectors give mediapipe's boxes to 1 px and scores to 0.01, and the mesh lies within 1 px."""
    for name, detector in (("faces_near", NEAR_FACES), ("faces_far", FAR_FACES)):
        found = detect(RGB, detector, networks, 0.5)
        assert len(found) == len(known[name])
        for face, row in zip(found, known[name], strict=True):
            np.testing.assert_allclose(face.box, row[:4], atol=1)
            assert face.score == pytest.approx(row[4], abs=0.01)
    mesh = find_mesh(np.ascontiguousarray(RGB[:300, 100:400]), networks)
    assert mesh is not None
    assert np.abs(mesh - known["mesh"]).max() < 1


def test_the_matte_is_mediapipes(networks: Networks, known: dict[str, np.ndarray]) -> None:
    """The share of person is mediapipe's to 0.02 in the mean, on a grid of one pixel in 16."""
    matte = read_matte(RGB, networks)
    assert matte.shape == (256, 256)
    assert np.abs(matte[::8, ::8] - known["matte"]).mean() < 0.02
