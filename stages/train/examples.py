"""A draw and the cache become what the transformer reads: the same slots, masks and conditions as at inference.

Chunk 1 is `[ref | noisy]`; a later chunk `[ref | temporal | noisy]`, or with an auxiliary frame
`[ref | auxiliary | temporal | noisy]`, the auxiliary where SAC puts its anchor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.artifacts.training_cache import CachedWindow, TrainingCache
from stages.train.random_draws import Draw
from stages.wan.denoise import noise
from stages.wan.layout import Layout, condition, layout


@dataclass(frozen=True)
class Example:
    """One sample, or several of one length, in float32 on the CPU. `clean` is z0 of every slot, `noise` z1."""

    layout: Layout
    clean: Float[Tensor, "samples 16 slots h w"]
    noise: Float[Tensor, "samples 16 slots h w"]
    condition: Float[Tensor, "samples 20 slots h w"]
    motion: Float[Tensor, "samples 16 video h w"]
    prompt_embeds: Float[Tensor, "samples text text_dim"]
    image_embeds: Float[Tensor, "samples image image_dim"]
    t: Float[Tensor, "samples"]

    def __len__(self) -> int:
        """How many samples."""
        return len(self.t)

    @property
    def noisy(self) -> Float[Tensor, "samples 16 slots h w"]:
        """z_t = (1 - t) z0 + t z1."""
        t = self.t[:, None, None, None, None]
        return (1 - t) * self.clean + t * self.noise


def together(samples: list[Example], at_once: int, key: Callable[[Layout], Any]) -> list[Example]:
    """The samples in groups of up to `at_once` whose layouts have one key, which must make their tensors one size."""
    groups: dict[Any, list[Example]] = {}
    for each in samples:
        groups.setdefault((each.layout.slots, each.layout.video, key(each.layout)), []).append(each)
    cut = [group[at : at + at_once] for group in groups.values() for at in range(0, len(group), at_once)]
    return [group[0] if len(group) == 1 else _stacked(group) for group in cut]


def _stacked(group: list[Example]) -> Example:
    tensors = {field.name: torch.cat([getattr(each, field.name) for each in group]) for field in fields(Example)[1:]}
    return Example(group[0].layout, **tensors)


def example(cache: TrainingCache, drawn: Draw) -> Example:
    """Read and put together one sample. Raises InputError for a damaged file."""
    window, index = cache.window(drawn.window), cache.index
    candidate = outside(window, index.chunk_frames, drawn.reference)
    reference = _tensor(window.reference(candidate, drawn.moved))
    auxiliary = None
    if drawn.auxiliary:
        auxiliary = _tensor(window.reference(int(drawn.auxiliary_frame * len(window.reference_frames)), False))
    known = window.read("known_latents") if drawn.temporal else cache.grey_latents
    return assembled(
        layout(index.chunk_frames, index.overlap_frames, not drawn.temporal, drawn.auxiliary),
        drawn, reference, auxiliary,
        _tensor(window.read("clip_latents")), _tensor(window.read("motion_latents")), _tensor(known),
        _tensor(cache.prompt_embeds), _tensor(window.image_embeds(candidate, drawn.moved)),
    )  # fmt: skip


def assembled(
    slots: Layout,
    drawn: Draw,
    reference: Float[Tensor, "1 16 1 h w"],
    auxiliary: Float[Tensor, "1 16 1 h w"] | None,
    clip: Float[Tensor, "1 16 video h w"],
    motion: Float[Tensor, "1 16 video h w"],
    known: Float[Tensor, "1 16 video h w"],
    prompt_embeds: Float[Tensor, "1 text text_dim"],
    image_embeds: Float[Tensor, "1 image image_dim"],
) -> Example:
    """The sample of those latents."""
    clean = torch.cat([reference, *([] if auxiliary is None else [auxiliary]), clip], dim=2)
    generator = torch.Generator().manual_seed(drawn.noise_seed)
    start = noise(slots, clean.shape[3], clean.shape[4], generator)
    return Example(
        slots,
        clean,
        start,
        condition(slots, reference, auxiliary, known),
        motion,
        prompt_embeds,
        image_embeds,
        torch.tensor([drawn.t]),
    )


def outside(window: CachedWindow, frames: int, choice: float) -> int:
    """A candidate that is no frame of the window, where there is one."""
    rows = window.reference_frames
    free = [at for at, row in enumerate(rows) if not window.start <= row < window.start + frames]
    free = free or list(range(len(rows)))
    return free[int(choice * len(free))]


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]
