"""Tensors of a single-file transformer, by its header: name, shape, how the numbers are stored, bytes.

Two formats are read. GGUF (`QuantStack/Wan2.2-Animate-14B-GGUF`): each tensor has its own type, such as Q4_K; the
5-D convolutions are stored as they are, or flattened with their shape in the field `comfy.gguf.orig_shape.NAME`
(city96/ComfyUI-GGUF: tools/convert.py, fix_5d_tensors.py). fp8_scaled safetensors
(`Kijai/WanVideo_comfy_fp8_scaled`): a weight `X.weight` in 8 bits must be multiplied by the number `X.scale_weight`
beside it (kijai/ComfyUI-WanVideoWrapper: nodes_model_loading.py, custom_linear.py; ComfyUI also writes
`X.weight_scale`).
Does not know which model it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.artifacts.safetensors_file import opened_safetensors
from stages.errors import InputError
from stages.wan.safetensors_headers import FLOATS, read_header

if TYPE_CHECKING:
    from torch import Tensor

FP8 = ("F8_E4M3", "F8_E5M2")
SCALES = (".scale_weight", ".weight_scale")
"""Ends of the names of a weight's scale, in place of `.weight`."""
NOT_WEIGHTS = ("scaled_fp8", ".scale_input", ".input_scale", ".conv2.0.kernel", ".skip.0.kernel", *SCALES)
"""Ends of the names of tensors that are no weights: the marker of the format, scales, and the constant blur kernels of
the motion encoder, which diffusers makes itself."""
ORIGINAL_SHAPE = "comfy.gguf.orig_shape."


@dataclass(frozen=True)
class Packed:
    """One tensor of a pack: its logical shape, its type as the format writes it (Q4_K, BF16, F8_E4M3), its bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int
    scale: str | None = None
    """Name of the number that the tensor must be multiplied by."""

    @property
    def quantised(self) -> bool:
        """Whether the numbers are not plain floats of 16 or 32 bits."""
        return self.type not in FLOATS


Reader = Callable[[Packed], "Tensor"]
"""Reads the tensor as it is stored: floats as floats, 8 bits as float8, GGUF's types as diffusers' GGUFParameter."""


def read_packed(path: Path) -> tuple[dict[str, Packed], Reader]:
    """(name -> tensor, reader) of a GGUF or safetensors file. Reads no weight. Raises InputError for a damaged file."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a .gguf or .safetensors file")
    return _read_gguf(path) if path.suffix == ".gguf" else _read_safetensors(path)


# ---- safetensors
def _read_safetensors(path: Path) -> tuple[dict[str, Packed], Reader]:
    entries, _ = read_header(path)
    found = {}
    for name, entry in entries.items():
        if name.endswith(NOT_WEIGHTS):
            continue
        if entry.dtype not in (*FLOATS, *FP8):
            raise InputError(
                f"{path}: {name} is stored as {entry.dtype}; give a file of {', '.join((*FLOATS, *FP8))}, or a .gguf"
            )
        scale = _scale(path, name, entries) if entry.dtype in FP8 else None
        found[name] = Packed(name, entry.shape, entry.dtype, entry.size_bytes, scale)

    def read(packed: Packed) -> Tensor:
        with opened_safetensors(path, "fetch it again") as file:
            return file.get_tensor(packed.name)

    return found, read


def _scale(path: Path, name: str, entries: dict[str, Any]) -> str:
    """Name of the scale of an 8-bit tensor."""
    stem = name.removesuffix(".weight")
    scale = next((stem + end for end in SCALES if stem + end in entries), None)
    if scale is None:
        raise InputError(f"{path}: {name} is in 8 bits but {stem}{SCALES[0]} is missing; give an fp8_scaled file")
    if math.prod(entries[scale].shape) != 1 or entries[scale].dtype not in FLOATS:
        raise InputError(f"{path}: {scale} is not one number; give an fp8_scaled file with one scale per weight")
    return scale


def read_scale(path: Path, packed: Packed) -> float:
    """The number that the tensor must be multiplied by. Raises InputError where it is not positive and finite."""
    assert packed.scale is not None
    with opened_safetensors(path, "fetch it again") as file:
        scale = float(file.get_tensor(packed.scale))
    if not 0 < scale < math.inf:
        raise InputError(f"{path}: {packed.scale} is {scale}, expected a positive number; fetch the file again")
    return scale


# ---- GGUF
def _read_gguf(path: Path) -> tuple[dict[str, Packed], Reader]:
    try:
        import gguf
    except ImportError as error:
        raise InputError(f"{path} needs the package gguf: pip install 'emosh[gguf]'") from error
    try:
        reader = gguf.GGUFReader(path)
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        shapes = {name: _gguf_shape(reader, tensor) for name, tensor in tensors.items()}
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path} is damaged, cut short or not a GGUF file; fetch it again") from error
    found = {
        name: Packed(name, shapes[name], tensor.tensor_type.name, int(tensor.n_bytes))
        for name, tensor in tensors.items()
        if not name.endswith(NOT_WEIGHTS)
    }
    _check_gguf_types(path, found)
    return found, lambda packed: _gguf_tensor(tensors[packed.name], packed)


def _gguf_shape(reader: Any, tensor: Any) -> tuple[int, ...]:
    """torch's shape: the original one where the tensor was flattened, else GGUF's, which counts from the last axis."""
    field = reader.get_field(f"{ORIGINAL_SHAPE}{tensor.name}")
    if field is not None:
        return tuple(int(field.parts[index][0]) for index in field.data)
    return tuple(int(side) for side in reversed(tensor.shape))


def _check_gguf_types(path: Path, found: dict[str, Packed]) -> None:
    from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES

    known = {each.name for each in SUPPORTED_GGUF_QUANT_TYPES} | set(FLOATS)
    odd = next((packed for packed in found.values() if packed.type not in known), None)
    if odd is not None:
        raise InputError(f"{path}: {odd.name} is stored as {odd.type}; diffusers reads {', '.join(sorted(known))}")


def _gguf_tensor(stored: Any, packed: Packed) -> Tensor:
    import torch
    from diffusers.quantizers.gguf.utils import GGUFParameter

    values = torch.from_numpy(stored.data.copy())
    if packed.quantised:
        return GGUFParameter(values, quant_type=stored.tensor_type)  # pyright: ignore[reportCallIssue]
    return (values.view(torch.bfloat16) if packed.type == "BF16" else values).reshape(packed.shape)
