"""A tiny training cache, made from pixels by the real encoder, and a tiny base."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.manifest import ClipLine
from stages.artifacts.provenance import Provenance
from stages.artifacts.training_cache import CacheIndex, TrainingCache
from stages.encode.cache_config import CacheConfig
from stages.encode.config import EncodeConfig
from stages.encode.training_clips import encode_clip, encode_common, load_encoders
from stages.wan.folder import ModelFolder, open_folder
from stages.wan.layout import LAYOUT_VERSION
from tests.wan import tiny
from tests.wan.clips import frames, write_cond

LENGTH, OVERLAP, SIDE = 9, 5, 32
ENCODE = EncodeConfig(chunk_frames=LENGTH, overlap_frames=OVERLAP)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny Wan-Animate folder, every weight moved."""
    model = tiny.animate_transformer()
    tiny.moved(model)
    return open_folder(tiny.save_folder(tmp_path_factory.mktemp("models") / "animate", model))


def write_video(path: Path, count: int, seed: int = 3) -> np.ndarray:
    """A lossless video; its frames."""
    from stages.video.sink import VideoSink

    clip = frames(count, (SIDE, SIDE), seed=seed)
    with VideoSink(path, SIDE, SIDE, Fraction(25), lossless=True) as sink:
        for frame in clip:
            sink.write(frame)
    return clip


def make_cache(place: Path, base: ModelFolder, config: CacheConfig, count: int = 28) -> TrainingCache:
    """One clip of `count` frames in windows of 9."""
    place.mkdir(exist_ok=True)
    write_video(place / "clip.mp4", count)
    write_cond(place / "cond.mp4", count, (SIDE, SIDE))
    record = Provenance("encode", {"seed": 1})
    encoders = load_encoders(base, ENCODE, "cpu")
    line = ClipLine(place / "clip.mp4", place / "clip.npz", count, Fraction(25))
    windows = encode_clip(line, place / "cond.mp4", encoders, place / "clip-a.safetensors", ENCODE, config, record)
    encode_common(base, encoders, place, (SIDE, SIDE), ENCODE, record)
    CacheIndex(
        SIDE, SIDE, LENGTH, OVERLAP, LAYOUT_VERSION, (("clip-a.safetensors", windows),), 0, record.fingerprint()
    ).write(place)
    return TrainingCache(place)


@pytest.fixture(scope="session")
def cache(base: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> TrainingCache:
    """Three windows and four candidates in float32. Read only."""
    config = CacheConfig(reference_candidates=4, window_stride=LENGTH, cache_dtype="float32")
    return make_cache(tmp_path_factory.mktemp("cache"), base, config)


@pytest.fixture(scope="session")
def make(base: ModelFolder) -> Callable[..., TrainingCache]:
    """A cache with other settings."""
    return lambda place, config, count=28: make_cache(place, base, config, count)
