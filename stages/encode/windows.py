"""Cut a condition map's frames into the overlapping windows that are encoded. Reads the map once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import UInt8

from stages.wan.chunks import Chunk, source_row


def windows(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]], chunks: tuple[Chunk, ...], chunk_frames: int, total: int
) -> Iterator[UInt8[np.ndarray, "chunk_frames height width 3"]]:
    """One window per chunk. Past the clip's end, the last window runs backwards. Holds at most two windows of frames.

    Running backwards never reaches more than one window before the last chunk's start, so older frames can be dropped.
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
