"""Identity: alignment by known similarities, figures by known misses, and real faces found where they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.errors import InputError
from stages.evaluate.faces import FIVE_POINTS, TEMPLATE, align, find_face, similarity
from stages.evaluate.identity import identity, identity_figures
from stages.evaluate.networks import chosen
from stages.evaluate.networks.chosen import FaceNetwork
from stages.evaluate.networks.dlib_face import installed_dlib, open_dlib
from stages.networks.opened import Networks
from stages.video.png import write_png
from stages.video.sink import VideoSink


def astronaut() -> np.ndarray:
    """A real face, public domain."""
    from skimage.data import astronaut

    return astronaut()


def channels(faces: list[np.ndarray]) -> np.ndarray:
    """A stand-in for ArcFace: the aligned face itself, shrunk, as a unit vector."""
    import cv2

    rows = np.stack([cv2.resize(face, (8, 8), interpolation=cv2.INTER_AREA).astype(float).ravel() for face in faces])
    rows -= rows.mean(1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


STAND_IN = FaceNetwork("identity", "cosine", "", lambda _, face: channels([face.aligned])[0], np.dot)


def test_a_similarity_is_found_again() -> None:
    """Points that are the template turned, scaled and moved are brought back exactly; noise is met in least squares."""
    from skimage.transform import SimilarityTransform

    turned = SimilarityTransform(scale=2.7, rotation=0.6, translation=(40, -7))
    assert similarity(turned(TEMPLATE)) == pytest.approx(np.linalg.inv(turned.params)[:2], abs=1e-9)
    noisy = turned(TEMPLATE) + np.random.default_rng(0).normal(0, 2, (5, 2))
    oracle = SimilarityTransform.from_estimate(noisy, TEMPLATE)
    assert similarity(noisy) == pytest.approx(oracle.params[:2], abs=1e-9)


def test_a_real_face_lands_on_the_template() -> None:
    """The astronaut's five points land within 8 pixels of the template's, her irises within 3, and turned by 20
    degrees she is aligned to nearly the same picture."""
    from skimage.transform import rotate

    picture = astronaut()
    turned = (rotate(picture, 20, mode="edge") * 255).astype(np.uint8)
    networks = Networks()
    face, other = find_face(picture, networks), find_face(turned, networks)
    assert find_face(np.full((200, 200, 3), 90, np.uint8), networks) is None
    assert face is not None
    assert other is not None
    points = face.mesh[list(FIVE_POINTS), :2]
    off = np.linalg.norm(points @ similarity(points)[:, :2].T + similarity(points)[:, 2] - TEMPLATE, axis=1)
    assert off[:2].max() < 3
    assert off.max() < 8
    assert float(channels([face.aligned])[0] @ channels([other.aligned])[0]) > 0.9
    assert align(picture, points).shape == (112, 112, 3)


def test_misses_are_counted_and_taken_as_zero() -> None:
    """Half the frames without a face: the mean over the found hides it, the rate and the mean with zeros do not."""
    section = identity_figures(STAND_IN, [0, 1, 2, 3], [0.8, None, 0.6, None], [5.0, None, 40.0, None], 1.0)
    assert section["detection_rate"] == 0.5
    assert section["cosine"]["mean"] == pytest.approx(0.7)
    assert section["misses_as_zero"]["mean"] == pytest.approx(0.35)
    assert [(band["frames"], band["mean"]) for band in section["by_yaw"]] == [(1, 0.8), (0, None), (1, 0.6), (0, None)]
    none = identity_figures(STAND_IN, [0, 1], [None, None], [None, None], 1.0)
    assert none["cosine"]["mean"] is None
    assert none["misses_as_zero"]["mean"] == 0


def test_identity_of_a_clip(tmp_path: Path) -> None:
    """The photo's own frame has cosine one; a frame without her face is a miss; a photo without a face is refused."""
    picture = astronaut()[:256, 100:356]
    write_png(tmp_path / "photo.png", picture)
    with VideoSink(tmp_path / "clip.mp4", 256, 256, Fraction(10), lossless=True) as sink:
        for frame in (picture, picture[:, ::-1], np.full_like(picture, 60)):
            sink.write(np.ascontiguousarray(frame))
    section = identity(tmp_path / "clip.mp4", tmp_path / "photo.png", [STAND_IN])["identity"]
    cosines = section["cosine"]["per_frame"]
    assert cosines[0] == pytest.approx(1)
    assert cosines[2] is None
    assert section["detection_rate"] == pytest.approx(2 / 3)
    assert cosines[1] < 0.999
    write_png(tmp_path / "grey.png", np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(InputError, match="no face was found in"):
        identity(tmp_path / "clip.mp4", tmp_path / "grey.png", [STAND_IN])


@pytest.mark.skipif(installed_dlib() is None, reason='dlib is not installed: pip install "emosh[identity]"')
def test_dlib_tells_people_apart() -> None:
    """The astronaut is near herself, smaller and turned by 12 degrees, and farther from a face of other proportions:
    her own, stretched to 1.5 times its width."""
    from skimage.transform import resize, rotate

    networks, embed = Networks(), open_dlib()

    def features(picture: np.ndarray) -> np.ndarray:
        face = find_face(picture, networks)
        assert face is not None
        return embed(picture, face)

    picture = astronaut()
    smaller, wider = (
        (resize(picture, size, anti_aliasing=True) * 255).astype(np.uint8) for size in ((300, 300), (512, 768))
    )
    turned = (rotate(picture, 12, mode="edge") * 255).astype(np.uint8)
    own, others = features(picture), [features(smaller), features(turned)]
    near, far = max(np.linalg.norm(own - each) for each in others), np.linalg.norm(own - features(wider))
    assert near < 0.25
    assert far > 0.4


def test_another_file_is_not_given_to_dlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dlib reads its own binary format in C++: a file with other bytes counts as not installed."""
    from stages.evaluate.networks import dlib_face

    (tmp_path / "other.dat").write_bytes(b"another network")
    monkeypatch.setattr(dlib_face, "_file", lambda: tmp_path / "other.dat")
    assert dlib_face.installed_dlib() is None
    monkeypatch.setattr(chosen, "installed_dlib", dlib_face.installed_dlib)
    _, used = chosen.face_networks()
    assert 'pip install "emosh[identity]"' in used.left_out["face_distance"]
