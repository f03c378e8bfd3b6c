"""Thin things before a plain background are the person's; lines of a background are not."""

from __future__ import annotations

import cv2
import numpy as np

from stages.generate.puppet.loose import plain_background, thin_things

SIDE, CM = 300, 5.0


def studio() -> tuple[np.ndarray, np.ndarray]:
    """A grey wall, darker to the sides, with a person of one dark colour, and the person's matte."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    wall = 200 - 120 * (x**2 + y**2) + np.random.default_rng(0).normal(0, 1.5, (SIDE, SIDE))
    rgb = np.repeat(wall[..., None], 3, 2)
    rgb[100:, 100:180] = (40, 50, 90)
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[100:, 100:180] = 1.0
    return rgb.clip(0, 255).astype(np.uint8), alpha


def test_a_held_thing_is_found_and_a_far_line_is_not() -> None:
    """A thin line from the person outwards is found whole; one that begins 10 cm away, and a broad shadow, are not."""
    rgb, alpha = studio()
    held, far = np.zeros((2, SIDE, SIDE), np.uint8)
    cv2.line(held, (182, 150), (260, 110), (1,), 2)
    cv2.line(far, (20, 20), (40, 60), (1,), 2)
    rgb[(held | far) > 0] = (60, 60, 60)
    rgb[150:260, 40:90] = (rgb[150:260, 40:90] * 0.7).astype(np.uint8)
    found = thin_things(rgb, alpha, CM)
    assert found[held > 0].mean() > 0.95
    assert not found[far > 0].any()
    assert not found[150:260, 50:80].any()


def test_nothing_is_found_before_a_background_that_is_not_plain() -> None:
    """Bars on the wall: no smooth function fits them, and a line is not told from them."""
    rgb, alpha = studio()
    rgb[:, ::9] = rgb[:, 1::9] = rgb[:, 2::9] = rgb[:, 3::9] = 20
    assert plain_background(rgb, alpha > 0) is None
    assert not thin_things(rgb, alpha, CM).any()
