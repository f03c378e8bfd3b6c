"""A condition map's frames, read once, as the overlapping windows that are encoded; a bounded number in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

from stages.wan.chunks import Chunk, source_row


def windows(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]], chunks: tuple[Chunk, ...], chunk_frames: int, total: int
) -> Iterator[UInt8[np.ndarray, "chunk_frames height width 3"]]:
    """One window a chunk; the last turns back at the clip's end. Holds at most two windows' frames.

    The end of the clip is never more than a window before the last chunk's start, so a window's length of earlier
    frames is all that turning back can ask for.
    """
    held: dict[int, np.ndarray] = {}
    coming = iter(enumerate(frames))
    for chunk in chunks:
        rows = [source_row(chunk.start + index, total) for index in range(chunk_frames)]
        while max(rows) not in held:
            row, frame = next(coming)
            held[row] = frame
        yield np.stack([held[row] for row in rows])
        for row in [row for row in held if row < chunk.start - chunk_frames]:
            del held[row]
