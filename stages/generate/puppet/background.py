"""The background behind the person: the photo, filled in where the person covers it.

The fill is a membrane (Laplace's equation, five times stiffer along rows so that floors and horizons stay level). In a
band along the edge of the hole, the fine texture of the surroundings is mirrored into the hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.compiled import njit
from stages.generate.puppet.nearest import nearest_marked

MOTION_REDUCTION = 8
"""Motion of the outline is measured on a picture this many times smaller."""
SOLVE_SIDE = 224
ROW_STIFFNESS = 5.0


@dataclass
class Backdrop:
    """The background at the size of the result."""

    photo: UInt8[np.ndarray, "height width 3"]
    plate: UInt8[np.ndarray, "height width 3"]
    """The photo with the person and a margin around them filled in."""
    alpha: Float[np.ndarray, "height width"]
    """Opacity of the person in the photo."""

    def background_for(self, opacity: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
        """The background for a person drawn with this opacity.

        The photo is used where the outline nearby has not moved. It keeps details that a matte does not contain: single
        hairs and the shadow. Where the outline moves, it fades to the filled background.
        """
        height, width = opacity.shape
        small = max(2, width // MOTION_REDUCTION), max(2, height // MOTION_REDUCTION)
        moved = cv2.resize(np.abs(opacity - self.alpha), small, interpolation=cv2.INTER_AREA)
        moved = cv2.resize(cv2.blur(cv2.blur(moved, (5, 5)), (5, 5)), (width, height), interpolation=cv2.INTER_LINEAR)
        keep = np.clip(1.0 - (moved - 0.015) / 0.04, 0.0, 1.0) * np.clip(1.0 - (self.alpha - 0.02) / 0.3, 0.0, 1.0)
        return mix(self.photo, self.plate, keep)


@njit(fastmath=True, nogil=True)
def mix(one, other, share):
    """share * one + (1 - share) * other, as uint8 (H, W, 3)."""
    out = np.empty_like(one)
    for y in range(one.shape[0]):
        for x in range(one.shape[1]):
            for k in range(3):
                value = share[y, x] * one[y, x, k] + (1.0 - share[y, x]) * other[y, x, k]
                out[y, x, k] = np.uint8(value + 0.5)
    return out


def fill_hole(
    rgb: UInt8[np.ndarray, "height width 3"], hole: Bool[np.ndarray, "height width"], band_px: float
) -> UInt8[np.ndarray, "height width 3"]:
    """The photo with `hole` filled; pixels outside the hole are unchanged."""
    if not hole.any():
        return rgb.copy()
    if hole.all():
        return np.broadcast_to(rgb.reshape(-1, 3).mean(0), rgb.shape).astype(np.uint8)
    height, width = hole.shape
    smooth = fill_smoothly(rgb, hole)
    low = cv2.GaussianBlur(rgb, (0, 0), max(1.0, band_px / 6))
    known = (~hole).astype(np.float32)
    weight = cv2.GaussianBlur(known, (0, 0), max(1.0, band_px / 6))[..., None]
    low = cv2.GaussianBlur(rgb * known[..., None], (0, 0), max(1.0, band_px / 6)) / np.maximum(weight, 1e-3)
    detail = (rgb - low) * known[..., None]
    distance, rows, columns = nearest_marked(~hole)
    y, x = np.mgrid[:height, :width]
    mirrored_y = np.clip(2 * rows - y, 0, height - 1)
    mirrored_x = np.clip(2 * columns - x, 0, width - 1)
    fade = np.clip(1.0 - distance / (1.2 * band_px), 0.0, 1.0)[..., None]
    filled = smooth + fade * detail[mirrored_y, mirrored_x]
    return np.where(hole[..., None], np.clip(filled + 0.5, 0, 255), rgb).astype(np.uint8)


def fill_smoothly(rgb: np.ndarray, hole: np.ndarray) -> Float[np.ndarray, "height width 3"]:
    """Solve the anisotropic Laplace equation inside the hole at SOLVE_SIDE pixels and enlarge the result."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    height, width = hole.shape
    scale = min(1.0, SOLVE_SIDE / max(height, width))
    size = max(2, round(width * scale)), max(2, round(height * scale))
    known = (~hole).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(rgb * known[..., None], size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-3)[..., None]
    unknown = share < 0.02
    if not unknown.any():
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    number = np.full(unknown.shape, -1)
    number[unknown] = np.arange(unknown.sum())
    y, x = np.nonzero(unknown)
    here = number[y, x]
    diagonal = np.zeros(len(y))
    right = np.zeros((len(y), 3))
    rows, columns, values = [], [], []
    for dy, dx, stiffness in ((0, 1, ROW_STIFFNESS), (0, -1, ROW_STIFFNESS), (1, 0, 1.0), (-1, 0, 1.0)):
        ny, nx = y + dy, x + dx
        inside = (ny >= 0) & (ny < size[1]) & (nx >= 0) & (nx < size[0])
        ny, nx = ny.clip(0, size[1] - 1), nx.clip(0, size[0] - 1)
        diagonal += stiffness * inside
        free = inside & unknown[ny, nx]
        fixed = inside & ~unknown[ny, nx]
        rows.append(here[free])
        columns.append(number[ny[free], nx[free]])
        values.append(np.full(free.sum(), -stiffness))
        right[fixed] += stiffness * small[ny[fixed], nx[fixed]]
    rows.append(here)
    columns.append(here)
    values.append(diagonal + 1e-6)
    matrix = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))).tocsc()
    small[y, x] = np.asarray(spsolve(matrix, right))
    return cv2.resize(small.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
