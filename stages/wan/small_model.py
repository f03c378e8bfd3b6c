"""A small model to train from random weights: the paper's transformer in miniature, with the fixed codec or a VAE that
was trained for it."""

from __future__ import annotations

from pathlib import Path

import torch

from stages.wan.transformer import EmoshTransformer3DModel
from stages.wan.vae import Vae

TEXT_DIM = 16


def new_small_model(
    folder: Path, codec: Vae, *, layers: int = 5, heads: int = 6, head_dim: int = 64, seed: int = 0
) -> Path:
    """Write a model folder with random weights: 5 blocks of width 384, 13.3 million numbers, by default.

    It has no text and no image encoder. Its cross-attention, which the architecture has, reads one empty token.
    """
    torch.manual_seed(seed)
    width = heads * head_dim
    model = EmoshTransformer3DModel(  # type: ignore[call-arg]
        patch_size=(1, 2, 2), num_attention_heads=heads, attention_head_dim=head_dim, in_channels=36, out_channels=16,
        text_dim=TEXT_DIM, freq_dim=256, ffn_dim=4 * width, num_layers=layers, image_dim=None, added_kv_proj_dim=None,
        rope_max_seq_len=256,
    )  # fmt: skip
    codec.save_pretrained(folder / "vae")
    model.save_pretrained(folder / "transformer")
    return folder
