"""Draw a video from latents with the wan backend, chunk by chunk. A stopped run resumes at its last finished chunk."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.disk import check_room
from stages.artifacts.latents import Latents
from stages.artifacts.provenance import Provenance, sha256_file
from stages.errors import InputError
from stages.generate.wan.draw import Models, before_first_chunk, draw_chunk
from stages.generate.wan.drift import ChunkStatistics, chunk_statistics
from stages.generate.wan.kept_models import KeptModels
from stages.generate.wan.model_weights import (
    RunPlan,
    Source,
    check_source,
    compile_models,
    load_models,
    recorded_settings,
)
from stages.generate.wan.resume import ChunkStore
from stages.progress import Progress, silent
from stages.wan.chunks import plan_chunks
from stages.wan.config import WanConfig
from stages.wan.layout import LAYOUT_VERSION, TEXT_TOKENS, layout
from stages.wan.run_config import RunConfig, check_face_options

if TYPE_CHECKING:
    from torch import Tensor

    from stages.video.sink import VideoSink

PACKAGES = ("torch", "diffusers", "transformers", "peft")
"""Packages whose versions are recorded in the video."""
LEAST_SHARE = 0.05
"""Lower bound for the size of a stored frame plus a final frame, as a share of the raw frame."""


def generate(
    path: Path,
    source: Source,
    config: WanConfig,
    out: Path,
    work: Path,
    *,
    device: str = "cpu",
    run_plan: RunPlan | None = None,
    audio_from: Path | None = None,
    code: str = "",
    kept: KeptModels | None = None,
    progress: Progress = silent,
) -> list[ChunkStatistics]:
    """Draw the latents at `path` into `out`, an H.264 mp4 with the driver's frame times. Returns statistics per chunk.

    `work` is a folder for finished chunks, deleted when `out` is complete. After a kill at any moment, the same call
    continues from the last finished chunk and gives the same bytes. `run_plan` is how the weights are run, as planned.
    `code` identifies the program's source beside its version. Networks in `kept` are used as they are, and those that
    are loaded are kept there. Host memory does not grow with the clip's length. Raises InputError for latents that do
    not fit the model or the config, before anything heavy is loaded.

    A chunk is on disk before the next one begins. One thread encodes it into `out` while the next chunk is drawn.
    """
    from stages.video.sink import VideoSink
    from stages.wan.offload import explained_out_of_memory

    latents, run_plan, kept = Latents(path), run_plan or RunPlan(), kept or KeptModels()
    source, config = fit_to_drawing(source, config, latents)
    check_inputs(latents, source, config, run_plan.config)
    record = provenance(path, latents, source, config, device, run_plan)
    store = ChunkStore(work, f"{record.fingerprint()}-{code}")
    progressed = store.resumed(before_first_chunk(config.seed))
    header = latents.header
    chunks = plan_chunks(header.frames, header.chunk_frames, header.overlap_frames)
    left = sum(chunk.new for chunk in chunks[progressed.done :])
    check_room(work, int(LEAST_SHARE * 3 * header.width * header.height * left), f"drawing {left} frames")
    times = latents.read("pts_seconds")
    sink = VideoSink(
        out, header.width, header.height, header.fps, lossless=config.lossless, audio_from=audio_from,
        metadata={"comment": comment(record)}, duration_seconds=header.duration_seconds or None,
        watermark=config.watermark,
    )  # fmt: skip
    with sink, ThreadPoolExecutor(1) as behind:
        shown: Future[None] | None = None
        for chunk in chunks:
            frames = store.frames(chunk.number)
            if chunk.number >= progressed.done:
                models = kept.models = kept.models or _load(source, config, device, run_plan, latents)
                packed, step = source.folder.pack is not None, f"drawing chunk {chunk.number + 1}"
                with explained_out_of_memory(run_plan.placement, step, packed):
                    drawn, carried = draw_chunk(
                        latents,
                        chunk,
                        progressed.carried,
                        models,
                        config,
                        _chunk_progress(progress, chunk.number, len(chunks)),
                    )
                fresh = _eight_bits(drawn, chunk.number)
                progressed = store.add(progressed, fresh, chunk_statistics(list(fresh)), carried)
                frames = iter(fresh)
            if shown is not None:
                shown.result()
            first = chunk.start + chunk.known
            shown = behind.submit(_write_frames, sink, frames, times[first : first + chunk.new])
            progress("chunks", chunk.number + 1, len(chunks))
        assert shown is not None
        shown.result()
    store.clear()
    return progressed.statistics


def _write_frames(sink: VideoSink, frames: Iterable[UInt8[np.ndarray, "height width 3"]], times: np.ndarray) -> None:
    """Watermark and encode a chunk's frames in order, while the next chunk is drawn."""
    for frame, seconds in zip(frames, times, strict=True):
        sink.write(frame, float(seconds))


def _load(source: Source, config: WanConfig, device: str, run_plan: RunPlan, latents: Latents) -> Models:
    """Load the networks, and compile them for the clip's chunk lengths if wan_run.compile is set."""
    models, header = load_models(source, config, device, run_plan), latents.header
    lengths = [layout(header.chunk_frames, header.overlap_frames, True, config.sac is not False)]
    if header.frames > header.chunk_frames:
        lengths.append(layout(header.chunk_frames, header.overlap_frames, False, config.sac is not False))
    tokens, features = latents.sizes["image_tokens"], latents.sizes.get("face_features", 0)
    compile_models(models, run_plan, tuple(lengths), header.height, header.width, tokens, features)
    return models


def fit_to_drawing(source: Source, config: WanConfig, latents: Latents) -> tuple[Source, WanConfig]:
    """Load the face modules for a clip with faces; leave SAC off for it unless it is asked for; name the anchor frame.

    Wan-Animate's own weights were never trained with SAC. Raises InputError for an anchor frame that cannot be used.
    """
    fitted = replace(config, sac=config.uses_sac(latents.has_face))
    return replace(source, face=latents.has_face), replace(fitted, anchor_frame=_anchor_frame(fitted, latents))


def _anchor_frame(config: WanConfig, latents: Latents) -> int | str:
    """The number of the anchor frame, or `first`."""
    if config.anchor_frame == "first":
        return "first"
    if not config.sac:
        raise InputError(
            f"anchor_frame {config.anchor_frame} has no effect without SAC; set wan.sac=true, or anchor_frame=first"
        )
    count = min(latents.header.chunk_frames, latents.header.frames)
    if config.anchor_frame == "frontal":
        frontal = latents.header.provenance.notes.get("frontal_frames")
        if not isinstance(frontal, list) or not all(isinstance(frame, int) for frame in frontal):
            raise InputError(
                f"{latents.path} does not say where the head faces the camera; draw the condition map again "
                "(emosh render-cond), encode it again, or give a frame's number as anchor_frame"
            )
        found = max((frame for frame in frontal if 0 <= frame < count), default=None)
        if found is None:
            raise InputError(f"{latents.path} shows nobody in its first {count} frames; set wan.anchor_frame=first")
        return found
    if int(config.anchor_frame) >= count:
        raise InputError(
            f"anchor_frame is {config.anchor_frame}, expected 0 to {count - 1}, a frame of the first chunk"
        )
    return config.anchor_frame


def check_inputs(latents: Latents, source: Source, config: WanConfig, run: RunConfig) -> None:
    """Refuse latents that do not fit the model or the settings, before anything heavy is loaded."""
    path, base = latents.path, source.folder.config
    if latents.header.layout != LAYOUT_VERSION:
        raise InputError(
            f"{path} was encoded for slot layout {latents.header.layout}, expected {LAYOUT_VERSION}; encode again"
        )
    for axis, key in (("text_dim", "text_dim"), ("image_dim", "image_dim")):
        expected = base.get(key)
        if expected is not None and latents.sizes[axis] != expected:
            raise InputError(
                f"{path} was encoded for another model: its {axis} is {latents.sizes[axis]}, that of "
                f"{source.folder.path} is {expected}; encode again"
            )
    chunks = len(plan_chunks(latents.header.frames, latents.header.chunk_frames, latents.header.overlap_frames))
    if latents.sizes["chunks"] != chunks:
        raise InputError(f"{path} holds {latents.sizes['chunks']} chunks, its frames need {chunks}; encode again")
    if latents.sizes["image_tokens"] and latents.sizes["text"] != TEXT_TOKENS:
        raise InputError(f"{path} holds {latents.sizes['text']} text tokens, expected {TEXT_TOKENS}; encode again")
    if config.guidance_scale > 1 and not latents.has("negative_prompt_embeds"):
        raise InputError(
            f"guidance_scale {config.guidance_scale:g} needs latents with a negative prompt; "
            "encode again with --set negative_prompt=TEXT, or leave guidance off"
        )
    if source.face:
        check_face_options(run)
    check_source(source, config)
    latents.check_values()


def provenance(
    path: Path, latents: Latents, source: Source, config: WanConfig, device: str, run_plan: RunPlan | None = None
) -> Provenance:
    """Record of settings, inputs and weights of the video. A stopped run resumes only if the fingerprint is equal."""
    encoded = latents.header.provenance
    return Provenance(
        "generate",
        config={
            "backend": "wan",
            **recorded_settings(config),
            "encode": encoded.config,
            "run": (run_plan or RunPlan()).affecting_result(),
        },
        inputs={"latents": sha256_file(path), **encoded.inputs},
        weights=source.weights,
        seed=config.seed,
        notes={
            "backend": "wan",
            "synthetic": True,
            "device": device,
            **{key: encoded.notes.get(key) for key in ("photo", "drawing", "face", "replace")},
            "packages": {name: version(name) for name in PACKAGES},
            "model": source.folder.name,
        },
    )


def comment(record: Provenance) -> str:
    """The record as JSON for the video's metadata. It states that the video is synthetic."""
    return json.dumps({"backend": "wan", "synthetic": True, **json.loads(record.to_json())}, sort_keys=True)


def _eight_bits(frames: Tensor, chunk: int) -> UInt8[np.ndarray, "frames height width 3"]:
    from stages.wan.vae import rgb

    if not all(each.isfinite() for each in frames.aminmax()):
        raise InputError(f"chunk {chunk + 1} holds nan or inf; try --set wan.dtype=float32, or fetch the weights again")
    return rgb(frames).numpy()


def _chunk_progress(progress: Progress, chunk: int, chunks: int) -> Progress:
    """Progress of the steps of one chunk, with the chunk's number in the label."""

    def report(label: str, done: int, total: int | None) -> None:
        progress(f"chunk {chunk + 1} of {chunks}, {label}", done, total)

    return report
