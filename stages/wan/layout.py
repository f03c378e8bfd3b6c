"""The slots of one chunk: which latents the transformer reads in which order (paper 3.4, fig. 2).

A slot is one latent frame. Chunk 1 is `[ref | noisy]`; later chunks are `[ref | SAC | temporal | noisy]`, or
`[ref | temporal | noisy]` without SAC. A slot has 36 channels: 16 of noise, 4 of mask, 16 of known latents. The mask is
1 where the slot is known: ref, SAC and temporal. Motion is added to temporal and noisy slots, which are the chunk's own
frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stages.errors import InputError

LAYOUT_VERSION = 1
"""Version of the order of slots and channels. Latents and adapters store it and work with the same version only."""
TEMPORAL_FACTOR, SPATIAL_FACTOR, PATCH = 4, 8, 2
"""Frames per latent, pixels per side of a latent, latents per side of a token."""
SIZE_STEP = SPATIAL_FACTOR * PATCH
"""Width and height in pixels must be multiples of this."""
LATENT_CHANNELS, MASK_CHANNELS = 16, 4
TEXT_TOKENS, IMAGE_TOKENS = 512, 257
"""Number of tokens of the prompt and of the photo. Where a model reads both, diffusers separates them by the first."""


@dataclass(frozen=True)
class Layout:
    """Number of a chunk's slots of each kind, in order: one reference, `anchor` (SAC, 0 or 1), `temporal`, `noisy`."""

    anchor: int
    temporal: int
    noisy: int

    @property
    def lead(self) -> int:
        """Number of slots before the chunk's own frames. They get no motion, are not decoded, and have no loss."""
        return 1 + self.anchor

    @property
    def video(self) -> int:
        """Number of slots of the chunk's own frames, which get motion and are decoded."""
        return self.temporal + self.noisy

    @property
    def slots(self) -> int:
        """Number of all slots."""
        return self.lead + self.video

    def tokens(self, height: int, width: int) -> int:
        """Number of the transformer's tokens; `height` and `width` in pixels."""
        return self.slots * (height // SIZE_STEP) * (width // SIZE_STEP)


def layout(chunk_frames: int, overlap_frames: int, first: bool, sac: bool) -> Layout:
    """The layout of the first or a later chunk. Raises InputError for lengths that are not 4n + 1."""
    total = latent_frames(chunk_frames)
    if first:
        return Layout(0, 0, total)
    temporal = latent_frames(overlap_frames)
    return Layout(int(sac), temporal, total - temporal)


def latent_frames(frames: int) -> int:
    """Number of latent frames for that many frames: one for the first frame, then one per four frames."""
    if frames < 1 or (frames - 1) % TEMPORAL_FACTOR:
        raise InputError(f"{frames} frames cannot be encoded; choose 4n + 1 frames, such as 1, 5 or 77")
    return (frames - 1) // TEMPORAL_FACTOR + 1


def chunk_frames(layout: Layout) -> int:
    """Number of the frames of a chunk with that layout."""
    return TEMPORAL_FACTOR * (layout.video - 1) + 1


def mask(
    layout: Layout, height: int, width: int, kept: Float[Tensor, "frames h w"] | None = None
) -> Float[Tensor, "1 4 slots h w"]:
    """1 where a slot is known, else 0. `height` and `width` in latents. One channel per frame of a latent.

    `kept` is 1 in the parts of the chunk's frames that are known beforehand, as a background is. The first frame has a
    latent of its own and fills its four channels.
    """
    known = torch.ones(1, MASK_CHANNELS, layout.slots, height, width)
    noisy = layout.lead + layout.temporal
    known[:, :, noisy:] = 0
    if kept is not None:
        frames = torch.cat([kept[:1].expand(TEMPORAL_FACTOR, -1, -1), kept[1:]])
        parts = frames.unflatten(0, (-1, TEMPORAL_FACTOR)).transpose(0, 1)
        known[0, :, noisy:] = parts[:, layout.temporal :]
    return known


def condition(
    layout: Layout,
    reference: Float[Tensor, "1 16 1 h w"],
    anchor: Float[Tensor, "1 16 1 h w"] | None,
    known: Float[Tensor, "1 16 video h w"],
    kept: Float[Tensor, "frames h w"] | None = None,
) -> Float[Tensor, "1 20 slots h w"]:
    """Mask and known latents of all slots. They stay the same while a chunk is denoised.

    `known` is the VAE's encoding of the frames known from the chunk before, followed by grey frames, encoded together.
    So the latents of the unknown frames differ from those of an all-grey clip; the model was trained with this. When a
    person is replaced, the background takes the place of grey, and `kept` is 1 where it stays.
    """
    assert (anchor is None) == (layout.anchor == 0)
    assert known.shape[2] == layout.video
    slots = [reference, *([] if anchor is None else [anchor.to(reference)]), known.to(reference)]
    latents = torch.cat(slots, dim=2)
    return torch.cat([mask(layout, *latents.shape[3:], kept=kept).to(latents), latents], dim=1)
