"""Linears multiplied in 8 bits: a scale per output row of the weight, a scale per token of the input.

One idea of fp8 inference in torch's own operation (`torch._scaled_mm`), without another package. The slow twin is
`reference`: the same rounding, multiplied in float32.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

DTYPE = torch.float8_e4m3fn
LARGEST = 448.0
"""Of e4m3."""
LEAST_CAPABILITY = (8, 9)


class Fp8Linear(nn.Module):
    """Stands in for a `nn.Linear` whose sides are multiples of 16."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = quantised(linear.weight.detach())
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = linear.bias

    def forward(self, given: Float[Tensor, "*batch inside"]) -> Float[Tensor, "*batch outside"]:
        """As `nn.Linear`'s, in the input's type."""
        rows, scale = quantised(given.reshape(-1, self.in_features))
        result = torch._scaled_mm(  # pyright: ignore[reportPrivateImportUsage]
            rows, self.weight.t(), scale_a=scale, scale_b=self.scale.t(), out_dtype=torch.bfloat16
        )
        if self.bias is not None:
            result = result + self.bias
        return result.to(given.dtype).reshape(*given.shape[:-1], self.out_features)


def quantised(rows: Float[Tensor, "rows inside"]) -> tuple[Tensor, Float[Tensor, "rows 1"]]:
    """Rows in 8 bits and what each must be multiplied by."""
    scale = rows.abs().amax(1, keepdim=True).float().clamp(min=1e-12) / LARGEST
    return (rows / scale).clamp(-LARGEST, LARGEST).to(DTYPE), scale


def reference(linear: nn.Linear, given: Float[Tensor, "rows inside"]) -> Float[Tensor, "rows outside"]:
    """The slow twin."""
    weight, weight_scale = quantised(linear.weight.detach())
    rows, scale = quantised(given)
    product = (rows.float() * scale) @ (weight.float() * weight_scale).t()
    return product if linear.bias is None else product + linear.bias.float()


def replace_linears(blocks: nn.Module) -> int:
    """Put an `Fp8Linear` in every linear's place below `blocks`, one at a time; how many."""
    count = 0
    for module in list(blocks.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and not (child.in_features % 16 or child.out_features % 16):
                setattr(module, name, Fp8Linear(child))
                count += 1
    return count
