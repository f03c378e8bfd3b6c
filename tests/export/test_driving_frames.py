"""Which rows of a motion a video for another model shows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stages.body.model import Body
from stages.export.driving_frames import nearest_rows
from tests.motions import standing


@pytest.mark.parametrize(
    ("fps", "to"), [(Fraction(25), 30), (Fraction(24), 30), (Fraction(60), 30), (Fraction(30), 16)]
)
def test_frames_are_the_preprocess_own(body: Body, fps: Fraction, to: int) -> None:
    """At a steady rate: Wan-Animate's `get_frame_indices`, round(k / fps * rate), and int(n / rate * fps) of them."""
    rows = 50
    motion = replace(
        standing(body, rows), fps=fps, pts_seconds=np.arange(rows) / float(fps), duration_seconds=float(rows / fps)
    )
    count = int(rows / float(fps) * to)
    times = np.arange(count) / to
    expected = np.clip(np.round(np.round(times * float(fps), 9)).astype(int), 0, rows - 1)
    np.testing.assert_array_equal(nearest_rows(motion, to), expected)


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 2), Fraction(3)])
def test_at_the_own_rate_every_row_is_a_frame(body: Body, fps: Fraction) -> None:
    """At a steady rate each row is picked once, however the rate is written."""
    for rows in (1, 2, 49, 97):
        motion = replace(standing(body, rows), fps=fps, pts_seconds=np.arange(rows) / float(fps))
        np.testing.assert_array_equal(nearest_rows(motion, fps), np.arange(rows))
