"""Observations: selected rows keep their times and frame numbers."""

import numpy as np

from stages.detect.observations import EVIDENCE, PARTS, POINT_COUNTS, Observations


def _clip(frames: int = 5) -> Observations:
    rng = np.random.default_rng(0)
    points = {name: rng.normal(size=(frames, count, 3)).astype(np.float32) for name, count in POINT_COUNTS.items()}
    return Observations(
        image_size=(640, 480), fps=25.0, is_photo=False, duration_seconds=0.2, other_people=1,
        frame_index=np.arange(frames), pts_seconds=np.arange(frames) / 25,
        found=np.ones((frames, len(PARTS)), bool), score=np.ones((frames, len(PARTS)), np.float32),
        person_box=np.zeros((frames, 4), np.float32), evidence=np.zeros((frames, len(EVIDENCE)), np.float32),
        shot=np.zeros(frames, int), identity=np.zeros(frames, int), **points,
    )  # fmt: skip


def test_selected_rows_keep_their_frame_numbers():
    """A selection has the chosen rows of every array, and the same size and rate as the clip."""
    clip = _clip()
    chosen = clip.select(np.array([False, True, False, True, False]))
    assert chosen.frame_index.tolist() == [1, 3]
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen.face, clip.face[[1, 3]])
    assert chosen.image_size == (640, 480)
    assert clip.select(slice(2, 3)).pts_seconds.tolist() == [2 / 25]
