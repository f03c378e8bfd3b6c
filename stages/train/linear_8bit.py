"""A frozen linear kept in 8 bits, multiplied in the input's type, that passes gradients on.

diffusers' layerwise casting, which generation uses for the same numbers, swaps a weight's bytes after each forward
pass, and autograd would find 8 bits where it left 16; here the way back casts again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

DTYPE = torch.float8_e4m3fn


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: Tensor, weight: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(weight)
        return given @ weight.to(given.device).to(given.dtype).t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (weight,) = ctx.saved_tensors
        return gradient @ weight.to(gradient.device).to(gradient.dtype), None


class StoredLinear(nn.Linear):
    """A `nn.Linear` whose weight is in 8 bits, in host memory where `on_host`. Computes in `compute`."""

    compute: torch.dtype
    on_host: bool

    def _apply(self, fn: Any, recurse: bool = True) -> StoredLinear:
        """Moving the model leaves a weight that is to stay where it is."""
        kept = self._parameters.pop("weight") if self.on_host else None
        super()._apply(fn, recurse)
        if kept is not None:
            self._parameters["weight"] = kept
        return self

    def forward(self, input: Tensor) -> Tensor:
        """As the linear's, with its weight rounded to 8 bits."""
        result: Tensor = _Multiply.apply(input.to(self.compute), self.weight)  # type: ignore[assignment]
        return result if self.bias is None else result + self.bias.to(self.compute)


def store(blocks: nn.Module, compute: torch.dtype, on_host: bool = False) -> int:
    """Put every frozen linear below `blocks` into 8 bits, LoRA's own left alone; how many.

    `on_host` keeps them in (pinned) host memory, from where each comes over when it is multiplied.
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
