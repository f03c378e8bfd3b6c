"""Where the teeth stand while the mouth opens."""

from __future__ import annotations

import numpy as np
import pytest

from stages.body.smplx_layout import joint
from stages.generate.puppet.mouth import LOWER_SHOWN_M, UPPER_SHOWN_M, Teeth
from stages.generate.puppet.texture import Paint

TEMPLATE = np.array([[0, 0.001, 0.1], [0, -0.001, 0.1]], np.float32)
"""The middle of the upper and of the lower lip, 2 mm apart."""


def teeth(gap: float = 0.002) -> Teeth:
    """One point of each row, their edges behind the lips."""
    none = np.zeros((2, 2), np.float32)
    return Teeth(
        np.array([[0, 0.001, 0.09], [0, -0.001, 0.09]], np.float32), np.array([[joint("head")], [joint("jaw")]]),
        np.zeros((0, 3), int), Paint(none, none, none, np.zeros((2, 3), np.float32)), np.ones(2, np.float32),
        (0, 1), gap, -0.001, LOWER_SHOWN_M,
    )  # fmt: skip


@pytest.mark.parametrize("opened", [0.0, 0.004, 0.012, 0.03])
def test_teeth_stand_little_out_of_the_lips(opened: float) -> None:
    """A lower lip that leaves the jaw takes the lower row along; the upper row comes down, up to 4 mm."""
    offsets = np.array([[0, 0, 0], [0, -opened, 0]], np.float32)
    upper, lower = teeth().moved(offsets, TEMPLATE, TEMPLATE + offsets)[:, 1]
    assert lower == pytest.approx(min(-0.001, -0.001 - opened + LOWER_SHOWN_M), abs=1e-6)
    assert 0.001 - UPPER_SHOWN_M - 1e-6 <= upper <= 0.001
    assert (upper < 0.001) == (opened > 0)


def test_the_photos_own_teeth_stay_where_they_are() -> None:
    """Where the photo shows teeth the upper row is theirs: it does not move down."""
    offsets = np.array([[0, 0, 0], [0, -0.02, 0]], np.float32)
    assert teeth(np.inf).moved(offsets, TEMPLATE, TEMPLATE + offsets)[0, 1] == pytest.approx(0.001)
