"""Solve the normal equations of a chain of frames that share one shape.

    [ H   C ] [ x ]   [ g   ]      H: block tridiagonal, one dense block per frame, diagonal blocks between neighbours
    [ C'  S ] [ s ] = [ g_s ]      (smoothness couples a column only with itself); C, S: the shared shape (the arrow)

Block Thomas elimination runs from both ends to the middle at the same time. The Schur complement of the shape follows
(notes/tracker 4). Double precision.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.track.threads import invert_positive_definite, on_all_cores


def solve(
    blocks: Float[np.ndarray, "frames columns columns"],
    between: Float[np.ndarray, "links columns"],
    arrow: Float[np.ndarray, "frames columns shape"],
    shape_block: Float[np.ndarray, "shape shape"],
    gradient: Float[np.ndarray, "frames columns"],
    shape_gradient: Float[np.ndarray, "shape"],
) -> tuple[Float[np.ndarray, "frames columns"], Float[np.ndarray, "shape"]]:
    """Return x and s. `between` has one row fewer than there are frames; `blocks` is overwritten.

    Raises np.linalg.LinAlgError when the matrix is not positive definite.
    """
    right = np.concatenate([gradient[..., None], arrow], -1)
    middle, halves = len(blocks) // 2, _halves(blocks, between, right)
    on_all_cores(_eliminate, halves)
    for block, link, rows in halves:
        _subtract_outer_frame(block, link, rows, len(block) - 1)
    invert_positive_definite(blocks[middle])
    right[middle] = blocks[middle] @ right[middle]
    on_all_cores(_substitute, halves)
    free, coupled = right[..., 0], right[..., 1:]
    if not arrow.shape[-1]:
        return free, np.zeros(0)
    flat_arrow = arrow.reshape(-1, arrow.shape[-1])
    schur = shape_block - flat_arrow.T @ coupled.reshape(flat_arrow.shape)
    shape = np.linalg.solve(schur, shape_gradient - flat_arrow.T @ free.reshape(-1))
    return free - coupled @ shape, shape


def marginals(blocks: Float[np.ndarray, "frames columns columns"], between: Float[np.ndarray, "links columns"]) -> None:
    """Replace every block of H by the block of H's inverse at the same place: the marginal covariance of a frame.

    Takahashi's recurrence over the elimination of `solve`, from the middle frame to the outer ones. Raises
    np.linalg.LinAlgError when H is not positive definite.
    """
    middle, nothing = len(blocks) // 2, np.zeros((*blocks.shape[:2], 0))
    halves = _halves(blocks, between, nothing)
    on_all_cores(_eliminate, halves)
    for block, link, rows in halves:
        _subtract_outer_frame(block, link, rows, len(block) - 1)
    invert_positive_definite(blocks[middle])
    on_all_cores(_add_inner_frames, halves)


def _add_inner_frames(half: Half) -> None:
    """Add to each inverse what the frames towards the middle leave uncertain."""
    blocks, links, _ = half
    for frame in range(len(blocks) - 2, -1, -1):
        linked = blocks[frame] * links[frame]
        blocks[frame] += linked @ blocks[frame + 1] @ linked.T


Half = tuple[
    Float[np.ndarray, "half columns columns"],
    Float[np.ndarray, "half-1 columns"],
    Float[np.ndarray, "half columns right"],
]
"""Views of one half of the clip, from its outer frame to the middle frame: blocks, links, right sides."""


def _halves(blocks, between, right) -> list[Half]:
    """Both halves of a clip, which share the middle frame."""
    middle = len(blocks) // 2
    return [
        (blocks[: middle + 1], between[:middle], right[: middle + 1]),
        (blocks[: middle - 1 : -1] if middle else blocks[::-1], between[middle:][::-1], right[middle:][::-1]),
    ]


def _eliminate(half: Half) -> None:
    """Replace every block except the last by the inverse of its Schur complement against the outer frames."""
    blocks, links, right = half
    for frame in range(len(blocks) - 1):
        _subtract_outer_frame(blocks, links, right, frame)
        invert_positive_definite(blocks[frame])


def _subtract_outer_frame(blocks, links, right, frame: int) -> None:
    """Subtract the contribution of the next outer frame, which is already eliminated."""
    if frame:
        link = links[frame - 1]
        blocks[frame] -= link[:, None] * blocks[frame - 1] * link
        right[frame] -= link[:, None] * (blocks[frame - 1] @ right[frame - 1])


def _substitute(half: Half) -> None:
    """Back substitution from the middle to the outer frame."""
    blocks, links, right = half
    for frame in range(len(blocks) - 2, -1, -1):
        right[frame] = blocks[frame] @ (right[frame] - links[frame][:, None] * right[frame + 1])
