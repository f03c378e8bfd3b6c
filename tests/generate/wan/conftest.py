"""A tiny model and a clip of three chunks for it, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.wan.folder import ModelFolder, open_folder
from tests.wan import tiny
from tests.wan.clips import write_cond, write_photo

LENGTH, OVERLAP, FRAMES = 17, 5, 17 + 12 + 3


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny Wan-Animate folder, every weight moved."""
    model = tiny.animate_transformer()
    tiny.moved(model)
    return open_folder(tiny.save_folder(tmp_path_factory.mktemp("models") / "animate", model))


@pytest.fixture(scope="session")
def clip(model_folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents of 32 frames: three chunks of 17, the last of which adds 3. photo.png and cond.mp4 lie beside."""
    place = tmp_path_factory.mktemp("clip")
    out, config = place / "clip.safetensors", EncodeConfig(chunk_frames=LENGTH, overlap_frames=OVERLAP)
    encode(write_photo(place / "photo.png"), write_cond(place / "cond.mp4", FRAMES), model_folder, config, out)
    return out
