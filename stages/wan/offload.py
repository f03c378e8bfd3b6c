"""Puts a placement into effect with diffusers' own parts, and words an out-of-memory error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stages.errors import InputError
from stages.wan.placement import Placement

SMALLER = "draw a smaller condition map (emosh render-cond --size 384x384)"
PEFT = ("lora_A", "lora_B")
"""diffusers leaves an adapter's own layers alone."""


def casts(module: str, transformer: Any) -> bool:
    """Whether layerwise casting stores the module of that name in 8 bits: linears and convolutions whose name matches
    none of the model's patterns (patch embeddings, condition embedder, norms) nor its float32 modules."""
    from diffusers.hooks._common import _GO_LC_SUPPORTED_PYTORCH_LAYERS

    skipped = (*transformer._skip_layerwise_casting_patterns, *transformer._keep_in_fp32_modules)
    if any(re.search(pattern, module) for pattern in skipped):
        return False
    return isinstance(transformer.get_submodule(module), _GO_LC_SUPPORTED_PYTORCH_LAYERS)


def place(transformer: Any, vae: Any, placement: Placement, device: torch.device | str, dtype: torch.dtype) -> None:
    """Bring both to where the placement has them. The transformer comes in on the CPU when it is to stay there.

    8-bit storage goes before offload, so that 8 bits are what travels.
    """
    device = torch.device(device)
    if placement.fp8_storage:
        transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    if placement.group_offload:
        _offload(transformer, device)
    else:
        transformer.to(device)
    vae.to(device)
    if placement.vae_tiling:
        vae.enable_tiling()


def _offload(transformer: Any, device: torch.device) -> None:
    """Blocks from host memory, the next one on its way while one works, where the card has streams."""
    streams = device.type in ("cuda", "xpu")
    transformer.enable_group_offload(
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=streams,
        record_stream=streams,
        non_blocking=streams,
    )


@contextmanager
def memory_sentences(placement: Placement | None, step: str) -> Iterator[None]:
    """Turn running out of card memory into one line that names the option to change; encoding has no placement."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(f"out of card memory while {step}; {remedy(placement)}") from error


def remedy(placement: Placement | None) -> str:
    """The next option that needs less."""
    if placement is None:
        return f"{SMALLER}, or use --device cpu"
    if not placement.vae_tiling:
        return "set wan_run.vae_tiling=on, or tell --vram the GB that are really free"
    if not placement.group_offload:
        return "set wan_run.offload=group, or tell --vram the GB that are really free"
    if not placement.fp8_storage:
        return "set wan_run.storage=fp8"
    return SMALLER
