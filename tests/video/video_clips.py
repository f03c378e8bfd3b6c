"""Pictures for the test videos."""

from __future__ import annotations

import numpy as np

RED, GREEN, BLUE, GREY = (230, 20, 20), (20, 230, 20), (20, 20, 230), (128, 128, 128)


def quadrants(width: int = 64, height: int = 32) -> np.ndarray:
    """Red, green, blue and grey quarters, row by row: the corners show any rotation or mirroring."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = BLUE, GREY
    return rgb


def corner_colours(rgb: np.ndarray) -> list[str]:
    """Names of the colours at top left, top right, bottom left, bottom right."""
    names = {"red": RED, "green": GREEN, "blue": BLUE, "grey": GREY}
    corners = [rgb[3, 3], rgb[3, -4], rgb[-4, 3], rgb[-4, -4]]
    return [
        min(names, key=lambda name: np.abs(np.subtract(names[name], corner, dtype=float)).sum()) for corner in corners
    ]


def moving(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """A white bar that moves 2 px per frame over a gradient."""
    background = np.broadcast_to(np.linspace(20, 160, width)[None, :, None], (height, width, 3)).astype(np.uint8)
    frames = []
    for index in range(count):
        frame = background.copy()
        frame[:, (2 * index) % width : (2 * index) % width + 6] = 255
        frames.append(frame)
    return frames
