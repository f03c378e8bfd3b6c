"""Encode clips and their condition maps as a training cache (stages/artifacts/training_cache.py): one file per clip.

A clip is read once. Memory holds one window, the reference candidates, and the networks, which stay loaded between
clips. Frames after the last complete window are used as references only.
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
from stages.artifacts.text_files import read_json_object
from stages.artifacts.training_cache import CLIP, COMMON, COMMON_FILE, cache_metadata, declare_clip
from stages.counted import counted
from stages.encode.augment import augment
from stages.encode.cache_config import CacheConfig
from stages.encode.config import EncodeConfig
from stages.encode.encode import cached_or_new_prompt, read_condition_map, to_array, to_pixels
from stages.encode.fit import fit_to_map
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.source import VideoInfo, read_frames

if TYPE_CHECKING:
    from stages.wan.folder import ModelFolder

LIBRARY_BYTES = 0.8e9
"""Memory of a process that has loaded torch, the decoder and the body. Measured: 0.7 GB."""
FILE_TYPES = {"float16": "F16", "float32": "F32"}


@dataclass(frozen=True)
class Encoders:
    """VAE and CLIP in memory. For a model without an image encoder, CLIP and its processor are None."""

    vae: Any
    image_encoder: Any
    image_processor: Any


def load_encoders(folder: ModelFolder, config: EncodeConfig, device: str) -> Encoders:
    """Load VAE and CLIP once for all clips."""
    from stages.wan.loading import DTYPES, load_image_encoder, load_vae

    clip = load_image_encoder(folder, device) if folder.has_image_encoder else (None, None)
    return Encoders(load_vae(folder, DTYPES[config.vae_dtype], device), *clip)


def needed_bytes(folder: ModelFolder, config: EncodeConfig, size: tuple[int, int]) -> float:
    """Host memory in bytes that a process needs to encode clips of `size` (width, height) on the CPU.

    Counts the VAE, CLIP, and the VAE's peak memory for one window.
    """

    import torch

    from stages.wan.cost import meta_vae, parameter_bytes, vae_costs

    vae = read_json_object(folder.part("vae") / "config.json", "fetch the model again")
    dtype = getattr(torch, config.vae_dtype)
    encoding, _ = vae_costs(vae, config.chunk_frames, size[1], size[0], dtype)
    clip = (
        sum(path.stat().st_size for path in folder.part("image_encoder").glob("*.safetensors"))
        if folder.has_image_encoder
        else 0
    )
    return LIBRARY_BYTES + parameter_bytes(meta_vae(vae, dtype)) + clip + 1.1 * encoding.peak_bytes


def encode_common(
    folder: ModelFolder, encoders: Encoders, out: Path, size: tuple[int, int], config: EncodeConfig,
    provenance: Provenance, *, device: str = "cpu", cache: Path | None = None,
) -> None:  # fmt: skip
    """Write the file that all clips share: the prompt's tokens and the latents of a grey window.

    `size` is (width, height).
    """
    from stages.wan import vae

    prompt = cached_or_new_prompt(folder, cache, config.prompt, device)
    grey = to_array(vae.grey_latents(encoders.vae, config.chunk_frames, size[1], size[0]))
    declared = {"prompt_embeds": Declared("F32", prompt.shape), "grey_latents": Declared("F32", grey.shape)}
    with write_streamed(out / COMMON_FILE, declared, cache_metadata(COMMON, provenance)) as file:
        file.write("prompt_embeds", prompt)
        file.write("grey_latents", grey)


def encode_clip(
    clip: ClipLine, cond: Path, encoders: Encoders, out: Path, encode: EncodeConfig, config: CacheConfig,
    provenance: Provenance, progress: Progress = silent,
) -> int:  # fmt: skip
    """Write one clip's file. Returns its number of windows. `cond` is its condition map, with one frame per frame.

    Raises InputError for a clip shorter than a window, and for a map or video of another length than the clip states.
    """
    info, _ = read_condition_map(cond)
    span = encode.chunk_frames
    if clip.frames < span:
        raise InputError(f"{clip.video}: the clip has {counted(clip.frames, 'frame')}, a window needs {span}")
    if info.frame_count != clip.frames:
        raise InputError(
            f"{clip.video}: the motion has {info.frame_count} rows for {counted(clip.frames, 'frame')}; track again"
        )
    starts = list(range(0, clip.frames - span + 1, config.window_stride))
    rows = reference_rows(clip.frames, config.reference_candidates)
    kept: dict[int, np.ndarray | None] = dict.fromkeys(rows)
    latents: dict[str, list[np.ndarray]] = {name: [] for name in ("clip_latents", "motion_latents", "known_latents")}
    for number, (frames, maps) in enumerate(_windows(clip, cond, info, span, starts, kept)):
        for name, array in encoded_window(frames, maps, encoders.vae, encode.overlap_frames).items():
            latents[name].append(array)
        progress("encoding windows", number + 1, len(starts))
    random = np.random.default_rng([config.seed, *provenance.fingerprint().encode()])
    references, embeds = _references([kept[row] for row in rows], info, encoders, config, random)  # type: ignore[misc]
    plane, length = (info.height // 8, info.width // 8), (span - 1) // 4 + 1
    tensors = declare_clip(
        len(starts),
        len(rows),
        plane,
        length,
        (embeds.shape[2], embeds.shape[3]),
        FILE_TYPES[config.cache_dtype],
    )
    header = cache_metadata(CLIP, provenance, fps=clip.fps, frames=clip.frames, width=info.width, height=info.height)
    with write_streamed(out, tensors, header) as file:
        file.write("window_starts", np.array(starts))
        file.write("reference_frames", np.array(rows))
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
    """Name -> latents of one window: the video, the condition map, and the known frames of a later chunk."""
    from stages.wan import vae as codec

    pixels = to_pixels(frames)
    return {
        "clip_latents": to_array(codec.encode(vae, pixels)),
        "motion_latents": to_array(codec.encode(vae, to_pixels(maps))),
        "known_latents": to_array(codec.known_latents(vae, pixels[:, :, :overlap_frames], len(frames))),
    }


def reference_rows(frames: int, count: int) -> list[int]:
    """Frame numbers spread evenly over a clip: the middle of each of `count` equal parts."""
    return sorted({int((part + 0.5) * frames / count) for part in range(count)})


def _windows(
    clip: ClipLine, cond: Path, info: VideoInfo, span: int, starts: list[int], kept: dict[int, np.ndarray | None]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(video, map) of every window, while the clip is read. Fills `kept` with the whole frames at its frame numbers."""
    ends, held = {start + span for start in starts}, []
    coming = _frames(clip.video, clip.first_frame, clip.frames)
    for row, (frame, drawn) in enumerate(zip(coming, _frames(cond, 0, clip.frames), strict=True)):
        shown = fit_to_map(frame, info)
        if row in kept:
            kept[row] = frame
        held = [*held[-(span - 1) :], (shown, drawn)] if span > 1 else [(shown, drawn)]
        if row + 1 in ends:
            yield np.stack([each for each, _ in held]), np.stack([each for _, each in held])


def _frames(path: Path, first: int, count: int) -> Iterator[np.ndarray]:
    """`count` frames from frame `first` on. Raises InputError where the video ends earlier."""
    found = 0
    for frame in islice(read_frames(path), first, first + count):
        found += 1
        yield frame.rgb
    if found < count:
        raise InputError(f"{path} ends {counted(count - found, 'frame')} before the clip does; curate again")


def _references(
    pictures: list[np.ndarray], info: VideoInfo, encoders: Encoders, config: CacheConfig, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(latents: candidates 2 16 1 h w, CLIP tokens: candidates 2 tokens dim) of each picture, plain and augmented.

    As for the photo in `encode`, CLIP reads the picture without borders, and the VAE reads it fitted into the map's
    size.
    """
    from stages.wan import vae as codec

    latents, embeds = [], []
    for picture in pictures:
        both = picture, augment(picture, config, random)
        latents.append([to_array(codec.encode(encoders.vae, to_pixels(fit_to_map(each, info)[None]))) for each in both])
        embeds.append([_clip_tokens(encoders, each) for each in both])
    return np.array(latents), np.array(embeds)


def _clip_tokens(encoders: Encoders, picture: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """CLIP's tokens of a picture. Empty for a model without an image encoder."""
    from stages.wan.conditioning import image_embeds

    if encoders.image_encoder is None:
        return np.zeros((0, 0), np.float32)
    return to_array(image_embeds(encoders.image_encoder, encoders.image_processor, picture))
