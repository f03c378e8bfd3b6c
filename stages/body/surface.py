"""The nearest point of a triangle mesh."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

CANDIDATES = 24


def closest_on_surface(
    points: Float[np.ndarray, "points 3"], vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Int[np.ndarray, "points"], Float[np.ndarray, "points 3"]]:
    """Per point, the nearest triangle (row of `faces`) and the barycentric coordinates of the nearest point on it.

    Checks the CANDIDATES triangles with the nearest centres, which is enough for triangles of similar size.
    """
    from scipy.spatial import KDTree

    centres = vertices[faces].mean(1)
    near = np.asarray(KDTree(centres).query(points, min(CANDIDATES, len(faces)))[1])
    corners = vertices[faces[near]]
    weights = closest_barycentric(points[:, None], corners)
    distance = np.linalg.norm(np.einsum("pck,pckx->pcx", weights, corners) - points[:, None], axis=-1)
    best = distance.argmin(1)
    rows = np.arange(len(points))
    return near[rows, best], weights[rows, best]


def closest_barycentric(
    point: Float[np.ndarray, "*#batch 3"], corners: Float[np.ndarray, "*#batch 3 3"]
) -> Float[np.ndarray, "*batch_of_both 3"]:
    """Barycentric coordinates of the triangle's point nearest to `point`: inside it, or on one of its three edges."""
    a, b, c = np.moveaxis(corners, -2, 0)
    ab, ac, ap = b - a, c - a, point - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = np.stack([1 - v - w, v, w], -1)
    options = np.stack([_on_edge(point, corners, first) for first in range(3)])
    places = np.einsum("o...k,...kx->o...x", options, corners)
    best = np.linalg.norm(places - point, axis=-1).argmin(0)
    on_edge = np.take_along_axis(options, best[None, ..., None], 0)[0]
    return np.where((inside >= 0).all(-1, keepdims=True), inside, on_edge)


def _on_edge(point: np.ndarray, corners: np.ndarray, first: int) -> np.ndarray:
    """Weights of the nearest point on the edge from corner `first` to the next corner."""
    second = (first + 1) % 3
    start, along = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
    share = ((point - start) * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-30)
    share = np.clip(share, 0, 1)
    weights = np.zeros((*share.shape, 3))
    weights[..., first], weights[..., second] = 1 - share, share
    return weights
