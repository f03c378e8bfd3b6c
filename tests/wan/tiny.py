"""The diffusion model in miniature: random weights, but in the very folder layout and file formats of the real ones.

Everything is saved with diffusers' and transformers' own `save_pretrained` and read back by emosh's real loading code.
The scheduler, the VAE's mean, deviation and factors (4 in time, 8 in space) and the 512 text tokens are the real ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stages.artifacts.provenance import Provenance
from stages.wan.adapter import ADAPTER_NAME, write_adapter
from stages.wan.part_check import EMBEDDING
from stages.wan.transformer import EmoshTransformer3DModel

TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": 36,
    "out_channels": 16,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 64,
    "num_layers": 2,
    "image_dim": 32,
    "added_kv_proj_dim": 32,
    "rope_max_seq_len": 64,
}
FACE: dict[str, Any] = {
    "motion_encoder_channel_sizes": {"4": 16, "8": 16, "16": 16},
    "motion_encoder_size": 16,
    "motion_style_dim": 16,
    "motion_dim": 4,
    "motion_encoder_dim": 16,
    "face_encoder_hidden_dim": 16,
    "face_encoder_num_heads": 2,
    "inject_face_latents_blocks": 1,
}
VAE: dict[str, Any] = {
    "base_dim": 3,
    "z_dim": 16,
    "dim_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}
LETTERS = "视频中的人在做动作abcdefghijklmnopqrstuvwxyz "


def animate_transformer(seed: int = 0, silenced: bool = False) -> Any:
    """A tiny `WanAnimateTransformer3DModel`; `silenced` stops its face branch from adding anything."""
    from diffusers import WanAnimateTransformer3DModel

    torch.manual_seed(seed)
    model = WanAnimateTransformer3DModel(**TRANSFORMER, **FACE).eval()
    if silenced:
        for block in model.face_adapter:
            for parameter in block.to_out.parameters():
                parameter.data.zero_()
    return model


def i2v_transformer(seed: int = 0, **changed: Any) -> Any:
    """A tiny `WanTransformer3DModel`."""
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    return WanTransformer3DModel(**{**TRANSFORMER, **changed}).eval()


def save_folder(path: Path, transformer: Any, shards: str = "100KB") -> Path:
    """A whole diffusers folder around a transformer, the weights in shards as the real ones are."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

    torch.manual_seed(1)
    transformer.save_pretrained(path / "transformer", max_shard_size=shards)
    AutoencoderKLWan(**VAE).save_pretrained(path / "vae")
    clip = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=32, patch_size=8
    )
    CLIPVisionModel(clip).save_pretrained(path / "image_encoder")
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        path / "image_processor"
    )
    umt5 = UMT5Config(
        vocab_size=4 + len(LETTERS), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        relative_attention_num_buckets=8, feed_forward_proj="gated-gelu",
    )  # fmt: skip
    UMT5EncoderModel(umt5).save_pretrained(path / "text_encoder")
    tokenizer().save_pretrained(path / "tokenizer")
    UniPCMultistepScheduler(
        num_train_timesteps=1000, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
    ).save_pretrained(path / "scheduler")
    return path


def tokenizer() -> Any:
    """A T5 tokeniser of a few letters, made in memory."""
    from transformers import T5TokenizerFast

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in LETTERS)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)


def save_adapter(path: Path, model: EmoshTransformer3DModel, provenance: Provenance) -> None:
    """Write the LoRA and the motion embedding of a model that has them."""
    from peft.utils import get_peft_model_state_dict

    config = model.peft_config[ADAPTER_NAME]  # type: ignore[index]
    tensors = dict(get_peft_model_state_dict(model, adapter_name=ADAPTER_NAME))  # type: ignore[arg-type]
    tensors |= {f"{EMBEDDING}.{name}": tensor for name, tensor in model.pose_patch_embedding.state_dict().items()}
    write_adapter(path, tensors, config.r, config.lora_alpha, provenance)


def moved(model: Any, seed: int = 5, amount: float = 0.3) -> None:
    """Change every weight a little, so that zeros and ones left by an initialiser cannot hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += amount * torch.randn(parameter.shape, generator=generator) * (parameter.std() + 0.1)
