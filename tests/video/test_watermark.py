"""The invisible mark: seen by its detector after what videos go through, by nobody before, and nowhere else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.video import watermark
from stages.video.sink import VideoSink
from stages.video.watermark import FOUND, Marker, evidence, read_watermark

FRAMES = 16


def pictures() -> dict[str, np.ndarray]:
    """A face with plain surroundings, a busy scene, an animal, and one flat colour."""
    from skimage.data import astronaut, chelsea, coffee

    return {
        "astronaut": astronaut()[::1, ::1],
        "coffee": coffee()[:400, :512],
        "cat": chelsea()[:300, :450],
        "grey": np.full((256, 320, 3), 128, np.uint8),
    }


def moving(picture: np.ndarray) -> list[np.ndarray]:
    """The picture slowly shifting."""
    return [np.roll(picture, shift, 1) for shift in range(0, 2 * FRAMES, 2)]


def recoded(frames: list[np.ndarray], path: Path, half: bool) -> Path:
    """As a video site would: H.264 at crf 23, at half the size if asked."""
    import av
    import cv2

    height, width = (side // (2 if half else 1) // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "23", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["astronaut", "coffee", "cat"])
def test_the_mark_outlives_recoding_and_halving(tmp_path: Path, name: str) -> None:
    """Found after H.264 at crf 23, after that at half the size, and after both in turn; not found without it."""
    from stages.video.source import read_frames

    frames = moving(pictures()[name])
    marker = Marker(*frames[0].shape[:2])
    marked = [marker.mark(frame) for frame in frames]
    once = recoded(marked, tmp_path / "once.mp4", half=False)
    again = [frame.rgb for frame in read_frames(once)]
    for path in (
        once,
        recoded(marked, tmp_path / "half.mp4", half=True),
        recoded(again, tmp_path / "twice.mp4", half=True),
    ):
        assert read_watermark(path).found, (path.name, str(read_watermark(path)))
    assert not read_watermark(recoded(frames, tmp_path / "plain.mp4", half=True)).found


@pytest.mark.parametrize("name", ["astronaut", "coffee", "cat", "grey"])
def test_the_mark_is_slight(name: str) -> None:
    """At most 3 levels of 255 root-mean-square, less in plain places, and the same for red, green and blue."""
    picture = pictures()[name]
    added = Marker(*picture.shape[:2]).mark(picture).astype(int) - picture
    assert 0 < np.sqrt(np.mean(np.square(added))) < 3.2
    assert np.abs(added).max() < 40
    inside = ((picture > 45) & (picture < 210)).all(2)
    assert np.ptp(added[inside], axis=-1).max() == 0


def test_chance_does_not_look_like_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 other patterns on unmarked pictures stay below the threshold, and spread as chance does."""
    vectors = [watermark._limited(watermark._transformed(watermark._luma(picture))) for picture in pictures().values()]
    vectors = [vector / np.sqrt(np.mean(vector**2)) for vector in vectors[:3]]
    patterns = np.random.default_rng(7).integers(0, 2, (20_000 // 3, len(vectors[0]))) * 2.0 - 1
    deviations = np.stack(vectors) @ patterns.T / np.sqrt(len(vectors[0]))
    assert np.abs(deviations).max() < FOUND
    assert deviations.std() == pytest.approx(1.0, abs=0.05)


def test_nothing_is_no_evidence() -> None:
    """Without frames, and in one flat colour, nothing is found."""
    assert not evidence([]).found
    assert not evidence([pictures()["grey"]]).found


def test_the_sink_marks_when_asked(tmp_path: Path) -> None:
    """A sink marks every frame when told to, and leaves a lossless one's bytes alone otherwise."""
    frames = moving(pictures()["cat"])
    height, width = frames[0].shape[:2]
    for name, on in (("on", True), ("off", False)):
        with VideoSink(tmp_path / f"{name}.mp4", width, height, Fraction(25), lossless=True, watermark=on) as sink:
            for frame in frames:
                sink.write(frame)
    assert read_watermark(tmp_path / "on.mp4").found
    assert "found" in str(read_watermark(tmp_path / "on.mp4"))
    assert not read_watermark(tmp_path / "off.mp4").found
