"""What the cross-attention reads: CLIP tokens of the reference picture and UMT5 tokens of a prompt."""

from __future__ import annotations

import hashlib
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError
from stages.wan.folder import ModelFolder
from stages.wan.layout import TEXT_TOKENS
from stages.wan.safetensors_headers import read_header

PROMPT = "视频中的人在做动作"
"""Wan-Animate's own prompt, "the people in the video are doing actions"; the paper names none."""
PROMPT_FILE = "prompt_embeds.safetensors"
"""In a model folder or in the cache: embeddings by prompt, so that the text encoder need not be there."""


@torch.no_grad()
def image_embeds(
    encoder: Any, processor: Any, rgb: UInt8[np.ndarray, "height width 3"]
) -> Float[Tensor, "1 tokens image_dim"]:
    """CLIP's last layer but one of a picture, as Wan2.1-I2V takes it (257 tokens of 1280)."""
    from PIL import Image

    inputs = processor(images=Image.fromarray(rgb), return_tensors="pt").to(encoder.device)
    return encoder(**inputs, output_hidden_states=True).hidden_states[-2]


@torch.no_grad()
def prompt_embeds(encoder: Any, tokenizer: Any, prompt: str) -> Float[Tensor, "1 512 text_dim"]:
    """UMT5's tokens, zeros behind the text's end: the cross-attention masks nothing."""
    inputs = tokenizer(
        [cleaned(prompt)],
        padding="max_length",
        max_length=TEXT_TOKENS,
        truncation=True,
        add_special_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    tokens, attention = inputs.input_ids.to(encoder.device), inputs.attention_mask.to(encoder.device)
    embeds = encoder(tokens, attention).last_hidden_state
    length = int(attention.gt(0).sum())
    return torch.cat([embeds[:, :length], embeds.new_zeros(1, TEXT_TOKENS - length, embeds.shape[2])], dim=1)


def cleaned(prompt: str) -> str:
    """The prompt as Wan's code reads it: entities resolved, white space single."""
    return " ".join(html.unescape(html.unescape(prompt)).split())


def kept_prompt(folder: ModelFolder, cache: Path | None, prompt: str) -> Float[Tensor, "1 512 text_dim"] | None:
    """A prompt's embedding from the model folder or the cache; None where it must be computed."""
    name = prompt_name(prompt)
    files = [folder.path / PROMPT_FILE]
    if cache is not None:
        files.append(cache / f"prompt-{text_encoder_identity(folder)}-{name}.safetensors")
    for file in files:
        if file.is_file() and name in read_header(file)[0]:
            return _read(file, name, folder)
    return None


def keep_prompt(folder: ModelFolder, cache: Path, prompt: str, embeds: Float[Tensor, "1 512 text_dim"]) -> Path:
    """Put a prompt's embedding into the cache folder, which is made. Its file."""
    file = cache / f"prompt-{text_encoder_identity(folder)}-{prompt_name(prompt)}.safetensors"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {cache} ({error.strerror}); set EMOSH_HOME to a folder of yours") from error
    save_prompts(file, {prompt: embeds})
    return file


def save_prompts(file: Path, prompts: dict[str, Float[Tensor, "1 512 text_dim"]]) -> None:
    """Write embeddings by prompt; a file called PROMPT_FILE in a model folder stands for its text encoder."""
    from safetensors.torch import save_file

    tensors = {prompt_name(prompt): embeds.detach().cpu().contiguous() for prompt, embeds in prompts.items()}
    with atomic_path(file) as part:
        save_file(tensors, part, {"prompts": json.dumps(list(prompts), ensure_ascii=False)})


def prompt_name(prompt: str) -> str:
    """A prompt's key: the first 16 digits of its sha256."""
    return hashlib.sha256(cleaned(prompt).encode()).hexdigest()[:16]


def text_encoder_identity(folder: ModelFolder) -> str:
    """Which text encoder a folder has, from its configuration and its files' names and sizes."""
    digest = hashlib.sha256()
    place = folder.path / "text_encoder"
    for file in sorted(place.glob("*")) if place.is_dir() else []:
        digest.update(f"{file.name} {file.stat().st_size}".encode())
        if file.suffix == ".json":
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read(file: Path, name: str, folder: ModelFolder) -> Float[Tensor, "1 512 text_dim"]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        embeds = opened.get_tensor(name)
    wanted = (1, TEXT_TOKENS, folder.config.get("text_dim", 4096))
    if tuple(embeds.shape) != wanted:
        raise InputError(f"{file}: the prompt's embedding is {tuple(embeds.shape)}, the transformer reads {wanted}")
    return embeds
