"""Text over a picture is seen, what moves with the picture and what only stands in a row is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stages.curate.config import CurateConfig
from stages.curate.still_text import EVERY, StillText

HEIGHT, WIDTH = 240, 320
FRAMES = 6


def scene(shift: int) -> np.ndarray:
    """A soft random wall that is passed by."""
    random = np.random.default_rng(0)
    wall = cv2.GaussianBlur(random.uniform(0, 255, (HEIGHT, 2 * WIDTH, 3)), (0, 0), 6)
    wall = 120 + 4 * (wall - wall.mean())
    return np.clip(np.roll(wall, shift, 1)[:, :WIDTH], 0, 255).astype(np.uint8)


def written(picture: np.ndarray, text: str, x: int, opacity: float) -> np.ndarray:
    """The picture with a text at its lower edge."""
    over = cv2.putText(picture.copy(), text, (x, HEIGHT - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 2)
    return cv2.addWeighted(over, opacity, picture, 1 - opacity, 0)


def letters(frames: list[np.ndarray]) -> int:
    """Found in a clip that shows each of them as long as one frame in so many is looked at."""
    seen = StillText()
    for frame in frames:
        for _ in range(EVERY):
            seen.add_frame(frame)
    return seen.letters()


@pytest.mark.parametrize("opacity", [1.0, 0.5])
def test_text_over_a_moving_picture_is_seen(opacity: float) -> None:
    """Eight letters in a row that stay, opaque or half transparent, count as more than the filter lets pass; without
    them there are hardly any."""
    frames = [scene(9 * number) for number in range(FRAMES)]
    assert letters(frames) <= 3
    assert CurateConfig().max_letters < letters([written(each, "overlays", 30, opacity) for each in frames]) <= 8


def test_text_that_moves_is_part_of_the_scene() -> None:
    """The same text on something that goes by is no overlay."""
    assert letters([written(scene(9 * number), "overlays", 20 + 12 * number, 1.0) for number in range(FRAMES)]) <= 3


def test_a_row_of_windows_is_no_text() -> None:
    """Solid blocks of like size in a row, which stay, are not letters."""
    frames = [scene(9 * number) for number in range(FRAMES)]
    for frame in frames:
        for left in range(20, 260, 24):
            frame[180:200, left : left + 14] = 240
    assert letters(frames) <= 3
