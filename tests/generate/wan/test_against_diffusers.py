"""The chunk loop against diffusers' own `WanAnimatePipeline`, its face branch silenced, on the same tiny weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stages.artifacts.latents import Latents
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.generate.wan.draw import Models, before_first_chunk, draw_chunk
from stages.generate.wan.model_weights import Source, load_models
from stages.wan import vae as codec
from stages.wan.chunks import plan_chunks
from stages.wan.config import WanConfig
from stages.wan.folder import ModelFolder, open_folder
from tests.generate.wan.diffusers_pipeline import animate_pipeline
from tests.wan import tiny
from tests.wan.clips import frames, write_cond, write_photo

LENGTH, OVERLAP, FRAMES = 17, 5, 17 + 12 + 12
"""Three chunks that end with the clip, since diffusers fails on some lengths that do not."""
CONFIG = WanConfig(num_inference_steps=4, dtype="float32", sac=False, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny Wan-Animate folder, every weight moved."""
    model = tiny.animate_transformer()
    tiny.moved(model)
    for block in model.face_adapter:
        for parameter in block.to_out.parameters():
            parameter.data.zero_()
    return open_folder(tiny.save_folder(tmp_path_factory.mktemp("models") / "animate", model))


@pytest.fixture(scope="module")
def models(folder: ModelFolder) -> Models:
    """Transformer and VAE."""
    return load_models(Source(folder, None, {}), CONFIG, "cpu")


@pytest.fixture(scope="module")
def latents(folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    """The clip, encoded."""
    place = tmp_path_factory.mktemp("clip")
    out, config = place / "clip.safetensors", EncodeConfig(chunk_frames=LENGTH, overlap_frames=OVERLAP)
    encode(write_photo(place / "photo.png"), write_cond(place / "cond.mp4", FRAMES), folder, config, out)
    return Latents(out)


def drawn(latents: Latents, models: Models, config: WanConfig) -> torch.Tensor:
    """The whole clip in [-1, 1]: (1, 3, frames, height, width)."""
    header, carried, parts = latents.header, before_first_chunk(config.seed), []
    for chunk in plan_chunks(header.frames, header.chunk_frames, header.overlap_frames):
        part, carried = draw_chunk(latents, chunk, carried, models, config)
        parts.append(part)
    return torch.cat(parts, dim=2)


@pytest.fixture(scope="module")
def theirs(folder: ModelFolder, models: Models, latents: Latents) -> np.ndarray:
    """What the pipeline draws: (frames, height, width, 3) in [0, 1]."""
    pipeline = animate_pipeline(folder, models.vae)
    photo = latents.path.parent / "photo.png"
    with pytest.MonkeyPatch.context() as patch:  # its prompt cleaning needs a package that nothing else does
        patch.setattr("diffusers.pipelines.wan.pipeline_wan_animate.prompt_clean", str)
        return _run(pipeline, photo)


def _run(pipeline: Any, photo: Path) -> np.ndarray:
    return pipeline(
        image=Image.open(photo).convert("RGB"),
        pose_video=[Image.fromarray(frame) for frame in frames(FRAMES)],
        face_video=[Image.new("RGB", (16, 16))] * FRAMES,
        prompt=EncodeConfig().prompt,
        height=32,
        width=32,
        segment_frame_length=LENGTH,
        num_inference_steps=CONFIG.num_inference_steps,
        prev_segment_conditioning_frames=OVERLAP,
        generator=torch.Generator().manual_seed(CONFIG.seed),
    ).frames[0]


@pytest.fixture(scope="module")
def aligned(models: Models) -> Models:
    """Our models with weights in memory of their own, as theirs."""
    for parameter in models.transformer.parameters():
        parameter.data = parameter.data.clone()
    return models


def unit(clip: torch.Tensor) -> np.ndarray:
    """As the pipeline hands frames out."""
    return (clip[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 3, 0).numpy()


def test_three_chunks_are_wan_animates(latents: Latents, aligned: Models, theirs: np.ndarray) -> None:
    """With SAC off and an overlap of 5 frames, three chunks differ from `WanAnimatePipeline` by at most 0.0."""
    ours = unit(drawn(latents, aligned, CONFIG))
    assert ours.shape == theirs.shape == (FRAMES, 32, 32, 3)
    assert np.abs(ours - theirs).max() == 0.0
    assert ours.std() > 0.01


def test_sac_changes_later_chunks_only(latents: Latents, aligned: Models, theirs: np.ndarray) -> None:
    """With SAC on the first chunk is the same and the later ones differ."""
    ours = unit(drawn(latents, aligned, replace(CONFIG, sac=True)))
    assert np.array_equal(ours[:LENGTH], theirs[:LENGTH])
    assert np.abs(ours[LENGTH:] - theirs[LENGTH:]).max() > 0.01


def test_the_anchor_is_the_first_denoised_latent(latents: Latents, aligned: Models) -> None:
    """The anchor is chunk 1's first latent as it was denoised: decoded it is the clip's first frame, and every later
    chunk is given the same one."""
    from stages.wan import vae as codec

    header, config, carried, anchors = latents.header, replace(CONFIG, sac=True), before_first_chunk(3), []
    first = None
    for chunk in plan_chunks(header.frames, LENGTH, OVERLAP):
        part, carried = draw_chunk(latents, chunk, carried, aligned, config)
        first = part[:, :, :1] if first is None else first
        anchors.append(carried.anchor)
    assert first is not None
    assert torch.equal(codec.decode(aligned.vae, anchors[0]), first)
    assert torch.equal(anchors[0], anchors[1])
    assert torch.equal(anchors[0], anchors[2])


def test_the_tail_depends_on_every_latent(aligned: Models) -> None:
    """The frames that the next chunk is given differ when any one latent of the chunk does, even the first of the
    paper's 20: the whole chunk must be decoded before the next begins."""
    latents = torch.randn(1, 16, 20, 2, 2, generator=torch.Generator().manual_seed(0))
    tail = codec.decode(aligned.vae, latents)[:, :, -5:]
    for changed in (0, 10, 19):
        other = latents.clone()
        other[:, :, changed] += 5
        assert float((codec.decode(aligned.vae, other)[:, :, -5:] - tail).abs().max()) > 0.01


def test_motion_is_followed(latents: Latents, aligned: Models, folder: ModelFolder, tmp_path: Path) -> None:
    """Another condition map gives another clip; another seed too; the same gives the same."""
    config = EncodeConfig(chunk_frames=LENGTH, overlap_frames=OVERLAP)
    photo, other = latents.path.parent / "photo.png", tmp_path / "other.safetensors"
    encode(photo, write_cond(tmp_path / "cond.mp4", 5), folder, config, other)
    first = unit(drawn(Latents(other), aligned, CONFIG))
    assert first.shape[0] == 5
    assert np.array_equal(first, unit(drawn(Latents(other), aligned, CONFIG)))
    assert not np.array_equal(first, unit(drawn(Latents(other), aligned, replace(CONFIG, seed=4))))
    assert not np.array_equal(first, unit(drawn(latents, aligned, CONFIG))[:5])
