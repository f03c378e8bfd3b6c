"""A clip of any length as overlapping chunks of one length: where each starts, what it adds, how the last is filled."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from stages.errors import InputError
from stages.wan.layout import latent_frames


@dataclass(frozen=True)
class Chunk:
    """Frames `start` to `start + chunk_frames`, of which the first `known` come from the chunk before.

    `new` frames are added to the clip; what lies behind them repeats the clip backwards and is cut away.
    """

    number: int
    start: int
    known: int
    new: int


def plan_chunks(frames: int, chunk_frames: int, overlap_frames: int) -> tuple[Chunk, ...]:
    """The chunks that cover `frames` frames, at least one. Raises InputError for lengths that do not fit together."""
    check_lengths(chunk_frames, overlap_frames)
    if frames < 1:
        raise InputError("a clip without frames cannot be generated")
    step = chunk_frames - overlap_frames
    count = 1 + max(0, ceil((frames - chunk_frames) / step))
    chunks = []
    for number in range(count):
        start, known = number * step, overlap_frames if number else 0
        chunks.append(Chunk(number, start, known, min(frames - start, chunk_frames) - known))
    return tuple(chunks)


def check_lengths(chunk_frames: int, overlap_frames: int) -> None:
    """Raises InputError unless both fill whole latents and each chunk adds something."""
    latent_frames(chunk_frames)
    latent_frames(overlap_frames)
    if overlap_frames >= chunk_frames:
        raise InputError(f"chunks of {chunk_frames} frames cannot overlap by {overlap_frames}; choose fewer, such as 5")


def source_row(index: int, frames: int) -> int:
    """Row of the clip shown at `index` when it runs on past its end by turning back, and back again (ping-pong)."""
    if frames == 1:
        return 0
    turned = index % (2 * (frames - 1))
    return turned if turned < frames else 2 * (frames - 1) - turned
