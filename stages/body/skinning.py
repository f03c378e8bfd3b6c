"""Linear blend skinning of whole meshes, the inner loop of the forward pass, compiled with numba.

`skin_slowly` is a simple version without numba, used only in tests to compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from inspect import unwrap
from typing import Any

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class SparseWeights:
    """Skinning weights without zeros: vertex v has the entries `start[v]:start[v + 1]`."""

    start: Int[np.ndarray, "vertices_and_end"]
    joint: Int[np.ndarray, "entries"]
    weight: Float[np.ndarray, "entries"]

    @staticmethod
    def of(weights: Float[np.ndarray, "vertices 55"]) -> SparseWeights:
        """Keep the nonzero weights."""
        vertex, joint = np.nonzero(weights)
        start = np.searchsorted(vertex, np.arange(len(weights) + 1))
        return SparseWeights(start.astype(np.int32), joint.astype(np.int32), weights[vertex, joint].astype(np.float32))


def skin(
    rest: Float[np.ndarray, "frames vertices 3"],
    weights: SparseWeights,
    transforms: Float[np.ndarray, "frames joints 3 4"],
) -> Float[np.ndarray, "frames vertices 3"]:
    """Move each vertex by the weighted mean of its joints' transforms. 0.5 ms per frame for 13,718 vertices."""
    rest = np.ascontiguousarray(rest, np.float32)
    transforms = np.ascontiguousarray(transforms, np.float32)
    posed = np.empty_like(rest)
    _compiled_skin()(rest, weights.start, weights.joint, weights.weight, transforms, posed)
    return posed


def skin_slowly(
    rest: Float[np.ndarray, "frames vertices 3"],
    weights: Float[np.ndarray, "vertices joints"],
    transforms: Float[np.ndarray, "frames joints 3 4"],
) -> Float[np.ndarray, "frames vertices 3"]:
    """`skin` with dense weights, in numpy."""
    blended = np.einsum("vj,fjab->fvab", weights, transforms, optimize=True)
    return np.einsum("fvab,fvb->fva", blended[..., :3], rest) + blended[..., 3]


@cache
def _compiled_skin() -> Any:
    """`_skin`, compiled on first use because numba is slow to import, and cached on disk."""
    from stages.compiled import njit

    return njit(nogil=True, boundscheck=False)(unwrap(_skin))


def _skin(rest: Any, start: Any, joints: Any, weights: Any, transforms: Any, posed: Any) -> None:
    for frame in range(rest.shape[0]):
        for vertex in range(rest.shape[1]):
            x, y, z = rest[frame, vertex, 0], rest[frame, vertex, 1], rest[frame, vertex, 2]
            px = py = pz = np.float32(0.0)
            for entry in range(start[vertex], start[vertex + 1]):
                move, weight = transforms[frame, joints[entry]], weights[entry]
                px += weight * (move[0, 0] * x + move[0, 1] * y + move[0, 2] * z + move[0, 3])
                py += weight * (move[1, 0] * x + move[1, 1] * y + move[1, 2] * z + move[1, 3])
                pz += weight * (move[2, 0] * x + move[2, 1] * y + move[2, 2] * z + move[2, 3])
            posed[frame, vertex, 0], posed[frame, vertex, 1], posed[frame, vertex, 2] = px, py, pz
