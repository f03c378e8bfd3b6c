"""The person's matte: a network's first guess, refined by GrabCut with seeds from the fitted mesh, with soft edges.

Works on pictures and masks only; the mask of the mesh is an argument.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from stages.generate.puppet.nearest import nearest_marked
from stages.raster.masks import dilate, erode, keep_touching

GRABCUT_SIDE = 512
SURE, SURE_CM = 0.8, 0.8


def person_alpha(
    rgb: UInt8[np.ndarray, "height width 3"],
    guess: Float[np.ndarray, "height width"],
    mesh: Bool[np.ndarray, "height width"],
    certain: Bool[np.ndarray, "height width"],
    centimetre_px: float,
) -> Float[np.ndarray, "height width"]:
    """Opacity of the person, 0 to 1.

    guess: the segmentation network's share of person. mesh: pixels covered by the fitted body. certain: pixels that are
    always person (shins, feet). centimetre_px: one centimetre at the person, in pixels.
    """
    solid = grabcut(rgb, guess, mesh, certain, centimetre_px)
    solid = keep_touching(solid, mesh | certain)
    solid = fill_pinholes(solid, int((6 * centimetre_px) ** 2) + 16)
    alpha = soften_edges(rgb, solid, max(2, round(1.2 * centimetre_px)))
    return np.maximum(alpha, sure_person(guess, centimetre_px))


def sure_person(guess: Float[np.ndarray, "height width"], centimetre_px: float) -> Bool[np.ndarray, "height width"]:
    """Pixels that the network is sure of, SURE_CM inside their outline: dark hair before a dark wall has no edge."""
    return erode(guess > SURE, SURE_CM * centimetre_px)


def grabcut(
    rgb: np.ndarray, guess: np.ndarray, mesh: np.ndarray, certain: np.ndarray, centimetre_px: float
) -> Bool[np.ndarray, "height width"]:
    """GrabCut (Rother et al. 2004): three iterations at no more than GRABCUT_SIDE pixels."""
    height, width = guess.shape
    scale = min(1.0, GRABCUT_SIDE / max(height, width))
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    guess_small = cv2.resize(guess.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    mesh_small = cv2.resize(mesh.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    certain_small = cv2.resize(certain.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    core = erode(mesh_small, 2.0 * centimetre_px * scale)
    reach = dilate(mesh_small, 6.0 * centimetre_px * scale)
    sure = sure_person(guess_small, centimetre_px * scale)
    seeds = np.where(guess_small > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[(guess_small < 0.05) & ~reach] = cv2.GC_BGD
    seeds[(guess_small > 0.95) | (core & (guess_small > 0.3)) | certain_small | sure] = cv2.GC_FGD
    if not (seeds == cv2.GC_FGD).any() or not (seeds == cv2.GC_BGD).any():
        return guess > 0.5
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(small[..., ::-1]), seeds, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)
    person = ((seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD)).astype(np.float32)
    return cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def fill_pinholes(mask: np.ndarray, area: int) -> Bool[np.ndarray, "height width"]:
    """Close holes smaller than `area` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < area
    small[0] = False
    return mask | small[np.asarray(labels, int)]


def soften_edges(rgb: np.ndarray, solid: np.ndarray, radius: int) -> Float[np.ndarray, "height width"]:
    """A matte that follows the photo's edges in a band around the hard outline (guided filter, He et al. 2013)."""
    guide = rgb.astype(np.float32) / 255.0
    target = solid.astype(np.float32)
    alpha = guided_filter(guide, target, radius * 2, 1e-4)
    band = dilate(solid, 2.0 * radius) & ~erode(solid, 2.0 * radius)
    alpha = np.where(band, alpha, target)
    return np.clip((alpha - 0.06) / 0.88, 0.0, 1.0).astype(np.float32)


def guided_filter(guide: np.ndarray, target: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Colour guided filter (He, Sun and Tang 2013, eq. 14 to 16) of a target of 0 and 1: no slope where it is even."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(image, -1, size, borderType=cv2.BORDER_REFLECT)

    centre, mean_target = mean(guide), mean(target)
    covariance = np.empty((*target.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            covariance[..., i, j] = mean(guide[..., i] * guide[..., j]) - centre[..., i] * centre[..., j]
            covariance[..., j, i] = covariance[..., i, j]
        covariance[..., i, i] += epsilon
    cross = np.stack([mean(guide[..., i] * target) - centre[..., i] * mean_target for i in range(3)], -1)
    slope = np.zeros_like(centre)
    edge = (mean_target > 1e-6) & (mean_target < 1 - 1e-6)
    slope[edge] = np.linalg.solve(covariance[edge], cross[edge][..., None])[..., 0]
    offset = mean_target - (slope * centre).sum(-1)
    return (np.stack([mean(slope[..., i]) for i in range(3)], -1) * guide).sum(-1) + mean(offset)


def solid_colours(
    rgb: UInt8[np.ndarray, "height width 3"], alpha: Float[np.ndarray, "height width"], radius: float
) -> UInt8[np.ndarray, "height width 3"]:
    """The person's colour at all pixels: the photo inside the matte, elsewhere the nearest opaque pixel, smoothed."""
    solid = erode(alpha > 0.97, radius)
    if not solid.any():
        solid = alpha >= min(0.5, float(alpha.max()))
    _, rows, columns = nearest_marked(solid)
    spread = rgb[rows, columns]
    smooth = cv2.GaussianBlur(spread, (0, 0), max(1.0, radius))
    return np.where(solid[..., None], rgb, smooth)


def foreground_colours(
    rgb: UInt8[np.ndarray, "height width 3"],
    alpha: Float[np.ndarray, "height width"],
    behind: UInt8[np.ndarray, "height width 3"],
    prior: UInt8[np.ndarray, "height width 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Foreground F with alpha F + (1 - alpha) behind = photo; fades to `prior` where alpha is near zero."""
    weight = alpha[..., None]
    exact = (rgb - (1.0 - weight) * behind) / np.maximum(weight, 0.05)
    trust = np.clip((weight - 0.1) / 0.5, 0.0, 1.0)
    return np.clip(trust * exact + (1.0 - trust) * prior + 0.5, 0, 255).astype(np.uint8)
