"""The real detector on videos: clips written here, and the dev clips if they lie beside the checkout."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from stages.detect.gates import gate
from stages.detect.holistic import detect

MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason="the dev clips of ../shared/media are not here")


def _write(path: Path, frames) -> Path:
    """Write a small clip with PyAV alone, so that this test does not depend on emosh's own writer."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_frames_without_people_are_invalid(tmp_path):
    """A clip of noise and gradients has one row per frame, and no valid part in any."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 320).astype(np.uint8)[None, :, None] * np.ones((240, 1, 3), np.uint8)
    frames = [np.clip(ramp + rng.normal(0, 20, ramp.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    seen = detect(_write(tmp_path / "empty.mp4", frames))
    assert len(seen) == 8
    assert not gate(seen).valid.any()


def test_a_person_who_leaves_is_invalid_from_then_on(tmp_path):
    """A person is in the first 8 frames and not in the last 8: only the first 8 are valid, and all times are kept."""
    person = skimage.data.astronaut()[:, :400]
    empty = np.full_like(person, 180)
    calls = []
    seen = detect(
        _write(tmp_path / "leaves.mp4", [person] * 8 + [empty] * 8),
        progress=lambda label, done, total: calls.append((label, done, total)),
    )
    assert gate(seen).valid[:, 0].tolist() == [True] * 8 + [False] * 8
    np.testing.assert_allclose(seen.pts_seconds, np.arange(16) / 10, atol=1e-6)
    assert calls[-1] == ("reading landmarks", 16, 16)


@needs_media
def test_the_empty_end_of_d9_is_invalid_and_the_back_view_is_not():
    """Frames 49 to 58 of d9 are empty, though Holistic alone reports a person; before them a back view is valid."""
    seen = detect(MEDIA / "d9_back_view_turn_exit.mp4")
    valid = gate(seen).valid
    assert not valid[49:].any()
    assert valid[:40, 0].all()
    assert not valid[:, 1].any()


@needs_media
def test_one_of_two_people_is_followed_throughout():
    """In d3 two heads turn towards each other: one person is followed without a swap, the other is counted."""
    seen = detect(MEDIA / "d3_two_people_headturn.mp4")
    assert seen.other_people == 1
    assert gate(seen).valid[:, :2].all()
    nose = seen.face[:, 1, :2]
    height = np.linalg.norm(seen.face[:, 10, :2] - seen.face[:, 152, :2], axis=1)
    assert np.all(np.linalg.norm(np.diff(nose, axis=0), axis=1) < 0.5 * height[1:])


@needs_media
@pytest.mark.parametrize(
    ("photo", "hand"), [("p3_woman_curly_wave.jpg", "left_hand"), ("p2_man_seated_arms_up.jpg", "right_hand")]
)
def test_hands_that_holistic_misses_are_found(photo, hand):
    """The raised hand of p3 and the hand of p2 behind a phone, both missed by Holistic, are found and valid."""
    seen = detect(MEDIA / photo)
    column = {"left_hand": 2, "right_hand": 3}[hand]
    assert gate(seen).valid[0, column]
