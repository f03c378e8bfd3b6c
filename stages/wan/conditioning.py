"""Inputs of the cross-attention: CLIP tokens of the reference photo and UMT5 tokens of the prompt."""

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
from stages.artifacts.safetensors_file import opened_safetensors, save_tensors
from stages.errors import InputError
from stages.wan.config_check import explained
from stages.wan.folder import ModelFolder
from stages.wan.layout import TEXT_TOKENS
from stages.wan.safetensors_headers import read_header

PROMPT_FILE = "prompt_embeds.safetensors"
"""File of prompt embeddings in a model folder. With it, these prompts need no text encoder."""


@torch.no_grad()
def image_embeds(
    encoder: Any, processor: Any, rgb: UInt8[np.ndarray, "height width 3"]
) -> Float[Tensor, "1 tokens image_dim"]:
    """Output of CLIP's second-to-last layer for a picture, which Wan2.1-I2V reads (257 tokens of 1280 numbers)."""
    from PIL import Image

    with explained(_origin(encoder, "the image encoder"), "cannot read a picture"):
        inputs = processor(images=Image.fromarray(rgb), return_tensors="pt").to(encoder.device)
        return encoder(**inputs, output_hidden_states=True).hidden_states[-2]


@torch.no_grad()
def prompt_embeds(encoder: Any, tokenizer: Any, prompt: str) -> Float[Tensor, "1 512 text_dim"]:
    """UMT5's 512 tokens. Those after the end of the text are zeros, because the cross-attention has no mask."""
    with explained(_origin(tokenizer, "the tokenizer"), "cannot read a text"):
        inputs = tokenizer(
            [clean_prompt(prompt)],
            padding="max_length",
            max_length=TEXT_TOKENS,
            truncation=True,
            add_special_tokens=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
        tokens, attention = inputs.input_ids.to(encoder.device), inputs.attention_mask.to(encoder.device)
    with explained(_origin(encoder, "the text encoder"), "cannot embed a text"):
        embeds = encoder(tokens, attention).last_hidden_state
    length = int(attention.gt(0).sum())
    return torch.cat([embeds[:, :length], embeds.new_zeros(1, TEXT_TOKENS - length, embeds.shape[2])], dim=1)


def _origin(part: Any, otherwise: str) -> Path:
    """The folder that transformers loaded the part from, for a message."""
    return Path(getattr(part, "name_or_path", "") or otherwise)


def clean_prompt(prompt: str) -> str:
    """The prompt as Wan's code reads it: HTML entities decoded, runs of white space made one space."""
    return " ".join(html.unescape(html.unescape(prompt)).split())


def cached_prompt(folder: ModelFolder, cache: Path | None, prompt: str) -> Float[Tensor, "1 512 text_dim"] | None:
    """A prompt's embedding from the model folder or the cache. None where neither has it."""
    name = prompt_key(prompt)
    files = [folder.path / PROMPT_FILE]
    if cache is not None:
        files.append(cache / f"prompt-{text_encoder_identity(folder)}-{name}.safetensors")
    for file in files:
        if file.is_file() and name in read_header(file)[0]:
            return _read(file, name, folder)
    return None


def cache_prompt(folder: ModelFolder, cache: Path, prompt: str, embeds: Float[Tensor, "1 512 text_dim"]) -> Path:
    """Write a prompt's embedding into the cache folder, which is created if needed. Returns the file."""
    file = cache / f"prompt-{text_encoder_identity(folder)}-{prompt_key(prompt)}.safetensors"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {cache} ({error.strerror}); set EMOSH_HOME to a folder of yours") from error
    save_prompts(file, {prompt: embeds})
    return file


def save_prompts(file: Path, prompts: dict[str, Float[Tensor, "1 512 text_dim"]]) -> None:
    """Write embeddings by prompt. As PROMPT_FILE in a model folder, the file replaces the text encoder for them."""

    tensors = {prompt_key(prompt): embeds.detach().cpu().contiguous() for prompt, embeds in prompts.items()}
    with atomic_path(file) as part:
        save_tensors(part, tensors, {"prompts": json.dumps(list(prompts), ensure_ascii=False)})


def prompt_key(prompt: str) -> str:
    """A prompt's key: the first 16 digits of its sha256."""
    return hashlib.sha256(clean_prompt(prompt).encode()).hexdigest()[:16]


def text_encoder_identity(folder: ModelFolder) -> str:
    """16 hex digits that identify a folder's text encoder, from its configuration and its files' names and sizes."""
    digest = hashlib.sha256()
    place = folder.path / "text_encoder"
    for file in sorted(place.glob("*")) if place.is_dir() else []:
        digest.update(f"{file.name} {file.stat().st_size}".encode())
        if file.suffix == ".json":
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read(file: Path, name: str, folder: ModelFolder) -> Float[Tensor, "1 512 text_dim"]:
    with opened_safetensors(file, "remove the file") as opened:
        embeds = opened.get_tensor(name)
    expected = (1, TEXT_TOKENS, folder.config.get("text_dim", 4096))
    if tuple(embeds.shape) != expected:
        raise InputError(
            f"{file}: the prompt's embedding is {tuple(embeds.shape)}, the transformer reads {expected}; "
            "remove the file"
        )
    return embeds
