"""Load a quantised single file into Wan-Animate's transformer without expanding it.

The weight of a linear layer stays as the file stores it, and is expanded for each product: GGUF by diffusers'
`GGUFLinear`, fp8_scaled by `ScaledLinear`. All else (norms, convolutions, embeddings, biases) is small and becomes
float, in the types in which a folder is loaded.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stages.wan.nan_check import check_finite
from stages.wan.pack_headers import read_scale
from stages.wan.packs import Pack, convert, meta_model, stays_float32, stays_packed


class ScaledLinear(nn.Linear):
    """An `nn.Linear` whose weight is `scale` times numbers of 8 bits.

    The 8 bits are kept as bytes (uint8), which `model.to(dtype)` does not expand. The product is computed in
    `compute_dtype`, which is also the type that peft gives a LoRA beside the layer.
    """

    def __init__(self, weight: Tensor, scale: float, bias: bool, compute_dtype: torch.dtype) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias, device="meta")
        self.stored, self.scale, self.compute_dtype = weight.dtype, scale, compute_dtype
        self.weight = nn.Parameter(weight.view(torch.uint8), requires_grad=False)

    def expanded(self) -> Float[Tensor, "outside inside"]:
        """The weight in `compute_dtype`: the exact product of 8 bits and scale, rounded once."""
        return self.weight.view(self.stored).to(self.compute_dtype).mul_(self.scale)

    def forward(self, input: Float[Tensor, "*batch inside"]) -> Float[Tensor, "*batch outside"]:
        """As `nn.Linear`."""
        return nn.functional.linear(input, self.expanded(), self.bias)


def load_pack(pack: Pack, dtype: torch.dtype = torch.bfloat16, device: torch.device | str = "cpu") -> Any:
    """The transformer, frozen, in evaluation mode, multiplying in `dtype`; one tensor at a time, straight to `device`.

    Raises InputError for floats or scales with nan or inf.
    """
    model = meta_model(pack.config)
    for packed in pack.originals:
        scale = None if packed.scale is None else read_scale(pack.path, packed)
        for name, tensor in convert(packed.name, pack.read(packed)).items():
            _set(model, pack, name, tensor, scale, dtype, device)
    return model.to(device).requires_grad_(False).eval()  # what is left are buffers


def _set(
    model: nn.Module, pack: Pack, name: str, tensor: Tensor, scale: float | None, dtype: torch.dtype, device: Any
) -> None:
    """Give the model one parameter: a packed layer in place of a linear one, or a float value."""
    owner, _, last = name.rpartition(".")
    module, packed = model.get_submodule(owner), pack.tensors[name]
    if stays_packed(name, packed, module):
        assert isinstance(module, nn.Linear)
        layer = packed_linear(tensor.to(device), scale, module.bias is not None, dtype)
        layer._parameters["bias"] = module.bias
        model.set_submodule(owner, layer)
        return
    value = expand(tensor, scale).reshape(packed.shape).to(device, torch.float32 if stays_float32(name) else dtype)
    check_finite(pack.path, {packed.name: value})
    module._parameters[last] = nn.Parameter(value, requires_grad=False)


def expanded_values(pack: Pack, prefix: str) -> dict[str, Tensor]:
    """The parameters below `prefix` in float32, by the rest of their names. Raises InputError for nan or inf."""
    found = {}
    for packed in pack.originals:
        names = [name for name, each in pack.tensors.items() if each.name == packed.name and name.startswith(prefix)]
        if names:
            scale = None if packed.scale is None else read_scale(pack.path, packed)
            for name, tensor in convert(packed.name, pack.read(packed)).items():
                found[name.removeprefix(prefix)] = expand(tensor, scale).float().reshape(pack.tensors[name].shape)
    check_finite(pack.path, found)
    return found


def packed_linear(weight: Tensor, scale: float | None, bias: bool, dtype: torch.dtype) -> nn.Linear:
    """A linear layer that keeps `weight` as it is stored and multiplies in `dtype`. Its bias has no value yet."""
    if scale is not None:
        return ScaledLinear(weight, scale, bias, dtype)
    from diffusers.quantizers.gguf.utils import GGUFLinear

    outside, inside = weight.quant_shape  # type: ignore[attr-defined]  # a GGUFParameter
    with torch.device("meta"):
        layer = GGUFLinear(inside, outside, bias, compute_dtype=dtype)
    layer.weight = weight  # type: ignore[assignment]
    return layer


def expand(tensor: Tensor, scale: float | None = None) -> Tensor:
    """The tensor's numbers as floats."""
    if hasattr(tensor, "quant_type"):
        from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor

        return dequantize_gguf_tensor(tensor)
    return tensor if scale is None else tensor.float() * scale
