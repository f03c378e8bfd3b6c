"""Weights in page-locked host memory, from which a card copies while it computes.

torch rounds each page-locked allocation up to a power of two, and diffusers' group offload locks a copy of every weight
before it drops the first. For the 14B model in bf16 that is 86 GB at once instead of 34.6. Here the weights are moved
into slabs of a power of two, one after another; what is locked already, diffusers takes as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

SLAB_BYTES = 4 * 2**30
"""Size of a slab; the last ones are smaller."""
ALIGNMENT = 256
"""Each weight begins at a multiple of this, as torch's own allocations do."""


def lock_weights(model: nn.Module) -> None:
    """Move every parameter of a model on the CPU into page-locked memory. Frees each old one at once."""
    move_into_slabs(model.parameters(), lambda size: torch.empty(size, dtype=torch.uint8, pin_memory=True))


def move_into_slabs(tensors: Iterable[Tensor], allocate: Callable[[int], Tensor]) -> None:
    """Move the tensors' values into slabs that `allocate` makes: bytes (uint8), each slab by its size."""
    tensors = list(tensors)
    places, sizes = packed([tensor.nbytes for tensor in tensors])
    slabs: list[Tensor] = []
    for tensor, (number, start) in zip(tensors, places, strict=True):
        if number == len(slabs):
            slabs.append(allocate(sizes[number]))
        place = slabs[number][start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        place.copy_(tensor.data)
        tensor.data = place


def packed(sizes: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """(slab and first byte of each tensor, bytes of each slab) for tensors of these sizes, in their order."""
    aligned = [max(1, -(-size // ALIGNMENT)) * ALIGNMENT for size in sizes]
    left, used = sum(aligned), 0
    places: list[tuple[int, int]] = []
    slabs: list[int] = []
    for size in aligned:
        if not slabs or used + size > slabs[-1]:
            needed, filled = 1 << (size - 1).bit_length(), 1 << (left.bit_length() - 1)
            slabs.append(max(needed, min(filled, SLAB_BYTES)))
            used = 0
        places.append((len(slabs) - 1, used))
        used, left = used + size, left - size
    return places, slabs
