"""Draw key lines on a picture, hidden where the mesh covers them: compiled loops over pixels.

A pixel of a line at depth z is drawn when the surface there is no more than `tolerance` metres in front of it, when
the surface belongs to a body part that the line may be seen through, or when there is no surface (part -1).
"""

from __future__ import annotations

import numpy as np

from stages.compiled import njit


@njit(error_model="numpy")
def draw_line(rgb, depth, part, start, end, colour, tolerance, seen_through, half_width):
    """Draw a one-pixel line (half_width 0.5), or an ellipse of `half_width` pixels at its middle, into `rgb`.

    `start`, `end`: x, y in pixels and z in metres. `seen_through`: bit mask of part numbers.
    """
    if start[2] <= 0 or end[2] <= 0:
        return
    height, width = depth.shape
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(abs(dx), abs(dy))
    if length > 8 * (width + height):
        return
    if half_width <= 0.5:
        steps = int(np.ceil(length)) + 1
        for step in range(steps):
            t = step / max(steps - 1, 1)
            _dot(rgb, depth, part, start[0] + t * dx, start[1] + t * dy, start[2] + t * (end[2] - start[2]),
                 colour, tolerance, seen_through)  # fmt: skip
        return
    squared = dx * dx + dy * dy
    left = max(0, int(np.floor(min(start[0], end[0]) - half_width)))
    right = min(width - 1, int(np.ceil(max(start[0], end[0]) + half_width)))
    top = max(0, int(np.floor(min(start[1], end[1]) - half_width)))
    bottom = min(height - 1, int(np.ceil(max(start[1], end[1]) + half_width)))
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            px, py = x + 0.5 - start[0], y + 0.5 - start[1]
            t = (px * dx + py * dy) / max(squared, 1e-6)
            if t < 0 or t > 1:
                continue
            across = abs(px * dy - py * dx) / np.sqrt(max(squared, 1e-6))
            if across <= max(0.5, half_width * np.sqrt(1 - (2 * t - 1) ** 2)):
                _dot(rgb, depth, part, x + 0.5, y + 0.5, start[2] + t * (end[2] - start[2]),
                     colour, tolerance, seen_through)  # fmt: skip


@njit(error_model="numpy")
def draw_dot(rgb, depth, part, centre, colour, tolerance, seen_through, radius):
    """Draw a diamond of `radius` pixels (1 is a cross) into `rgb`; it is visible or hidden as a whole."""
    if centre[2] <= 0 or not _visible(depth, part, centre[0], centre[1], centre[2], tolerance, seen_through):
        return
    x0, y0 = int(np.floor(centre[0])), int(np.floor(centre[1]))
    for y in range(max(0, y0 - radius), min(depth.shape[0] - 1, y0 + radius) + 1):
        for x in range(max(0, x0 - radius), min(depth.shape[1] - 1, x0 + radius) + 1):
            if abs(x - x0) + abs(y - y0) <= radius:
                rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2] = colour[0], colour[1], colour[2]


@njit(error_model="numpy")
def _visible(depth, part, x, y, z, tolerance, seen_through):
    column, row = int(np.floor(x)), int(np.floor(y))
    if column < 0 or row < 0 or column >= depth.shape[1] or row >= depth.shape[0]:
        return False
    number = part[row, column]
    if number < 0 or z - depth[row, column] < tolerance:
        return True
    return (seen_through >> number) & 1 == 1


@njit(error_model="numpy")
def _dot(rgb, depth, part, x, y, z, colour, tolerance, seen_through):
    if _visible(depth, part, x, y, z, tolerance, seen_through):
        row, column = int(np.floor(y)), int(np.floor(x))
        rgb[row, column, 0], rgb[row, column, 1], rgb[row, column, 2] = colour[0], colour[1], colour[2]
