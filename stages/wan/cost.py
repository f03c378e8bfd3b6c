"""What a forward pass costs, counted before any weight is loaded: operations by formula, memory on the meta device.

A multiply-add counts as two operations; matrix products, attention and convolutions are counted. Memory is the peak
besides weights and inputs, as torch's eager mode allocates it with a fused attention (which keeps no tokens x tokens
matrix). Deliberately does not know the allocator's rounding, nor any device.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stages.wan.fixed_codec import KIND as BLOCK_CODEC
from stages.wan.fixed_codec import BlockCodec
from stages.wan.layout import IMAGE_TOKENS, LATENT_CHANNELS, SPATIAL_FACTOR, TEXT_TOKENS, Layout, chunk_frames
from stages.wan.packs import stays_float32

BLOCKS_COUNTED = 2
"""The activations' peak does not grow with the number of blocks: two blocks have the same peak as 40."""
FRAMES_COUNTED = (9, 13)
"""Frames of the two short clips that are counted. From the third group of four frames on, every group costs the
same."""
TILE, TILE_STRIDE = 256, 192
"""Side of the VAE's tiles in diffusers and distance between two tiles, in pixels."""


@dataclass(frozen=True)
class Operations:
    """Operations of one forward pass: linear layers and attention."""

    linear: float
    attention: float

    @property
    def total(self) -> float:
        """Operations of linear layers and attention together."""
        return self.linear + self.attention


def conditioning_tokens(config: Mapping[str, Any]) -> tuple[int, int]:
    """(text tokens, image tokens) of the cross-attention. A model without encoders reads one empty text token."""
    return (TEXT_TOKENS, IMAGE_TOKENS) if config["image_dim"] else (1, 0)


def transformer_operations(
    config: Mapping[str, Any], layout: Layout, height: int, width: int, face: bool = False
) -> Operations:
    """Operations of one forward pass of the transformer over a chunk; `height` and `width` in pixels.

    `face`: with the face encoder and the face adapters, for a chunk with a face.
    """
    tokens, d = layout.tokens(height, width), config["num_attention_heads"] * config["attention_head_dim"]
    patch = config["patch_size"][0] * config["patch_size"][1] * config["patch_size"][2]
    image_dim, text_dim = config["image_dim"] or 0, config["text_dim"]
    text_tokens, image_tokens = conditioning_tokens(config)
    block = tokens * d * d * 6 + (text_tokens + image_tokens) * d * d * 2 + tokens * d * config["ffn_dim"] * 2
    attention = 2 * tokens * (tokens + text_tokens + image_tokens) * d
    video_tokens = tokens * layout.video // layout.slots
    around = (
        tokens * d * patch * (config["in_channels"] + config["out_channels"])
        + video_tokens * d * patch * LATENT_CHANNELS
        + text_tokens * (text_dim * d + d * d)
        + image_tokens * (image_dim * image_dim + image_dim * d)
        + config["freq_dim"] * d + d * d + 6 * d * d
    )  # fmt: skip
    layers = config["num_layers"]
    added = face_operations(config, layout, tokens) if face else Operations(0.0, 0.0)
    return Operations(2.0 * (layers * block + around) + added.linear, 2.0 * layers * attention + added.attention)


def face_operations(config: Mapping[str, Any], layout: Layout, tokens: int) -> Operations:
    """Operations that a face adds to a forward pass: its encoder's, and those of every adapter."""
    from stages.wan.face_modules import with_defaults

    face, d = with_defaults(config), config["num_attention_heads"] * config["attention_head_dim"]
    hidden, heads, kernel = face["face_encoder_hidden_dim"], face["face_encoder_num_heads"], 3
    frames = chunk_frames(layout)
    halved = (frames - 1) // 2 + 1
    encoder = (
        frames * kernel * face["motion_encoder_dim"] * hidden * heads
        + (halved + layout.video) * kernel * hidden * hidden * heads
        + layout.video * hidden * heads * d
    )
    adapters, keys = config["num_layers"] // face["inject_face_latents_blocks"], layout.slots * (heads + 1)
    adapter = 2 * (tokens + keys) * d * d
    return Operations(2.0 * (encoder + adapters * adapter), 2.0 * adapters * 2 * tokens * (heads + 1) * d)


@dataclass(frozen=True)
class PassCost:
    """Cost of one pass of the VAE or the encoder of faces: operations, and peak memory besides weights and inputs."""

    operations: float
    peak_bytes: int


class LiveBytes(TorchDispatchMode):
    """Context that records in `peak` the most bytes that tensors made inside it held at once.

    Tensors in `excluded` do not count.
    """

    def __init__(self, excluded: list[torch.Tensor]) -> None:
        super().__init__()
        self._excluded = {StorageWeakRef(tensor.untyped_storage()).cdata for tensor in excluded}
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}
        self._now = 0
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, subtract freed memory, and add new memory."""
        result = func(*args, **(kwargs or {}))
        for key in [key for key, (reference, _) in self._live.items() if reference.expired()]:
            self._now -= self._live.pop(key)[1]
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self._now)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        reference = StorageWeakRef(storage)
        if reference.cdata not in self._live and reference.cdata not in self._excluded:
            self._live[reference.cdata] = (reference, storage.nbytes())
            self._now += storage.nbytes()


class _FusedAttention(TorchFunctionMode):
    """Attention with the memory of a fused kernel: only the result is allocated."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query = (kwargs or {}).get("query", args[0] if args else None)
            assert query is not None
            return torch.empty_like(query)
        return func(*args, **(kwargs or {}))


@contextmanager
def _counting_live_bytes(excluded: list[torch.Tensor]) -> Iterator[LiveBytes]:
    with torch.no_grad(), _FusedAttention(), LiveBytes(excluded) as live:
        yield live


def transformer_peak_bytes(
    config: Mapping[str, Any],
    layout: Layout,
    height: int,
    width: int,
    dtype: torch.dtype = torch.bfloat16,
    blocks: int = BLOCKS_COUNTED,
    face: bool = False,
) -> int:
    """Peak memory of a forward pass besides weights and inputs, in bytes; `height` and `width` in pixels.

    `face`: of a chunk with a face, counted with one adapter.
    """
    counted = {**config, "num_layers": blocks, **({"inject_face_latents_blocks": blocks} if face else {})}
    return _transformer_peak(json.dumps(counted), layout, height, width, dtype, face)


@lru_cache
def _transformer_peak(described: str, layout: Layout, height: int, width: int, dtype: torch.dtype, face: bool) -> int:
    config = json.loads(described)
    model = meta_transformer(config, dtype, face)
    inputs = meta_inputs(config, layout, height, width, dtype, face)
    with _counting_live_bytes([*model.parameters(), *model.buffers(), *inputs.values()]) as live:
        model(**inputs, return_dict=False)
    return live.peak


def meta_transformer(config: Mapping[str, Any], dtype: torch.dtype, face: bool = False) -> Any:
    """The transformer without memory: parameters on the meta device, with the number types that loading gives them.

    `face`: with the face modules.
    """
    from stages.wan.face_modules import AnimateTransformer3DModel, face_config
    from stages.wan.part_check import transformer_config
    from stages.wan.transformer import EmoshTransformer3DModel

    with torch.device("meta"):
        if face:
            model = AnimateTransformer3DModel(**transformer_config(config), **face_config(config))
        else:
            model = EmoshTransformer3DModel(**transformer_config(config))
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(torch.float32 if stays_float32(name) else dtype)
    return model.requires_grad_(False).eval()


def meta_inputs(
    config: Mapping[str, Any], layout: Layout, height: int, width: int, dtype: torch.dtype, face: bool = False
) -> dict[str, torch.Tensor]:
    """Inputs of one forward pass on the meta device, without memory."""
    from stages.wan.face_modules import with_defaults

    h, w = height // SPATIAL_FACTOR, width // SPATIAL_FACTOR

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    inputs = {
        "hidden_states": empty(1, config["in_channels"], layout.slots, h, w),
        "timestep": torch.empty(1, device="meta"),
        "encoder_hidden_states": empty(1, conditioning_tokens(config)[0], config["text_dim"]),
        "encoder_hidden_states_image": empty(1, conditioning_tokens(config)[1], config["image_dim"] or 0),
        "motion_hidden_states": empty(1, LATENT_CHANNELS, layout.video, h, w),
    }
    if face:
        inputs["face_motion"] = empty(1, chunk_frames(layout), with_defaults(config)["motion_encoder_dim"])
    return inputs


def motion_encoder_cost(config: Mapping[str, Any]) -> tuple[PassCost, int]:
    """(cost of turning the picture of one face into numbers, bytes of the encoder's weights), in float32."""
    from stages.wan.face_modules import with_defaults

    return _motion_encoder_cost(json.dumps(with_defaults(config)))


@lru_cache
def _motion_encoder_cost(described: str) -> tuple[PassCost, int]:
    from stages.wan.face_modules import motion_encoder

    with torch.device("meta"):
        encoder = motion_encoder(json.loads(described)).requires_grad_(False).eval()
        picture = torch.empty(1, 3, encoder.size, encoder.size)
    return _counted(encoder, encoder, picture), parameter_bytes(encoder)


def vae_costs(
    config: Mapping[str, Any], frames: int, height: int, width: int, dtype: torch.dtype, tiling: bool = False
) -> tuple[PassCost, PassCost]:
    """(encoding, decoding) of a clip of 4n + 1 frames. Counted on two short clips and extrapolated by length.

    With `tiling` the peak is an upper bound: the peak of one tile plus the results of all tiles.
    """
    if tiling and max(height, width) > TILE:
        return _tiled_vae_costs(config, frames, height, width, dtype)
    return _vae_costs(json.dumps(dict(config)), frames, height, width, dtype)


@lru_cache
def _vae_costs(described: str, frames: int, height: int, width: int, dtype: torch.dtype) -> tuple[PassCost, PassCost]:
    config = json.loads(described)
    short, longer = (_count_vae(config, count, height, width, dtype) for count in FRAMES_COUNTED)
    groups = (frames - FRAMES_COUNTED[0]) // 4
    both = []
    for first, second in zip(short, longer, strict=True):
        operations = first.operations + groups * (second.operations - first.operations)
        peak = first.peak_bytes + max(0, groups * (second.peak_bytes - first.peak_bytes))
        both.append(PassCost(max(0.0, operations), peak))
    return both[0], both[1]


def _tiled_vae_costs(
    config: Mapping[str, Any], frames: int, height: int, width: int, dtype: torch.dtype
) -> tuple[PassCost, PassCost]:
    """Costs with diffusers' tiles of 256 pixels, 192 apart."""
    rows, columns = (sum(min(TILE, side - at) for at in range(0, side, TILE_STRIDE)) for side in (height, width))
    tile = min(TILE, height), min(TILE, width)
    encoding, decoding = vae_costs(config, frames, *tile, dtype)
    share = rows * columns / (tile[0] * tile[1])
    pixels = 3 * frames * rows * columns * dtype.itemsize
    return (
        PassCost(encoding.operations * share, encoding.peak_bytes + pixels // 12),
        PassCost(decoding.operations * share, decoding.peak_bytes + pixels),
    )


def _count_vae(
    config: Mapping[str, Any], frames: int, height: int, width: int, dtype: torch.dtype, tiling: bool = False
) -> tuple[PassCost, PassCost]:
    vae = meta_vae(config, dtype)
    if tiling:
        vae.enable_tiling()
    pixels = torch.empty(1, 3, frames, height, width, dtype=dtype, device="meta")
    shape = 1, LATENT_CHANNELS, (frames - 1) // 4 + 1, height // SPATIAL_FACTOR, width // SPATIAL_FACTOR
    latents = torch.empty(shape, dtype=dtype, device="meta")
    return _counted(vae, vae.encode, pixels), _counted(vae, vae.decode, latents)


def _counted(network: Any, run: Any, value: torch.Tensor) -> PassCost:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as operations:
        run(value)
    with _counting_live_bytes([*network.parameters(), *network.buffers(), value]) as live:
        run(value)
    return PassCost(float(operations.get_total_flops()), live.peak)


def meta_vae(config: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """The VAE, or the fixed codec in its place, on the meta device, without memory."""
    import inspect

    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    if config.get("_class_name") == BLOCK_CODEC:
        with torch.device("meta"):
            return BlockCodec().to(dtype).requires_grad_(False).eval()
    known = inspect.signature(AutoencoderKLWan.__init__).parameters
    with torch.device("meta"):
        vae = AutoencoderKLWan(**{key: value for key, value in config.items() if key in known})
    for parameter in vae.parameters():
        parameter.data = parameter.data.to(dtype)
    return vae.requires_grad_(False).eval()


def parameter_bytes(model: torch.nn.Module) -> int:
    """Bytes of a model's parameters in their present number types."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
