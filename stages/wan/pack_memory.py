"""Memory of a quantised single file when it is loaded, from its header alone."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.wan.cost import LiveBytes
from stages.wan.pack_headers import FP8, Packed
from stages.wan.pack_loading import expand, packed_linear
from stages.wan.packs import Pack, meta_model, stays_float32, stays_packed


@dataclass(frozen=True)
class PackBytes:
    """Bytes of all parameters, of one block, of each face adapter, and the most that expanding one layer for its
    product needs besides."""

    total: int
    block: int
    face_adapters: tuple[int, ...]
    expansion: int


def pack_bytes(pack: Pack, dtype: torch.dtype) -> PackBytes:
    """Memory of the pack, loaded for products in `dtype`. The expansion is counted on the meta device."""
    model = meta_model(pack.config)
    sizes: Counter[str] = Counter()
    largest: dict[str, Packed] = {}
    for name, packed in pack.tensors.items():
        if stays_packed(name, packed, model.get_submodule(name.rpartition(".")[0])):
            size = packed.bytes
            largest[packed.type] = max(largest.get(packed.type, packed), packed, key=lambda one: math.prod(one.shape))
        else:
            size = math.prod(packed.shape) * (torch.float32 if stays_float32(name) else dtype).itemsize
        sizes[".".join(name.split(".")[:2])] += size
    adapters = tuple(sizes[f"face_adapter.{number}"] for number in range(len(model.face_adapter)))
    expansion = max((_expansion(packed, dtype) for packed in largest.values()), default=0)
    return PackBytes(sizes.total(), sizes["blocks.0"], adapters, expansion)


def _expansion(packed: Packed, dtype: torch.dtype) -> int:
    """Peak of the bytes that exist while a layer's weight is expanded."""
    weight = _meta_weight(packed)
    with torch.no_grad(), LiveBytes([weight]) as live:
        if packed.type in FP8:
            packed_linear(weight, 1.0, False, dtype).expanded()  # type: ignore[operator]
        else:
            expand(weight).to(dtype)
    return live.peak


def _meta_weight(packed: Packed) -> Tensor:
    if packed.type in FP8:
        return torch.empty(packed.shape, dtype=torch.float8_e4m3fn, device="meta")
    import gguf
    from diffusers.quantizers.gguf.utils import GGUFParameter

    kind = gguf.GGMLQuantizationType[packed.type]
    values, size = gguf.GGML_QUANT_SIZES[kind]
    stored = torch.empty(packed.shape[0], packed.shape[1] // values * size, dtype=torch.uint8, device="meta")
    return GGUFParameter(stored, quant_type=kind)  # pyright: ignore[reportCallIssue]
