"""Wan-Animate in miniature as people have it on disk: one file under Wan's own names, as GGUF or fp8_scaled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.plan_by_card import single_file
from tests.wan import tiny

CONFIG: dict[str, Any] = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 128, "in_channels": 36,
    "out_channels": 16, "text_dim": 32, "freq_dim": 32, "ffn_dim": 512, "num_layers": 2, "image_dim": 32,
    "added_kv_proj_dim": 256,
}  # fmt: skip
FACE: dict[str, Any] = {**tiny.FACE, "face_encoder_hidden_dim": 32}
"""Widths are multiples of 256, the block of GGUF's K types; those of the encoders are multiples of 32."""
RENAMED = (
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
    ("condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"),
    ("condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"),
    ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
    ("proj_out", "head.head"),
    (".attn1.", ".self_attn."),
    (".attn2.", ".cross_attn."),
    (".to_out.0.", ".o."),
    (".to_q.", ".q."),
    (".to_k.", ".k."),
    (".to_v.", ".v."),
    (".add_k_proj.", ".k_img."),
    (".add_v_proj.", ".v_img."),
    (".norm_added_k.", ".norm_k_img."),
    (".ffn.net.0.proj.", ".ffn.0."),
    (".ffn.net.2.", ".ffn.2."),
    (".scale_shift_table", ".modulation"),
    (".norm2.", ".norm3."),
)
"""diffusers' name -> Wan's, for all but the face modules."""
FACE_RENAMED = (
    (".norm_k.", ".k_norm."),
    (".norm_q.", ".q_norm."),
    (".to_q.", ".linear1_q."),
    (".to_out.", ".linear2."),
    ("conv1_local.", "conv1_local.conv."),
    ("conv2.", "conv2.conv."),
    ("conv3.", "conv3.conv."),
)


def animate(seed: int = 0) -> Any:
    """A tiny `AnimateTransformer3DModel` of the pack's widths, every weight moved."""
    from stages.wan.face_modules import AnimateTransformer3DModel

    torch.manual_seed(seed)
    model = AnimateTransformer3DModel(**CONFIG, **FACE).eval()
    tiny.moved(model, amount=0.1)
    return model


def original_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The model's tensors under Wan's own names: the inverse of diffusers' conversion, written out here."""
    tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("motion_encoder."):
            found |= _motion_encoder(name, tensor)
        elif name.startswith("face_adapter.") and ".to_v." in name:
            continue
        elif name.startswith("face_adapter.") and ".to_k." in name:
            fused = torch.cat([tensor, tensors[name.replace(".to_k.", ".to_v.")]])
            found[_renamed(name, FACE_RENAMED).replace(".to_k.", ".linear1_kv.")] = fused
        elif name.startswith(("face_adapter.", "face_encoder.")):
            found[_renamed(name, FACE_RENAMED)] = tensor
        elif name == "scale_shift_table":
            found["head.modulation"] = tensor
        else:
            found[_renamed(name, RENAMED)] = tensor
    return {name.replace("face_adapter.", "face_adapter.fuser_blocks."): tensor for name, tensor in found.items()}


def _renamed(name: str, renamed: tuple[tuple[str, str], ...]) -> str:
    for ours, wans in renamed:
        name = name.replace(ours, wans)
    return name


def _motion_encoder(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """A tensor of the motion encoder; a bias has four axes there, and a blur kernel stands before a strided weight."""
    convs, rest = "motion_encoder.enc.net_app.convs", name.removeprefix("motion_encoder.")
    if rest == "motion_synthesis_weight":
        return {"motion_encoder.dec.direction.weight": tensor}
    if rest.startswith("motion_network."):
        return {f"motion_encoder.enc.fc.{rest.removeprefix('motion_network.')}": tensor}
    if rest == "conv_in.weight":
        return {f"{convs}.0.0.weight": tensor}
    if rest == "conv_in.act_fn.bias":
        return {f"{convs}.0.1.bias": tensor.reshape(1, -1, 1, 1)}
    if rest == "conv_out.weight":
        return {f"{convs}.8.weight": tensor}
    _, number, conv, *_ = rest.split(".")
    at = f"{convs}.{int(number) + 1}"
    if rest.endswith("act_fn.bias"):
        return {f"{at}.conv1.1.bias" if conv == "conv1" else f"{at}.conv2.2.bias": tensor.reshape(1, -1, 1, 1)}
    if conv == "conv1":
        return {f"{at}.conv1.0.weight": tensor}
    place = "conv2" if conv == "conv2" else "skip"
    return {f"{at}.{place}.0.kernel": torch.ones(4, 4) / 16, f"{at}.{place}.1.weight": tensor}


# ---- fp8_scaled
def write_fp8(
    path: Path,
    tensors: dict[str, torch.Tensor],
    stored: torch.dtype = torch.float8_e4m3fn,
    change: dict[str, torch.Tensor | None] | None = None,
) -> Path:
    """The linear weights of blocks and face adapters in 8 bits with a scale each, and the marker, as kijai writes.
    `change` replaces tensors of the file, or leaves them out where it is None."""
    from safetensors.torch import save_file

    found: dict[str, torch.Tensor] = {"scaled_fp8": torch.zeros(2, dtype=stored)}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and name.endswith(".weight") and name.startswith(("blocks.", "face_adapter.")):
            scale = tensor.abs().max() / torch.finfo(stored).max
            found[name] = (tensor / scale).to(stored)
            found[f"{name.removesuffix('.weight')}.scale_weight"] = scale
        else:
            found[name] = tensor.to(torch.float16) if tensor.ndim > 2 else tensor
    changed = {name: tensor for name, tensor in {**found, **(change or {})}.items() if tensor is not None}
    save_file(changed, path)
    return path


# ---- GGUF
SCALE_BYTES = {
               "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
               "IQ4_NL": (0,), "IQ4_XS": (0,)}  # fmt: skip
"""Places of the 16-bit scales in a block of the types that the package cannot quantise to."""


def write_gguf(path: Path, tensors: dict[str, torch.Tensor], kinds: tuple[str, ...], flat: str = "") -> Path:
    """As QuantStack's files: the blocks' linear weights in the types `kinds` by turns, embeddings in BF16, other
    matrices and 4-D convolutions in F16, vectors, modulations and 5-D convolutions in F32. The tensor `flat` is
    flattened, with its shape in a field."""
    import gguf

    writer = gguf.GGUFWriter(path, arch="wan")
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    turn = 0
    for name, tensor in tensors.items():
        small = tensor.ndim in (1, 5) or "modulation" in name or name.endswith((".bias", "padding_tokens"))
        kind = "F32" if small else "F16"
        if tensor.ndim == 2 and name.endswith(".weight") and ("blocks." in name or "face_adapter." in name):
            kind, turn = kinds[turn % len(kinds)], turn + 1
        elif "text_embedding" in name or "time_embedding" in name:
            kind = "F32" if small else "BF16"
        stored = gguf.GGMLQuantizationType[kind]
        if name == flat:
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(tensor.shape))
            tensor = tensor.flatten()
        writer.add_tensor(name, quantised(tensor.numpy(), stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantised(values: np.ndarray, kind: Any) -> np.ndarray:
    """The tensor's bytes. Types that the package cannot quantise to get random bytes with small scales."""
    import gguf

    if kind.name not in SCALE_BYTES:
        return gguf.quants.quantize(values, kind)
    per_block, size = gguf.GGML_QUANT_SIZES[kind]
    generator = np.random.default_rng(values.size)
    blocks = generator.integers(0, 256, (*values.shape[:-1], values.shape[-1] // per_block, size), dtype=np.uint8)
    for place in SCALE_BYTES[kind.name]:
        scales = generator.uniform(1e-5, 1e-4, blocks.shape[:-1]).astype(np.float16)
        blocks[..., place : place + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(*values.shape[:-1], -1)


# ---- the real size, without a file
published = single_file
"""A pack at the real size by its header, its linear layers all in one type."""
