"""Tiny random weights in the Hub's own formats: a sharded Wan-Animate transformer, a VAE, CLIP, UMT5, a tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TRANSFORMER: dict[str, Any] = {
    "num_attention_heads": 2, "attention_head_dim": 32, "in_channels": 36, "out_channels": 16, "text_dim": 32,
    "freq_dim": 32, "ffn_dim": 64, "num_layers": 2, "image_dim": 32, "added_kv_proj_dim": 64,
}  # fmt: skip
FACE: dict[str, Any] = {
    "motion_encoder_channel_sizes": {"4": 16, "8": 16, "16": 16}, "motion_encoder_size": 16, "motion_style_dim": 16,
    "motion_dim": 4, "motion_encoder_dim": 16, "face_encoder_hidden_dim": 16, "face_encoder_num_heads": 2,
    "inject_face_latents_blocks": 1,
}  # fmt: skip
VAE: dict[str, Any] = {
    "base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}  # fmt: skip
SHARD = "150KB"


def animate_transformer(folder: Path, **changes: Any) -> Path:
    """A `WanAnimateTransformer3DModel` folder of several fp32 shards with an index."""
    import torch
    from diffusers import WanAnimateTransformer3DModel

    torch.manual_seed(0)
    WanAnimateTransformer3DModel(**TRANSFORMER, **FACE, **changes).save_pretrained(folder, max_shard_size=SHARD)
    return folder


def i2v_transformer(folder: Path, **changes: Any) -> Path:
    """A `WanTransformer3DModel` folder of several fp32 shards with an index."""
    import torch
    from diffusers import WanTransformer3DModel

    torch.manual_seed(1)
    WanTransformer3DModel(**{**TRANSFORMER, **changes}).save_pretrained(folder, max_shard_size=SHARD)
    return folder


def pipeline(folder: Path) -> Path:
    """A whole `Wan2.2-Animate-14B-Diffusers` folder, small."""
    import torch
    from diffusers import AutoencoderKLWan
    from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

    torch.manual_seed(2)
    animate_transformer(folder / "transformer")
    AutoencoderKLWan(**VAE).save_pretrained(folder / "vae")
    clip = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=32, patch_size=8
    )
    CLIPVisionModel(clip).save_pretrained(folder / "image_encoder")
    umt5 = UMT5Config(
        vocab_size=40, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    UMT5EncoderModel(umt5).save_pretrained(folder / "text_encoder")
    for part, names in {
        "tokenizer": ("tokenizer_config.json", "tokenizer.json"),
        "image_processor": ("preprocessor_config.json",),
        "scheduler": ("scheduler_config.json",),
    }.items():
        (folder / part).mkdir()
        for name in names:
            (folder / part / name).write_text("{}")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "WanAnimatePipeline"}))
    return folder


def lora(path: Path, rank: int = 4, embedding: bool = False) -> Path:
    """A LoRA file on two linears, with a motion embedding if asked."""
    import torch
    from safetensors.torch import save_file

    tensors = {
        f"blocks.{block}.attn1.to_q.lora_{side}.weight": torch.zeros(shape)
        for block in range(2)
        for side, shape in (("A", (rank, 64)), ("B", (64, rank)))
    }
    if embedding:
        tensors["pose_patch_embedding.weight"] = torch.zeros(64, 16, 1, 2, 2)
    save_file(tensors, path)
    return path
