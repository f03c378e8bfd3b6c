"""A clip of any length as overlapping chunks of equal length: where each starts, how many frames it adds, and which
frames fill the last."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from stages.errors import InputError
from stages.wan.layout import latent_frames


@dataclass(frozen=True)
class Chunk:
    """Frames `start` to `start + chunk_frames`. The first `known` of them come from the chunk before.

    The next `new` frames are added to the clip. Frames after those repeat the clip backwards and are discarded.
    """

    number: int
    start: int
    known: int
    new: int


def plan_chunks(frames: int, chunk_frames: int, overlap_frames: int) -> tuple[Chunk, ...]:
    """The chunks that cover `frames` frames, at least one. Raises InputError for lengths that do not fit together."""
    check_lengths(chunk_frames, overlap_frames)
    if frames < 1:
        raise InputError("the clip has no frames, so there is nothing to generate; check the condition map")
    step = chunk_frames - overlap_frames
    count = 1 + max(0, ceil((frames - chunk_frames) / step))
    chunks = []
    for number in range(count):
        start, known = number * step, overlap_frames if number else 0
        chunks.append(Chunk(number, start, known, min(frames - start, chunk_frames) - known))
    return tuple(chunks)


def check_lengths(chunk_frames: int, overlap_frames: int) -> None:
    """Raises InputError unless both are 4n + 1 and every chunk adds new frames."""
    latent_frames(chunk_frames)
    latent_frames(overlap_frames)
    if overlap_frames >= chunk_frames:
        raise InputError(f"chunks of {chunk_frames} frames cannot overlap by {overlap_frames}; choose fewer, such as 5")


def source_row(index: int, frames: int) -> int:
    """The clip's frame at `index`. Past its end the clip runs backwards, then forwards again (ping-pong)."""
    if frames == 1:
        return 0
    turned = index % (2 * (frames - 1))
    return turned if turned < frames else 2 * (frames - 1) - turned
