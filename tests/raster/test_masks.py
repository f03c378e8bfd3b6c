"""Masks grown, shrunk and cut."""

from __future__ import annotations

import numpy as np

from stages.raster.masks import dilate, erode, keep_touching


def test_only_pieces_that_touch_the_body_are_kept() -> None:
    """Of two regions the one without a seed is removed."""
    mask = np.zeros((20, 20), bool)
    mask[2:6, 2:6] = mask[12:16, 12:16] = True
    seeds = np.zeros_like(mask)
    seeds[3, 3] = True
    kept = keep_touching(mask, seeds)
    assert kept[2:6, 2:6].all()
    assert not kept[12:16].any()


def test_erosion_and_dilation_undo_each_other_on_a_disc() -> None:
    """A disc grown and shrunk by the same radius keeps its area within five percent."""
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 32) ** 2 + (columns - 32) ** 2 < 18**2
    assert abs(erode(dilate(disc, 5.0), 5.0).sum() / disc.sum() - 1) < 0.05
