"""Points that are skinned without a mesh.

A posed vertex is a sum over joints, x = sum_k w_k (R_k v + t_k), with the vertex's rest place v and weights w_k. So
is a point inside a triangle. Written as x = sum_k (R_k a_k + w_k t_k) with a_k = w_k v, such a point needs only the
joints that move it; a few thousand of them cost less than the mesh. Pose correctives and expressions are left out: they
move the skin by millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from stages.body.skinning import SparseWeights


@dataclass(frozen=True)
class SkinnedPoints:
    """Point p has the entries `start[p]:start[p + 1]`, one per joint that moves it; a point without any stays at 0."""

    start: Int[np.ndarray, "points_and_end"]
    joint: Int[np.ndarray, "entries"]
    at: Float[np.ndarray, "entries 3"]
    weight: Float[np.ndarray, "entries"]

    def __len__(self) -> int:
        """Number of points."""
        return len(self.start) - 1

    def towards(self, other: SkinnedPoints, share: float) -> SkinnedPoints:
        """The same points of a body between this one's and the other's."""
        return replace(self, at=self.at + share * (other.at - self.at))


def skinned_vertices(
    weights: SparseWeights, template: Float[np.ndarray, "vertices 3"], vertices: Int[np.ndarray, "points"]
) -> SkinnedPoints:
    """Some of a person's vertices as skinned points."""
    counts = (weights.start[1:] - weights.start[:-1])[vertices]
    start = np.concatenate([[0], np.cumsum(counts)])
    entries = np.repeat(weights.start[vertices] - start[:-1], counts) + np.arange(start[-1])
    weight = weights.weight[entries].astype(np.float64)
    at = weight[:, None] * np.repeat(template[vertices].astype(np.float64), counts, 0)
    return SkinnedPoints(start.astype(np.int64), weights.joint[entries].astype(np.int64), at, weight)


def skinned_in_faces(
    weights: Float[np.ndarray, "vertices joints"],
    template: Float[np.ndarray, "vertices 3"],
    corners: Int[np.ndarray, "points 3"],
    barycentric: Float[np.ndarray, "points 3"],
) -> SkinnedPoints:
    """Points in triangles as skinned points; a corner of -1 means a point that no joint moves (on the floor)."""
    joints, ats, sums, counts = [], [], [], [0]
    for three, share in zip(corners, barycentric.astype(np.float64), strict=True):
        dense = share[:, None] * weights[three].astype(np.float64) * (three >= 0)[:, None]
        used = np.flatnonzero(dense.sum(0) > 0)
        joints.append(used)
        ats.append(dense[:, used].T @ template[three].astype(np.float64))
        sums.append(dense[:, used].sum(0))
        counts.append(len(used))
    if not joints:
        return SkinnedPoints(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0))
    return SkinnedPoints(
        np.cumsum(counts), np.concatenate(joints).astype(np.int64), np.concatenate(ats), np.concatenate(sums)
    )


def place(
    points: SkinnedPoints, transforms: Float[np.ndarray, "frames joints 3 4"]
) -> Float[np.ndarray, "frames points 3"]:
    """Where the points are."""
    from stages.contacts.kernels import place_points

    placed = np.zeros((len(transforms), len(points), 3))
    place_points(points.start, points.joint, points.at, points.weight, transforms, placed)
    return placed
