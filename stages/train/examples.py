"""Make the transformer's input from a random draw and the cache: slots, masks and conditions are those of generation.

Chunk 1 is `[ref | noisy]`. A later chunk is `[ref | temporal | noisy]`, or `[ref | auxiliary | temporal | noisy]` with
an auxiliary frame, which takes the slot of SAC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """One sample, or several of equal length, in float32 on the CPU. `clean` is z0 of every slot, `noise` z1."""

    layout: Layout
    clean: Float[Tensor, "samples 16 slots h w"]
    noise: Float[Tensor, "samples 16 slots h w"]
    condition: Float[Tensor, "samples 20 slots h w"]
    motion: Float[Tensor, "samples 16 video h w"]
    prompt_embeds: Float[Tensor, "samples text text_dim"]
    image_embeds: Float[Tensor, "samples image image_dim"]
    t: Float[Tensor, "samples"]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.t)

    @property
    def noisy(self) -> Float[Tensor, "samples 16 slots h w"]:
        """z_t = (1 - t) z0 + t z1."""
        t = self.t[:, None, None, None, None]
        return (1 - t) * self.clean + t * self.noise


def grouped(samples: list[Example], at_once: int, key: Callable[[Layout], Any]) -> list[Example]:
    """Batch samples in groups of up to `at_once`. A group has equal numbers of slots, of video slots, and equal
    `key`."""
    groups: dict[Any, list[Example]] = {}
    for each in samples:
        groups.setdefault((each.layout.slots, each.layout.video, key(each.layout)), []).append(each)
    cut = [group[at : at + at_once] for group in groups.values() for at in range(0, len(group), at_once)]
    return [group[0] if len(group) == 1 else _stacked(group) for group in cut]


def _stacked(group: list[Example]) -> Example:
    tensors = {field.name: torch.cat([getattr(each, field.name) for each in group]) for field in fields(Example)[1:]}
    return Example(group[0].layout, **tensors)


def read_example(caches: Sequence[TrainingCache], drawn: Draw) -> Example:
    """Read one sample from its cache. Raises InputError for a damaged file."""
    cache = caches[drawn.cache]
    window, index = cache.window(drawn.window), cache.index
    candidate = reference_outside_window(window, index.chunk_frames, drawn.reference)
    reference = _tensor(window.reference(candidate, drawn.augmented))
    auxiliary = None
    if drawn.auxiliary:
        auxiliary = _tensor(window.reference(int(drawn.auxiliary_frame * len(window.reference_frames)), False))
    known = window.read("known_latents") if drawn.temporal else cache.grey_latents
    return assemble(
        layout(index.chunk_frames, index.overlap_frames, not drawn.temporal, drawn.auxiliary),
        drawn, reference, auxiliary,
        _tensor(window.read("clip_latents")), _tensor(window.read("motion_latents")), _tensor(known),
        _tensor(cache.prompt_embeds), _tensor(window.image_embeds(candidate, drawn.augmented)),
    )  # fmt: skip


def assemble(
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
    """Put one sample together from its latents and embeddings."""
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


def reference_outside_window(window: CachedWindow, frames: int, choice: float) -> int:
    """Index of a reference candidate outside the window. `choice` in [0, 1) picks one; any candidate if all are
    inside."""
    rows = window.reference_frames
    outside = [at for at, row in enumerate(rows) if not window.start <= row < window.start + frames]
    outside = outside or list(range(len(rows)))
    return outside[int(choice * len(outside))]


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]
