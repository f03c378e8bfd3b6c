"""Draw one chunk after another: from a clip's latents to frames (paper 3.4).

Chunk 1 is drawn from the photo alone. Every later chunk also reads a latent of chunk 1, usually its first
(spatially-aligned conditioning, SAC) and the last frames of the chunk before, encoded together with grey for the rest.
A chunk must be decoded completely before the next can begin: the frames that the next one needs come last from the
causal decoder and depend on all of the chunk's latents (measured in tests/generate/wan). With SAC off and the output of
the face branch set to 0, the result equals diffusers' `WanAnimatePipeline`, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from stages.artifacts.latents import Latents
from stages.generate.wan.color_anchor import match_colours
from stages.progress import Progress, silent
from stages.wan import vae as codec
from stages.wan.chunks import Chunk, source_row
from stages.wan.config import WanConfig
from stages.wan.denoise import Embeddings, FaceMotion, denoise, noise
from stages.wan.layout import condition, layout

if TYPE_CHECKING:
    from stages.wan.transformer import EmoshTransformer3DModel


@dataclass(frozen=True)
class Models:
    """The loaded networks. `device` is where a chunk's latents are."""

    transformer: EmoshTransformer3DModel
    vae: codec.Vae
    device: torch.device


@dataclass(frozen=True)
class Carried:
    """What a chunk passes to the next: `noise_state`, the state of the random generator; `anchor`, the latent of one
    frame of chunk 1; `tail`, the chunk's last frames in [-1, 1]."""

    noise_state: Tensor
    anchor: Float[Tensor, "1 16 1 h w"] | None = None
    tail: Float[Tensor, "1 3 known height width"] | None = None


def before_first_chunk(seed: int) -> Carried:
    """The input of chunk 1: a generator on the CPU, so that a seed gives the same noise on every device."""
    return Carried(torch.Generator().manual_seed(seed).get_state())


def draw_chunk(
    latents: Latents, chunk: Chunk, carried: Carried, models: Models, config: WanConfig, progress: Progress = silent
) -> tuple[Float[Tensor, "1 3 new height width"], Carried]:
    """Draw a chunk. Returns (its new frames in [-1, 1] on the CPU, what the next chunk needs)."""
    header, device = latents.header, models.device
    slots = layout(header.chunk_frames, header.overlap_frames, chunk.number == 0, config.sac is not False)
    generator = torch.Generator()
    generator.set_state(carried.noise_state)
    start = noise(slots, header.height // 8, header.width // 8, generator, device)
    known = _known(latents, chunk, carried, models)
    known_slots = condition(
        slots,
        _tensor(latents.read("reference_latents"), device),
        carried.anchor.to(device) if slots.anchor and carried.anchor is not None else None,
        known.to(device),
        read_kept(latents, chunk),
    )
    motion = _tensor(latents.motion(chunk.number), device)
    denoised = denoise(
        models.transformer, start, known_slots, motion, read_embeddings(latents), config, slots.lead, progress,
        faces=read_faces(latents, chunk),
    )  # fmt: skip
    frames = codec.decode(models.vae, denoised[:, :, slots.lead :])
    anchor = _anchor(denoised, frames, slots.lead, models, config) if carried.anchor is None else carried.anchor
    if config.color_anchor and carried.tail is not None:
        frames = match_colours(frames, carried.tail.to(frames))
    own = frames[:, :, chunk.known :]
    tail = own[:, :, -header.overlap_frames :].cpu().clone()
    return own[:, :, : chunk.new].cpu(), replace(carried, noise_state=generator.get_state(), anchor=anchor, tail=tail)


def _anchor(
    denoised: Float[Tensor, "1 16 slots h w"],
    frames: Float[Tensor, "1 3 frames height width"],
    lead: int,
    models: Models,
    config: WanConfig,
) -> Float[Tensor, "1 16 1 h w"]:
    """What later chunks see of chunk 1: its first denoised latent as it is, or another frame encoded alone."""
    if config.anchor_frame in ("first", 0):
        return denoised[:, :, lead : lead + 1].cpu()
    assert isinstance(config.anchor_frame, int), "fit_to_drawing has replaced a name by its frame"
    return codec.encode(models.vae, frames[:, :, config.anchor_frame : config.anchor_frame + 1]).cpu()


def read_faces(latents: Latents, chunk: Chunk) -> FaceMotion | None:
    """The faces of exactly the chunk's frames; past the clip's end they turn back with the condition map."""
    if not latents.has_face:
        return None
    faces = latents.frames("face_motion", _rows(latents, chunk))
    return FaceMotion(_tensor(faces), _tensor(latents.read("blank_face_motion")))


def read_kept(latents: Latents, chunk: Chunk) -> Float[Tensor, "frames h w"] | None:
    """1 where the background is kept, for exactly the chunk's frames; None for a clip without one."""
    if not latents.has("replace_mask"):
        return None
    return 1 - torch.from_numpy(latents.frames("replace_mask", _rows(latents, chunk))).float()


def _rows(latents: Latents, chunk: Chunk) -> list[int]:
    """The clip's frame at each frame of the chunk; past the clip's end they turn back."""
    header = latents.header
    return [source_row(chunk.start + number, header.frames) for number in range(header.chunk_frames)]


def _known(latents: Latents, chunk: Chunk, carried: Carried, models: Models) -> Float[Tensor, "1 16 video h w"]:
    """Known latents: the encoding of the last frames of the chunk before, then grey, or the background to keep."""
    if latents.has("background"):
        shown = codec.pixels(torch.from_numpy(latents.frames("background", _rows(latents, chunk))))
        before = [] if carried.tail is None else [carried.tail]
        return codec.encode(models.vae, torch.cat([*before, shown[:, :, chunk.known :]], dim=2))
    if carried.tail is None:
        return _tensor(latents.read("grey_latents"), models.device)
    return codec.known_latents(models.vae, carried.tail, latents.header.chunk_frames)


def read_embeddings(latents: Latents) -> Embeddings:
    """The embeddings for the cross-attention, from the file."""
    negative = latents.read("negative_prompt_embeds") if latents.has("negative_prompt_embeds") else None
    return Embeddings(
        _tensor(latents.read("prompt_embeds")),
        _tensor(latents.read("image_embeds")),
        None if negative is None else _tensor(negative),
    )


def _tensor(array, device: torch.device | str = "cpu") -> Tensor:
    return torch.from_numpy(array)[None].to(device)
