"""Solve the normal equations of a chain of frames that share one shape.

    [ H   C ] [ x ]   [ g   ]      H: block tridiagonal, one dense block a frame, diagonal blocks between neighbours
    [ C'  S ] [ s ] = [ g_s ]      (smoothness couples a column only with itself); C, S: the shape, an arrow

Block Thomas elimination, then the Schur complement of the shape (notes/tracker 4). Double precision.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def solve(
    blocks: Float[np.ndarray, "frames columns columns"],
    between: Float[np.ndarray, "links columns"],
    arrow: Float[np.ndarray, "frames columns shape"],
    shape_block: Float[np.ndarray, "shape shape"],
    gradient: Float[np.ndarray, "frames columns"],
    shape_gradient: Float[np.ndarray, "shape"],
) -> tuple[Float[np.ndarray, "frames columns"], Float[np.ndarray, "shape"]]:
    """x and s. `between` has one row fewer than frames. Raises np.linalg.LinAlgError when not positive definite."""
    right = np.concatenate([gradient[..., None], arrow], -1)
    inverses = np.empty_like(blocks)
    inverse = _inverse(blocks[0])
    inverses[0] = inverse
    for frame in range(1, len(blocks)):
        link = between[frame - 1]
        inverse = _inverse(blocks[frame] - link[:, None] * inverse * link)
        inverses[frame] = inverse
        right[frame] -= link[:, None] * (inverses[frame - 1] @ right[frame - 1])
    right[-1] = inverses[-1] @ right[-1]
    for frame in range(len(blocks) - 2, -1, -1):
        right[frame] = inverses[frame] @ (right[frame] - between[frame][:, None] * right[frame + 1])
    free, coupled = right[..., 0], right[..., 1:]
    if not arrow.shape[-1]:
        return free, np.zeros(0)
    flat_arrow = arrow.reshape(-1, arrow.shape[-1])
    schur = shape_block - flat_arrow.T @ coupled.reshape(flat_arrow.shape)
    shape = np.linalg.solve(schur, shape_gradient - flat_arrow.T @ free.reshape(-1))
    return free - coupled @ shape, shape


def _inverse(matrix: Float[np.ndarray, "columns columns"]) -> Float[np.ndarray, "columns columns"]:
    """Inverse of a symmetric positive definite matrix by Cholesky: half the work of a general one."""
    from scipy.linalg import get_lapack_funcs

    potrf, potri = get_lapack_funcs(("potrf", "potri"), (matrix,))
    factor, failed = potrf(matrix, lower=1, clean=0)
    if failed:
        raise np.linalg.LinAlgError("normal equations are not positive definite")
    inverse, failed = potri(factor, lower=1)
    if failed:
        raise np.linalg.LinAlgError("normal equations are singular")
    lower = np.tril(inverse)
    return lower + np.tril(inverse, -1).T
