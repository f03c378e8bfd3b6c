"""Recognise a quantised single file as Wan-Animate's transformer, by its header alone.

A single file has no config.json: the config follows from the shapes. Its tensors have the names of Wan's own code; the
names are converted by diffusers (`convert_wan_transformer_to_diffusers`), one tensor at a time. A fused key and value
of the face adapter become two tensors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.errors import InputError
from stages.wan.face_names import FACE_MODULES
from stages.wan.pack_headers import FP8, Packed, Reader, read_packed
from stages.wan.part_check import I2V_CHANNELS
from stages.wan.safetensors_headers import read_header

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD_DIM = 128
"""Width of an attention head in every published Wan."""
EXPECTED = "give Wan2.2-Animate-14B as a .gguf or fp8_scaled .safetensors file"
TYPES_NAMED = 3
"""Number of types that a description names."""


@dataclass(frozen=True)
class Pack:
    """A checked file: the config of its transformer, and its tensors under diffusers' names."""

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Packed] = field(repr=False)
    """Name -> tensor, the shape as in the model. Two halves of a fused tensor have its bytes by half."""
    originals: tuple[Packed, ...] = field(repr=False)
    """The tensors as the file names them."""
    read: Reader = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Name of the part in `stages.wan.weights`."""
        return "wan-animate-gguf" if self.path.suffix == ".gguf" else "wan-animate-fp8"

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensors in the file."""
        return sum(packed.bytes for packed in self.originals)

    def types(self) -> list[str]:
        """Types of the tensors, the one with the most bytes first."""
        sizes = Counter[str]()
        for packed in self.originals:
            sizes[packed.type] += packed.bytes
        return [name for name, _ in sizes.most_common()]

    def describe(self) -> str:
        """Layers, width and types, the types with the most bytes first."""
        config, types = self.config, ", ".join(self.types()[:TYPES_NAMED])
        width = config["num_attention_heads"] * config["attention_head_dim"]
        return f"Wan-Animate in one file, {config['num_layers']} blocks of width {width}, face modules, {types}"


def is_pack(path: Path) -> bool:
    """Whether the file is a GGUF file, or a safetensors file that holds a transformer of Wan's own names or 8 bits."""
    if path.suffix != ".safetensors":
        return path.suffix == ".gguf"
    entries = read_header(path)[0]
    in_8_bits = any(entry.dtype in FP8 for entry in entries.values())
    if any(".lora_" in name for name in entries):
        return False
    return in_8_bits or any(name.endswith("blocks.0.self_attn.q.weight") for name in entries)


def open_pack(path: Path) -> Pack:
    """Check the file's tensors against the model that its shapes describe, built on the meta device.

    Reads no weight. Raises InputError for a damaged file, another model, and missing or odd tensors.
    """
    import torch

    path = Path(path)
    found, read = read_packed(path)
    converted = {}
    for packed in found.values():
        parts = convert(packed.name, torch.empty(packed.shape, device="meta"))
        for name, tensor in parts.items():
            size = packed.bytes // len(parts)
            converted[name] = Packed(packed.name, tuple(tensor.shape), packed.type, size, packed.scale)
    config = _config(path, {name: packed.shape for name, packed in converted.items()})
    return Pack(path, config, _checked(path, config, converted), tuple(found.values()), read)


def convert(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """The tensor under diffusers' name, or the two halves of a fused one under theirs."""
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    if tensor.ndim != 4 and "motion_encoder.enc.net_app.convs." in name and name.endswith(".bias"):
        tensor = tensor.reshape(1, -1, 1, 1)  # a converter may have dropped the axes of length 1
    converted = convert_wan_transformer_to_diffusers({name: tensor, "face_adapter": tensor})
    del converted["face_adapter"]  # without such a name diffusers would not convert those of the face encoder
    return converted


def _config(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The transformer's config by the shapes of its tensors."""
    if "blocks.0.attn1.to_q.weight" not in shapes or "patch_embedding.weight" not in shapes:
        raise InputError(f"{path} is not a transformer of Wan under its own names; {EXPECTED}")
    absent = [module for module in FACE_MODULES if not any(name.startswith(module) for name in shapes)]
    if absent:
        raise InputError(f"{path} is a Wan transformer without {absent[0][:-1]}, so it is not Wan-Animate; {EXPECTED}")
    try:
        return {**_body_config(shapes), **_face_config(shapes)}
    except KeyError as error:
        raise InputError(f"{path} lacks {error.args[0]}; fetch it again, or {EXPECTED}") from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{path}: its shapes describe no Wan-Animate ({error}); {EXPECTED}") from error


def _body_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    width, channels, *patch = shapes["patch_embedding.weight"]
    return {
        "patch_size": tuple(patch),
        "num_attention_heads": width // HEAD_DIM,
        "attention_head_dim": HEAD_DIM,
        "in_channels": channels,
        "out_channels": shapes["proj_out.bias"][0] // math.prod(patch),
        "text_dim": shapes["condition_embedder.text_embedder.linear_1.weight"][1],
        "freq_dim": shapes["condition_embedder.time_embedder.linear_1.weight"][1],
        "ffn_dim": shapes["blocks.0.ffn.net.0.proj.weight"][0],
        "num_layers": _count(shapes, "blocks."),
        "image_dim": shapes["condition_embedder.image_embedder.norm1.weight"][0],
        "added_kv_proj_dim": shapes["blocks.0.attn2.add_k_proj.weight"][1],
    }


def _face_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    halvings = _count(shapes, "motion_encoder.res_blocks.")
    size = 2 ** (halvings + 2)
    channels = {str(size): shapes["motion_encoder.conv_in.weight"][0]}
    for block in range(halvings):
        channels[str(size // 2 ** (block + 1))] = shapes[f"motion_encoder.res_blocks.{block}.conv2.weight"][0]
    hidden = shapes["face_encoder.conv2.weight"][0]
    features, directions = shapes["motion_encoder.motion_synthesis_weight"]
    return {
        "motion_encoder_channel_sizes": channels,
        "motion_encoder_size": size,
        "motion_style_dim": shapes["motion_encoder.conv_out.weight"][0],
        "motion_dim": directions,
        "motion_encoder_dim": features,
        "face_encoder_hidden_dim": hidden,
        "face_encoder_num_heads": shapes["face_encoder.conv1_local.weight"][0] // hidden,
        "inject_face_latents_blocks": _count(shapes, "blocks.") // _count(shapes, "face_adapter."),
    }


def _count(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> int:
    """How many numbered modules there are below `prefix`."""
    numbers = {name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)}
    return sum(number.isdigit() for number in numbers)


def _checked(path: Path, config: Mapping[str, Any], tensors: Mapping[str, Packed]) -> dict[str, Packed]:
    """The tensors with the shapes of the model that the config describes, after comparing names and shapes with it.

    GGUF's own programs drop leading axes of length 1, which is tolerated.
    """
    if config["in_channels"] != I2V_CHANNELS:
        channels = config["in_channels"]
        raise InputError(f"{path} has {channels} input channels, Wan-Animate has {I2V_CHANNELS}; {EXPECTED}")
    try:
        expected = {name: tuple(tensor.shape) for name, tensor in meta_model(config).state_dict().items()}
    except (ValueError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise InputError(f"{path}: its shapes describe no Wan-Animate ({error}); {EXPECTED}") from error
    for what, names in (
        ("lacks", expected.keys() - tensors.keys()),
        ("holds a tensor that Wan-Animate does not have:", tensors.keys() - expected.keys()),
    ):
        if names:
            more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
            raise InputError(f"{path} {what} {min(names)}{more}; fetch it again, or {EXPECTED}")
    for name, packed in tensors.items():
        if _without_leading_ones(packed.shape) != _without_leading_ones(expected[name]):
            raise InputError(f"{path}: {packed.name} gives {name} the shape {packed.shape}, expected {expected[name]}")
    return {name: replace(packed, shape=expected[name]) for name, packed in tensors.items()}


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    first = next((axis for axis, side in enumerate(shape) if side != 1), len(shape))
    return shape[first:]


def meta_model(config: Mapping[str, Any]) -> Any:
    """The transformer with its parameters on the meta device. Its buffers (rotary tables, blur kernels) are real."""
    from accelerate import init_empty_weights

    from stages.wan.face_modules import AnimateTransformer3DModel

    with init_empty_weights(include_buffers=False):
        model = AnimateTransformer3DModel(**config)
    return model.requires_grad_(False).eval()


@cache
def _float32_modules() -> frozenset[str]:
    from stages.wan.face_modules import AnimateTransformer3DModel

    return frozenset(AnimateTransformer3DModel._keep_in_fp32_modules)


def stays_float32(name: str) -> bool:
    """Whether the model keeps the parameter of that name in float32."""
    return bool(_float32_modules() & set(name.split(".")))


def stays_packed(name: str, packed: Packed, module: nn.Module) -> bool:
    """Whether the parameter is kept as stored: the quantised weight of a linear layer that is not kept in float32."""
    from torch import nn

    return packed.quantised and isinstance(module, nn.Linear) and name.endswith(".weight") and not stays_float32(name)
