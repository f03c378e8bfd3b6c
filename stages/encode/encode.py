"""Encode a photo and a condition map as latents. Each network is loaded, used and released before the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.disk import check_room
from stages.artifacts.latents import LatentsHeader, declare_latents
from stages.artifacts.provenance import Provenance, config_dict, sha256_file, source_notes
from stages.artifacts.streamed_safetensors import StreamedWriter, write_streamed
from stages.counted import counted
from stages.drawing.face import blank
from stages.drawing.names import MESH, READABLE, SKELETON
from stages.encode.background import Background
from stages.encode.config import EncodeConfig
from stages.encode.faces import Faces, resized_face
from stages.encode.fit import fit_to_map
from stages.encode.windows import windows
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.metadata import read_metadata
from stages.video.photo import read_photo
from stages.video.source import VideoInfo, probe, read_frames
from stages.wan.chunks import plan_chunks
from stages.wan.layout import LAYOUT_VERSION, SIZE_STEP, SPATIAL_FACTOR

if TYPE_CHECKING:
    from torch import Tensor

    from stages.wan.folder import ModelFolder
    from stages.wan.vae import Vae

COND = "make one with: emosh render-cond MOTION -o cond.mp4"


def encode(
    photo: Path,
    cond: Path,
    folder: ModelFolder,
    config: EncodeConfig,
    out: Path,
    *,
    device: str = "cpu",
    cache: Path | None = None,
    weights: dict[str, str] | None = None,
    faces: Faces | None = None,
    background: Background | None = None,
    progress: Progress = silent,
) -> None:
    """Write the latents of a photo animated by a condition map to `out`. `cache` keeps prompt embeddings between runs.

    The photo is fitted into the map's size with black borders, as in Wan-Animate; CLIP reads the photo without borders.
    Memory does not grow with the clip's length. `weights` are the sha256 of the folder's files, for the record. `faces`
    are the pictures of the face in each frame, which Wan-Animate's skeleton needs beside it. `background` is kept, and
    the photo's person takes the place of the one in it; without it the photo's own background is drawn.
    Raises InputError for a file that is not a condition map, for a size that the model cannot read, and for a full
    disk, before anything is loaded.
    """
    from stages.wan import vae
    from stages.wan.loading import DTYPES, load_vae

    info, record = read_condition_map(cond)
    rgb = read_photo(photo)
    chunks = plan_chunks(info.frame_count or 0, config.chunk_frames, config.overlap_frames)
    header = _header(photo, cond, info, record, config, weights or {}, faces, background)
    face_features = _check_faces(cond, record, folder, faces, header.frames)
    _check_background(cond, record, header.frames, background)
    least = declare_latents(
        header, len(chunks), (0, 0), (0, 0), face_features=face_features, background=background is not None
    ).values()
    check_room(Path(out).parent, sum(each.size_bytes for each in least), f"encoding {counted(header.frames, 'frame')}")
    image = _image_embeds(rgb, folder, device)
    prompts = {
        "prompt_embeds": cached_or_new_prompt(folder, cache, config.prompt, device),
        **({} if not config.negative_prompt else {
            "negative_prompt_embeds": cached_or_new_prompt(folder, cache, config.negative_prompt, device)
        }),
    }  # fmt: skip
    text = prompts["prompt_embeds"].shape
    tensors = declare_latents(
        header, len(chunks), (image.shape[0], image.shape[1]), (text[0], text[1]), len(prompts) > 1, face_features,
        background is not None,
    )  # fmt: skip
    autoencoder = load_vae(folder, DTYPES[config.vae_dtype], device)
    header.provenance.notes["vae_tiling"] = _tile_if_needed(autoencoder, folder, header, config.vae_dtype, device)
    with write_streamed(out, tensors, header.to_metadata()) as file:
        file.write("image_embeds", image)
        for name, embeds in prompts.items():
            file.write(name, embeds)
        file.write("reference_latents", to_array(vae.encode(autoencoder, to_pixels(fit_to_map(rgb, info)[None]))))
        span = config.chunk_frames, info.height, info.width
        file.write("grey_latents", to_array(vae.grey_latents(autoencoder, *span)))
        times: list[float] = []
        frames = _frames_with_times(cond, info, times)
        for number, window in enumerate(windows(frames, chunks, config.chunk_frames, header.frames)):
            file.write("motion_latents", to_array(vae.encode(autoencoder, to_pixels(window))))
            progress("encoding the condition map", number + 1, len(chunks))
        for _ in frames:
            pass
        if faces is not None:
            numbers = _face_motion(faces, header.frames, folder, device, progress)
            file.write("face_motion", numbers[:-1])
            file.write("blank_face_motion", numbers[-1:])
        file.write("pts_seconds", np.array(times))
        if background is not None:
            _write_background(file, background, info, config.mask_cells, progress)


def _tile_if_needed(autoencoder: Vae, folder: ModelFolder, header: LatentsHeader, dtype: str, device: str) -> bool:
    """Let the VAE encode in tiles where a whole chunk does not fit the card's free memory; whether it does."""
    from stages.wan.machine import vae_needs_tiles
    from stages.wan.plan import Clip

    clip = Clip(header.frames, header.height, header.width, header.chunk_frames, header.overlap_frames)
    tiled = vae_needs_tiles(folder, clip, dtype, device)
    if tiled:
        autoencoder.enable_tiling()
    return tiled


def _check_faces(cond: Path, record: Provenance, folder: ModelFolder, faces: Faces | None, frames: int) -> int:
    """Numbers per face, 0 where the map needs none.

    Raises InputError for a map that no model here reads, and for another number of faces than the map has frames.
    """
    drawn = str(record.notes.get("drawing", "mesh"))
    if drawn not in READABLE:
        raise InputError(
            f"{cond} shows {drawn}, which no model of emosh reads; draw it anew with: emosh render-cond MOTION "
            f"--drawing {'|'.join(READABLE)}"
        )
    if drawn != SKELETON:
        return 0
    if not folder.has_face:
        from stages.wan.loading import FACE_ADVICE

        raise InputError(f"{cond} shows the skeleton, but {folder.path} has no face modules; {FACE_ADVICE}")
    if faces is None:
        raise InputError(f"{cond} shows the skeleton, which needs the face beside it: give --motion NPZ (and --video)")
    if faces.count != frames:
        raise InputError(
            f"{faces.source} gives {faces.count} faces, {cond} has {counted(frames, 'frame')}; give its own motion"
        )
    from stages.wan.face_modules import with_defaults

    return with_defaults(folder.config)["motion_encoder_dim"]


def _face_motion(
    faces: Faces, count: int, folder: ModelFolder, device: str, progress: Progress
) -> Float[np.ndarray, "frames_and_one features"]:
    """The numbers of every frame's face, and of a blank picture last. Raises InputError for another number of faces."""
    from stages.wan.face_modules import encode_faces
    from stages.wan.loading import load_motion_encoder

    encoder = load_motion_encoder(folder, device)

    def encoded(rgb: UInt8[np.ndarray, "side side 3"]) -> Float[np.ndarray, "features"]:
        pixels = to_pixels(resized_face(rgb, encoder.size)[None])[0].transpose(0, 1)  # strides as diffusers has them
        return encode_faces(encoder, pixels.to(device))[0].cpu().numpy()

    found: list[np.ndarray] = []
    for number, rgb in enumerate(faces.pictures()):
        found.append(encoded(rgb))
        progress("encoding the face", number + 1, count)
    return np.stack([*found, encoded(blank())])


def _check_background(cond: Path, record: Provenance, count: int, background: Background | None) -> None:
    """Raises InputError for a background of another length, and beside a map that Wan-Animate's own weights cannot
    read."""
    if background is None:
        return
    if background.count != count:
        raise InputError(
            f"{background.source} has {counted(background.count, 'frame')}, but {cond} has {count}; draw it anew"
        )
    if (drawn := record.notes.get("drawing", MESH)) != SKELETON:
        raise InputError(
            f"{cond} shows the {drawn}, but only Wan-Animate's own weights keep a background; draw it anew with: "
            f"emosh render-cond MOTION --drawing {SKELETON}"
        )


def _write_background(
    file: StreamedWriter, background: Background, info: VideoInfo, cells: int, progress: Progress
) -> None:
    """Write all pictures, then all masks, which wait as bits until then."""
    masks: list[np.ndarray] = []
    for picture, mask in background.frames(info, cells):
        file.write("background", picture)
        masks.append(np.packbits(mask))
        progress("removing the person from the video", len(masks), background.count)
    for bits in masks:
        file.write("replace_mask", np.unpackbits(bits, count=info.width * info.height // SPATIAL_FACTOR**2))


def read_condition_map(cond: Path) -> tuple[VideoInfo, Provenance]:
    """(video information, record) of a condition map.

    Raises InputError for any other file, and for a size that the model cannot read.
    """
    info = probe(cond)
    try:
        record = Provenance.from_json(read_metadata(cond).get("comment", "")) if not info.is_photo else None
    except ValueError:
        record = None
    if record is None or record.notes.get("kind") != "condition-map":
        raise InputError(f"{cond} is not a condition map of emosh; {COND}")
    if info.width % SIZE_STEP or info.height % SIZE_STEP:
        raise InputError(
            f"{cond} is {info.width}x{info.height}; the model reads multiples of {SIZE_STEP}: {COND} --size 512x512"
        )
    return info, record


def _header(
    photo: Path,
    cond: Path,
    info: VideoInfo,
    record: Provenance,
    config: EncodeConfig,
    weights: dict[str, str],
    faces: Faces | None,
    background: Background | None,
) -> LatentsHeader:
    provenance = Provenance(
        "encode",
        config=config_dict(config),
        inputs={
            "photo": sha256_file(photo),
            "cond": sha256_file(cond),
            **({} if faces is None else faces.inputs),
            **({} if background is None else background.inputs),
        },
        weights=weights,
        notes={
            "photo": Path(photo).name,
            "drawing": record.notes.get("drawing", MESH),
            "colours": record.notes.get("colours"),
            "face": None if faces is None else faces.kind,
            "replace": background is not None,
            "hybrid": record.config.get("hybrid"),
            "frontal_frames": record.notes.get("frontal_frames"),
            **source_notes(record),
        },
    )
    return LatentsHeader(
        info.width, info.height, info.frame_count or 0, config.chunk_frames, config.overlap_frames, info.fps,
        info.duration_seconds, LAYOUT_VERSION, provenance,
    )  # fmt: skip


def _frames_with_times(
    cond: Path, info: VideoInfo, times: list[float]
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The map's frames. Appends each frame's time to `times`. Raises InputError unless the header's count is right."""
    for frame in read_frames(cond):
        times.append(frame.pts_seconds)
        yield frame.rgb
    if len(times) != info.frame_count:
        raise InputError(
            f"{cond} holds {counted(len(times), 'frame')}, its header says {info.frame_count}; draw it again"
        )


def _image_embeds(rgb: UInt8[np.ndarray, "h w 3"], folder: ModelFolder, device: str) -> np.ndarray:
    from stages.wan.conditioning import image_embeds
    from stages.wan.loading import load_image_encoder

    if not folder.has_image_encoder:
        return np.zeros((0, 0), np.float32)
    return to_array(image_embeds(*load_image_encoder(folder, device), rgb))


def cached_or_new_prompt(folder: ModelFolder, cache: Path | None, prompt: str, device: str) -> np.ndarray:
    """A prompt's embedding from the cache, else from the text encoder, which is loaded and released again."""
    from stages.wan.conditioning import cache_prompt, cached_prompt, prompt_embeds
    from stages.wan.loading import load_text_encoder

    if not folder.has_text_encoder:
        return np.zeros((1, folder.config["text_dim"]), np.float32)
    embeds = cached_prompt(folder, cache, prompt)
    if embeds is None:
        embeds = prompt_embeds(*load_text_encoder(folder, device=device), prompt)
        if cache is not None:
            with suppress(InputError):  # without a place for it, the next run computes it again
                cache_prompt(folder, cache, prompt, embeds)
    return to_array(embeds)


def to_pixels(rgb: UInt8[np.ndarray, "frames height width 3"]) -> Float[Tensor, "1 3 frames height width"]:
    """8-bit frames as the VAE reads them, in [-1, 1]."""
    import torch

    from stages.wan.vae import pixels

    return pixels(torch.tensor(rgb))


def to_array(tensor: Tensor) -> np.ndarray:
    """A batch of one as float32 on the CPU, without the batch axis."""
    return tensor[0].float().cpu().numpy()
