"""Linear layers multiplied in 8 bits, with one scale per output row of the weight and one per token of the input.

Uses torch's own operation `torch._scaled_mm`, without another package. The slow twin that tests compare it with is
`multiply_in_float32`: the same rounding, multiplied in float32.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

DTYPE = torch.float8_e4m3fn
LARGEST_E4M3 = 448.0
"""Largest number of the type e4m3."""


class Fp8Linear(nn.Module):
    """Replaces an `nn.Linear` whose numbers of inputs and outputs are multiples of 16."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = quantise(linear.weight.detach())
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = linear.bias

    def forward(self, values: Float[Tensor, "*batch inside"]) -> Float[Tensor, "*batch outside"]:
        """As `nn.Linear`, in the input's number type."""
        rows, scale = quantise(values.reshape(-1, self.in_features))
        result = torch._scaled_mm(  # pyright: ignore[reportPrivateImportUsage]
            rows, self.weight.t(), scale_a=scale, scale_b=self.scale.t(), out_dtype=torch.bfloat16
        )
        if self.bias is not None:
            result = result + self.bias
        return result.to(values.dtype).reshape(*values.shape[:-1], self.out_features)


def quantise(rows: Float[Tensor, "rows inside"]) -> tuple[Tensor, Float[Tensor, "rows 1"]]:
    """(rows in 8 bits, the scale by which each row must be multiplied)."""
    scale = rows.abs().amax(1, keepdim=True).float().clamp(min=1e-12) / LARGEST_E4M3
    return (rows / scale).clamp(-LARGEST_E4M3, LARGEST_E4M3).to(DTYPE), scale


def multiply_in_float32(linear: nn.Linear, values: Float[Tensor, "rows inside"]) -> Float[Tensor, "rows outside"]:
    """Slow twin of `Fp8Linear`: the same rounding, multiplied in float32."""
    weight, weight_scale = quantise(linear.weight.detach())
    rows, scale = quantise(values)
    product = (rows.float() * scale) @ (weight.float() * weight_scale).t()
    return product if linear.bias is None else product + linear.bias.float()


def replace_linears(blocks: nn.Module) -> int:
    """Replace every linear layer below `blocks` by an `Fp8Linear`, one at a time. Returns their number."""
    count = 0
    for module in list(blocks.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and not (child.in_features % 16 or child.out_features % 16):
                setattr(module, name, Fp8Linear(child))
                count += 1
    return count
