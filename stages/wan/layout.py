"""The slots of one chunk: what the transformer reads where (paper 3.4, fig. 2).

A slot is one latent frame. Chunk 1 is `[ref | noisy]`, later ones `[ref | SAC | temporal | noisy]`; without SAC its
slot is left out. Each slot carries 36 channels: 16 of noise, 4 of mask, 16 of what is known. The mask is 1 where the
slot is known: ref, SAC and temporal. Motion is added to temporal and noisy slots, which are the chunk's own frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stages.errors import InputError

LAYOUT_VERSION = 1
"""Of the order of slots and channels; stands in latents and adapters, which are of no use to another."""
TEMPORAL_FACTOR, SPATIAL_FACTOR, PATCH = 4, 8, 2
"""Frames of a latent, pixels of a latent's side, latents of a token's side."""
SIZE_STEP = SPATIAL_FACTOR * PATCH
LATENT_CHANNELS, MASK_CHANNELS = 16, 4
TEXT_TOKENS, IMAGE_TOKENS = 512, 257
"""Of the prompt and of the photo. diffusers tells one from the other by the first number, wherever there are both."""


@dataclass(frozen=True)
class Layout:
    """One chunk's slots, in order: one reference, `anchor` (0 or 1), `temporal`, `noisy`."""

    anchor: int
    temporal: int
    noisy: int

    @property
    def lead(self) -> int:
        """Slots before the chunk's own frames: they get no motion, are not decoded, and bear no loss."""
        return 1 + self.anchor

    @property
    def video(self) -> int:
        """Slots of the chunk's own frames, which get motion and are decoded."""
        return self.temporal + self.noisy

    @property
    def slots(self) -> int:
        """All of them."""
        return self.lead + self.video

    def tokens(self, height: int, width: int) -> int:
        """Length of the transformer's sequence for a picture of that many pixels."""
        return self.slots * (height // SIZE_STEP) * (width // SIZE_STEP)


def layout(chunk_frames: int, overlap_frames: int, first: bool, sac: bool) -> Layout:
    """The layout of the first or of a later chunk. Raises InputError for lengths that are not 4n + 1."""
    total = latent_frames(chunk_frames)
    if first:
        return Layout(0, 0, total)
    temporal = latent_frames(overlap_frames)
    return Layout(int(sac), temporal, total - temporal)


def latent_frames(frames: int) -> int:
    """Latent frames of that many frames: the first alone, then four at a time."""
    if frames < 1 or (frames - 1) % TEMPORAL_FACTOR:
        raise InputError(f"{frames} frames do not fill whole latents; choose 4n + 1, such as 1, 5 or 77")
    return (frames - 1) // TEMPORAL_FACTOR + 1


def mask(layout: Layout, height: int, width: int) -> Float[Tensor, "1 4 slots h w"]:
    """1 where a slot is known. `height` and `width` in latents. The four channels are a latent's four frames."""
    known = torch.ones(layout.slots)
    known[layout.lead + layout.temporal :] = 0
    return known.view(1, 1, -1, 1, 1).expand(1, MASK_CHANNELS, layout.slots, height, width).contiguous()


def condition(
    layout: Layout,
    reference: Float[Tensor, "1 16 1 h w"],
    anchor: Float[Tensor, "1 16 1 h w"] | None,
    known: Float[Tensor, "1 16 video h w"],
) -> Float[Tensor, "1 20 slots h w"]:
    """Mask and known latents of all slots, constant while a chunk is denoised.

    `known` is the VAE's joint encoding of the frames known from the chunk before and grey ones for the rest: the
    latents of the unknown frames are not those of an all-grey clip, and the model was trained with this.
    """
    assert (anchor is None) == (layout.anchor == 0)
    assert known.shape[2] == layout.video
    slots = [reference, *([] if anchor is None else [anchor.to(reference)]), known.to(reference)]
    latents = torch.cat(slots, dim=2)
    return torch.cat([mask(layout, *latents.shape[3:]).to(latents), latents], dim=1)
