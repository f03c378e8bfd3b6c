"""Clips with their condition maps become a training cache (stages/artifacts/training_cache.py): a file a clip.

A clip is read once. In memory are one window, the candidates, and the networks, which stay loaded between clips.
Windows do not turn back at the clip's end: frames behind the last whole window serve as references only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.manifest import ClipLine
from stages.artifacts.provenance import Provenance
from stages.artifacts.streamed_safetensors import Declared, write_streamed
from stages.artifacts.training_cache import CLIP, COMMON, COMMON_FILE, cache_metadata, declare_clip
from stages.encode.augment import moved
from stages.encode.cache_config import CacheConfig
from stages.encode.config import EncodeConfig
from stages.encode.encode import array_of, described, fitted, kept_or_made_prompt, pixels_of
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.source import VideoInfo, read_frames

if TYPE_CHECKING:
    from stages.wan.folder import ModelFolder

LIBRARY_BYTES = 0.8e9
"""Of a process that has loaded torch, the decoder and the body, measured: 0.7 GB."""
FILE_TYPES = {"float16": "F16", "float32": "F32"}


@dataclass(frozen=True)
class Encoders:
    """VAE and CLIP in memory; without CLIP None."""

    vae: Any
    image_encoder: Any
    image_processor: Any


def load_encoders(folder: ModelFolder, config: EncodeConfig, device: str) -> Encoders:
    """Both, once for all clips."""
    from stages.wan.loading import DTYPES, load_image_encoder, load_vae

    seeing = load_image_encoder(folder, device) if folder.sees else (None, None)
    return Encoders(load_vae(folder, DTYPES[config.vae_dtype], device), *seeing)


def needed_bytes(folder: ModelFolder, config: EncodeConfig, size: tuple[int, int]) -> float:
    """Host memory that one process needs to encode clips of `size` (width, height) on the CPU: VAE, CLIP, and the most
    that the VAE makes of a window, counted."""
    import json

    import torch

    from stages.wan.cost import meta_vae, parameter_bytes, vae_costs

    vae = json.loads((folder.part("vae") / "config.json").read_text(encoding="utf-8"))
    dtype = getattr(torch, config.vae_dtype)
    encoding, _ = vae_costs(vae, config.chunk_frames, size[1], size[0], dtype)
    clip = sum(path.stat().st_size for path in folder.part("image_encoder").glob("*.safetensors")) if folder.sees else 0
    return LIBRARY_BYTES + parameter_bytes(meta_vae(vae, dtype)) + clip + 1.1 * encoding.peak_bytes


def encode_common(
    folder: ModelFolder, encoders: Encoders, out: Path, size: tuple[int, int], config: EncodeConfig,
    provenance: Provenance, *, device: str = "cpu", cache: Path | None = None,
) -> None:  # fmt: skip
    """Write what all clips share: the prompt's tokens and a grey window. `size` is (width, height)."""
    from stages.wan import vae

    prompt = kept_or_made_prompt(folder, cache, config.prompt, device)
    grey = array_of(vae.grey_latents(encoders.vae, config.chunk_frames, size[1], size[0]))
    declared = {"prompt_embeds": Declared("F32", prompt.shape), "grey_latents": Declared("F32", grey.shape)}
    with write_streamed(out / COMMON_FILE, declared, cache_metadata(COMMON, provenance)) as file:
        file.write("prompt_embeds", prompt)
        file.write("grey_latents", grey)


def encode_clip(
    clip: ClipLine, cond: Path, encoders: Encoders, out: Path, encode: EncodeConfig, config: CacheConfig,
    provenance: Provenance, progress: Progress = silent,
) -> int:  # fmt: skip
    """Write one clip's file; the number of its windows. `cond` is its condition map, a frame for each of its frames.

    Raises InputError for a clip that is shorter than a window, or whose map or video is not as long as it says.
    """
    info, _ = described(cond)
    span = encode.chunk_frames
    if clip.frames < span:
        raise InputError(f"{clip.video}: the clip has {clip.frames} frames, a window needs {span}")
    if info.frame_count != clip.frames:
        raise InputError(f"{clip.video}: the motion has {info.frame_count} rows for {clip.frames} frames; track again")
    starts = list(range(0, clip.frames - span + 1, config.window_stride))
    seen = candidates(clip.frames, config.reference_candidates)
    kept: dict[int, np.ndarray | None] = dict.fromkeys(seen)
    latents: dict[str, list[np.ndarray]] = {name: [] for name in ("clip_latents", "motion_latents", "known_latents")}
    for number, (frames, maps) in enumerate(_windows(clip, cond, info, span, starts, kept)):
        for name, array in encoded_window(frames, maps, encoders.vae, encode.overlap_frames).items():
            latents[name].append(array)
        progress("encoding windows", number + 1, len(starts))
    random = np.random.default_rng([config.seed, *provenance.fingerprint().encode()])
    references, embeds = _references([kept[row] for row in seen], info, encoders, config, random)  # type: ignore[misc]
    plane, length = (info.height // 8, info.width // 8), (span - 1) // 4 + 1
    tensors = declare_clip(
        len(starts),
        len(seen),
        plane,
        length,
        (embeds.shape[2], embeds.shape[3]),
        FILE_TYPES[config.cache_dtype],
    )
    header = cache_metadata(CLIP, provenance, fps=clip.fps, frames=clip.frames, width=info.width, height=info.height)
    with write_streamed(out, tensors, header) as file:
        file.write("window_starts", np.array(starts))
        file.write("reference_frames", np.array(seen))
        for name, arrays in latents.items():
            for array in arrays:
                file.write(name, array)
        file.write("reference_latents", references)
        file.write("image_embeds", embeds)
    return len(starts)


def encoded_window(
    frames: UInt8[np.ndarray, "frames height width 3"],
    maps: UInt8[np.ndarray, "frames height width 3"],
    vae: Any,
    overlap_frames: int,
) -> dict[str, np.ndarray]:
    """The three latents of one window."""
    from stages.wan import vae as codec

    shown = pixels_of(frames)
    return {
        "clip_latents": array_of(codec.encode(vae, shown)),
        "motion_latents": array_of(codec.encode(vae, pixels_of(maps))),
        "known_latents": array_of(codec.known_latents(vae, shown[:, :, :overlap_frames], len(frames))),
    }


def candidates(frames: int, count: int) -> list[int]:
    """Rows spread evenly over a clip, in the middle of as many equal parts."""
    return sorted({int((part + 0.5) * frames / count) for part in range(count)})


def _windows(
    clip: ClipLine, cond: Path, info: VideoInfo, span: int, starts: list[int], kept: dict[int, np.ndarray | None]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(video, map) of every window as the clip is read; the rows of `kept` are filled, unfitted, on the way."""
    ends, held = {start + span for start in starts}, []
    coming = _frames(clip.video, clip.first_frame, clip.frames)
    for row, (frame, drawn) in enumerate(zip(coming, _frames(cond, 0, clip.frames), strict=True)):
        shown = fitted(frame, info)
        if row in kept:
            kept[row] = frame
        held = [*held[-(span - 1) :], (shown, drawn)] if span > 1 else [(shown, drawn)]
        if row + 1 in ends:
            yield np.stack([each for each, _ in held]), np.stack([each for _, each in held])


def _frames(path: Path, first: int, count: int) -> Iterator[np.ndarray]:
    """That many frames from `first` on. Raises InputError where the video ends before."""
    found = 0
    for frame in islice(read_frames(path), first, first + count):
        found += 1
        yield frame.rgb
    if found < count:
        raise InputError(f"{path} ends {count - found} frames before the clip does; curate again")


def _references(
    pictures: list[np.ndarray], info: VideoInfo, encoders: Encoders, config: CacheConfig, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Latents (candidates 2 16 1 h w) and CLIP tokens (candidates 2 tokens dim) of each picture, plain and moved. As of
    the photo later, CLIP sees it whole, and the VAE fitted into the map's picture."""
    from stages.wan import vae as codec

    latents, embeds = [], []
    for picture in pictures:
        both = picture, moved(picture, config, random)
        latents.append([array_of(codec.encode(encoders.vae, pixels_of(fitted(each, info)[None]))) for each in both])
        embeds.append([_seen(encoders, each) for each in both])
    return np.array(latents), np.array(embeds)


def _seen(encoders: Encoders, picture: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """CLIP's tokens of a picture; none for a model without CLIP."""
    from stages.wan.conditioning import image_embeds

    if encoders.image_encoder is None:
        return np.zeros((0, 0), np.float32)
    return array_of(image_embeds(encoders.image_encoder, encoders.image_processor, picture))
