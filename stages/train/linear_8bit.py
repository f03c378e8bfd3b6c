"""A frozen linear layer that stores its weight in 8 bits, computes in 16 or 32 bits, and passes gradients on.

Generation uses diffusers' layerwise casting for the same result. It cannot be used in training: it replaces a weight's
bytes after each forward pass, so that the backward pass would find 8 bits. Here the backward pass converts again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

DTYPE = torch.float8_e4m3fn


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(weight)
        return values @ weight.to(values.device).to(values.dtype).t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (weight,) = ctx.saved_tensors
        return gradient @ weight.to(gradient.device).to(gradient.dtype), None


class StoredLinear(nn.Linear):
    """An `nn.Linear` with its weight in 8 bits, in host memory if `on_host`. It computes in the type `compute`."""

    compute: torch.dtype
    on_host: bool

    def _apply(self, fn: Any, recurse: bool = True) -> StoredLinear:
        """Move the layer to a device, except a weight that stays in host memory."""
        kept = self._parameters.pop("weight") if self.on_host else None
        super()._apply(fn, recurse)
        if kept is not None:
            self._parameters["weight"] = kept
        return self

    def forward(self, input: Tensor) -> Tensor:
        """As `nn.Linear`, with the weight rounded to 8 bits."""
        result: Tensor = _Multiply.apply(input.to(self.compute), self.weight)  # type: ignore[assignment]
        return result if self.bias is None else result + self.bias.to(self.compute)


def store_in_8_bits(blocks: nn.Module, compute: torch.dtype, on_host: bool = False) -> int:
    """Store the weight of every frozen linear layer below `blocks` in 8 bits, except LoRA's. Returns their number.

    `on_host` keeps the weights in (pinned) host memory and copies each to the card when it is used.
    """
    count = 0
    for module in blocks.modules():
        if type(module) is nn.Linear and not module.weight.requires_grad:
            weight = module.weight.data.to(DTYPE)
            module.weight.data = weight.pin_memory() if on_host and torch.cuda.is_available() else weight
            module.__class__ = StoredLinear
            module.compute, module.on_host = compute, on_host  # type: ignore[assignment]
            count += 1
    return count
