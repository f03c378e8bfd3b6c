"""Which frame of the first chunk later chunks see (paper 0.D.5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stages.artifacts.latents import Latents
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.errors import InputError
from stages.generate.wan.draw import Models, before_first_chunk, draw_chunk
from stages.generate.wan.generate import fit_to_drawing
from stages.generate.wan.model_weights import Source, load_models
from stages.wan import vae as codec
from stages.wan.chunks import plan_chunks
from stages.wan.config import WanConfig
from stages.wan.folder import ModelFolder
from tests.generate.wan.conftest import FRAMES, LENGTH
from tests.wan.clips import write_cond, write_photo

CONFIG = WanConfig(num_inference_steps=2, dtype="float32")


@pytest.fixture(scope="module")
def source(model_folder: ModelFolder) -> Source:
    """The tiny weights."""
    return Source(model_folder, None, {})


@pytest.fixture(scope="module")
def models(source: Source) -> Models:
    """The tiny networks."""
    return load_models(source, CONFIG, "cpu")


def drawn(latents: Latents, source: Source, models: Models, config: WanConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """All frames in [-1, 1], and the anchor that later chunks saw."""
    _, config = fit_to_drawing(source, config, latents)
    carried, parts = before_first_chunk(0), []
    for chunk in plan_chunks(FRAMES, LENGTH, latents.header.overlap_frames):
        part, carried = draw_chunk(latents, chunk, carried, models, config)
        parts.append(part)
    assert carried.anchor is not None
    return torch.cat(parts, dim=2), carried.anchor


@pytest.fixture(scope="module")
def plain(clip: Path, source: Source, models: Models) -> tuple[torch.Tensor, torch.Tensor]:
    """The clip and its anchor with default settings."""
    return drawn(Latents(clip), source, models, CONFIG)


def test_frame_0_is_the_first_latent(
    plain: tuple[torch.Tensor, torch.Tensor], clip: Path, source: Source, models: Models
) -> None:
    """Frame 0 is `first`: the same anchor and the same frames, bit for bit."""
    frames, anchor = drawn(Latents(clip), source, models, replace(CONFIG, anchor_frame=0))
    assert torch.equal(anchor, plain[1])
    assert torch.equal(frames, plain[0])


@pytest.mark.parametrize("number", [1, 7, LENGTH - 1])
def test_a_number_picks_that_frame(
    plain: tuple[torch.Tensor, torch.Tensor], clip: Path, source: Source, models: Models, number: int
) -> None:
    """The anchor is that frame, encoded alone; the first chunk stays as it was, later chunks change."""
    frames, anchor = drawn(Latents(clip), source, models, replace(CONFIG, anchor_frame=number))
    assert torch.equal(anchor, codec.encode(models.vae, frames[:, :, number : number + 1]))
    assert torch.equal(frames[:, :, :LENGTH], plain[0][:, :, :LENGTH])
    for start, end in ((LENGTH, LENGTH + 12), (LENGTH + 12, FRAMES)):
        assert not torch.equal(frames[:, :, start:end], plain[0][:, :, start:end])


def frontal_clip(folder: ModelFolder, place: Path, **notes: object) -> Latents:
    """A clip whose condition map has these notes."""
    out = place / "clip.safetensors"
    cond = write_cond(place / "cond.mp4", FRAMES, **notes)
    encode(write_photo(place / "photo.png"), cond, folder, EncodeConfig(LENGTH, 5), out)
    return Latents(out)


def test_frontal_is_the_most_frontal_frame_of_the_first_chunk(
    model_folder: ModelFolder, source: Source, models: Models, tmp_path: Path
) -> None:
    """Of the frames that the condition map notes, the last within the first chunk; the record names its number."""
    latents = frontal_clip(model_folder, tmp_path, frontal_frames=[0, 3, 9, LENGTH, LENGTH + 4])
    fitted = fit_to_drawing(source, replace(CONFIG, anchor_frame="frontal"), latents)[1]
    assert fitted.anchor_frame == 9
    _, named = drawn(latents, source, models, replace(CONFIG, anchor_frame="frontal"))
    assert torch.equal(named, drawn(latents, source, models, replace(CONFIG, anchor_frame=9))[1])


def test_what_cannot_be_an_anchor_is_one_line(
    clip: Path, model_folder: ModelFolder, source: Source, tmp_path: Path
) -> None:
    """A frame outside the first chunk, an anchor without SAC, and a map that says nothing of the head are refused."""
    latents = Latents(clip)

    def refused(changes: dict, given: Latents, expected: str) -> None:
        with pytest.raises(InputError, match=expected):
            fit_to_drawing(source, replace(CONFIG, **changes), given)

    refused({"anchor_frame": LENGTH}, latents, rf"anchor_frame is {LENGTH}, expected 0 to {LENGTH - 1}")
    refused({"anchor_frame": 3, "sac": False}, latents, r"no effect without SAC; set wan\.sac=true")
    refused({"anchor_frame": "frontal"}, latents, r"does not say where the head faces.*emosh render-cond")
    nobody = frontal_clip(model_folder, tmp_path, frontal_frames=[])
    refused({"anchor_frame": "frontal"}, nobody, f"shows nobody in its first {LENGTH} frames")
    for wrong in ("last", -1):
        with pytest.raises(InputError, match="expected first, frontal or a frame's number"):
            replace(CONFIG, anchor_frame=wrong)
