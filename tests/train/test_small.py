"""A small model trained whole, from nothing: all of it learns, and what it learned is drawn by generate."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages.artifacts.manifest import ClipLine
from stages.artifacts.provenance import Provenance
from stages.artifacts.training_cache import CacheIndex, TrainingCache
from stages.encode.cache_config import CacheConfig
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.encode.training_clips import encode_clip, encode_common, load_encoders
from stages.errors import InputError
from stages.evaluate.metrics import psnr
from stages.generate.wan.generate import generate
from stages.generate.wan.model_weights import Source
from stages.train import loop
from stages.train.config import TrainConfig
from stages.train.examples import grouped, read_example
from stages.train.model import load_trainable, make_trainable, tuned_parameters
from stages.train.objective import sample_loss
from stages.train.random_draws import draw
from stages.train.schedule import WeightAverage, learning_rate
from stages.train.training_set import TrainingSet
from stages.video.png import write_png
from stages.video.source import read_frames
from stages.wan.config import WanConfig
from stages.wan.fixed_codec import fit_codec
from stages.wan.folder import ModelFolder, open_folder
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.loading import load_transformer
from stages.wan.small_model import new_small_model
from tests.wan.clips import write_cond
from tests.wan.test_codec import moving

SIDE, LENGTH, OVERLAP = 32, 9, 5
ENCODE = EncodeConfig(chunk_frames=LENGTH, overlap_frames=OVERLAP)
CONFIG = TrainConfig(tune="all", steps=4, batch_size=4, dtype="float32", gradient_checkpointing=False, save_every=2,
                     learning_rate=1e-3, tracker="none")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """One block of width 64 over a codec of soft waves."""
    codec = fit_codec(moving(LENGTH, SIDE, seed) for seed in range(40))
    return open_folder(new_small_model(tmp_path_factory.mktemp("small"), codec, layers=1, heads=2, head_dim=32))


@pytest.fixture(scope="module")
def cache(folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> TrainingCache:
    """One clip of 18 frames, two windows, coded by the fixed codec; no CLIP, no T5."""
    place = tmp_path_factory.mktemp("small-cache")
    from stages.video.sink import VideoSink

    with VideoSink(place / "clip.mp4", SIDE, SIDE, Fraction(25), lossless=True) as sink:
        for frame in moving(18, SIDE, 9):
            sink.write(frame)
    write_cond(place / "cond.mp4", 18, (SIDE, SIDE))
    record, encoders = Provenance("encode", {"seed": 1}), load_encoders(folder, ENCODE, "cpu")
    config = CacheConfig(reference_candidates=4, window_stride=LENGTH, cache_dtype="float32")
    line = ClipLine(place / "clip.mp4", place / "clip.npz", 18, Fraction(25))
    windows = encode_clip(line, place / "cond.mp4", encoders, place / "clip-a.safetensors", ENCODE, config, record)
    encode_common(folder, encoders, place, (SIDE, SIDE), ENCODE, record)
    CacheIndex(
        SIDE, SIDE, LENGTH, OVERLAP, LAYOUT_VERSION, (("clip-a.safetensors", windows),), 0, record.fingerprint()
    ).write(place)
    return TrainingCache(place)


def trained(folder: ModelFolder, cache: TrainingCache, config: TrainConfig, out: Path) -> loop.Trained:
    """A run on the CPU."""
    out.mkdir(exist_ok=True)
    data = TrainingSet.of([cache], config.shares)
    return loop.train(folder, data, config, out, accelerator=loop.make_accelerator(config, out, cpu=True))


def test_every_weight_learns(folder: ModelFolder, cache: TrainingCache) -> None:
    """All parameters are tuned and, after a step has moved the output layer off its zeros, every one has a gradient
    but those that one empty text token leaves without any: a softmax over one token asks for no query and no key."""
    model = make_trainable(load_transformer(folder, torch.float32), CONFIG)
    assert {name for name, _ in tuned_parameters(model)} == {name for name, _ in model.named_parameters()}
    torch.manual_seed(0)
    for _, parameter in tuned_parameters(model):
        parameter.data += 0.05 * torch.randn_like(parameter)
    sample_loss(model, read_example([cache], draw(1, (2,), CONFIG)), torch.device("cpu"), torch.float32).backward()
    still = {name for name, each in tuned_parameters(model) if each.grad is None or each.grad.abs().max() < 1e-9}
    asked = (
        "attn2.to_q",
        "attn2.to_k",
        "attn2.norm_q",
        "attn2.norm_k",
        "condition_embedder.text_embedder.linear_1.weight",
    )
    assert all(any(each in name for each in asked) or "norm2" in name for name in still), still


def test_samples_together_are_samples_one_by_one(folder: ModelFolder, cache: TrainingCache) -> None:
    """A batch that goes through the model in groups of one length has the gradient of one that goes one by one."""
    config = replace(CONFIG, batch_size=12, auxiliary_probability=0.5)
    made = [read_example([cache], draw(number, (2,), config)) for number in range(12)]
    groups = grouped(made, 5, lambda slots: slots.lead)
    assert sorted(len(each) for each in groups) != [1] * 12
    assert sum(len(each) for each in groups) == 12
    gradients = []
    for samples in (made, groups):
        model = make_trainable(load_transformer(folder, torch.float32), config)
        torch.manual_seed(0)
        for _, parameter in tuned_parameters(model):
            parameter.data += 0.05 * torch.randn_like(parameter)
        for each in samples:
            loss = sample_loss(model, each, torch.device("cpu"), torch.float32) * (len(each) / 12)
            loss.backward()
        gradients.append(
            torch.cat([each.grad.flatten() for _, each in tuned_parameters(model) if each.grad is not None])
        )
    assert torch.allclose(*gradients, atol=1e-5 * gradients[0].abs().max().item())


def test_the_rate_rises_stays_and_falls() -> None:
    """From nothing over the warm-up, level, and down to a twentieth over the last share; by default always level."""
    config = replace(CONFIG, steps=100, warmup_steps=10, decay_share=0.4)
    rates = [learning_rate(config, step) / config.learning_rate for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10:60] == pytest.approx(np.ones(50))
    assert rates[80] == pytest.approx(1 - 0.95 * 0.5)
    assert 0.05 < rates[99] < 0.08
    assert {learning_rate(replace(CONFIG, steps=100), step) for step in range(100)} == {CONFIG.learning_rate}


def test_the_mean_over_steps(folder: ModelFolder) -> None:
    """The mean follows its formula, and showing it leaves the model's own weights as they were."""
    model = load_trainable(folder, CONFIG, "cpu")
    for _, parameter in tuned_parameters(model):
        parameter.data.fill_(0.0)
    mean, expected = WeightAverage(model, 0.9), 0.0
    for step in range(30):
        for _, parameter in tuned_parameters(model):
            parameter.data.fill_(float(step))
        mean.update(model, step)
        decay = min(0.9, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * step
    with mean.applied(model) as own:
        assert all(torch.allclose(each.detach(), torch.tensor(expected)) for _, each in tuned_parameters(model))
        assert all(bool((each == 29).all()) for each in own.values())
    assert all(bool((each == 29).all()) for _, each in tuned_parameters(model))


def test_resumed_bit_for_bit(folder: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """A whole model's run with a falling rate and a mean, stopped and continued, ends in the unbroken run's bits, its
    model folder too; another number of steps is another run."""
    config = replace(CONFIG, decay_share=0.5, warmup_steps=1, ema_decay=0.9, samples_at_once=4)
    unbroken = trained(folder, cache, config, tmp_path / "a")
    (tmp_path / "b").mkdir()
    for each in ("adapter-000002", "state-000002"):
        (tmp_path / "b" / f"{each}.safetensors").write_bytes((tmp_path / "a" / f"{each}.safetensors").read_bytes())
    second = trained(folder, cache, config, tmp_path / "b")
    assert second.losses == unbroken.losses[2:]
    for name in ("adapter-000004.safetensors", "state-000004.safetensors",
                 "model/transformer/diffusion_pytorch_model.safetensors"):  # fmt: skip
        ours, theirs = (load_file(tmp_path / run / name) for run in "ba")
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    with pytest.raises(InputError, match="another steps"):
        trained(folder, cache, replace(config, steps=6), tmp_path / "a")


def test_one_clip_is_learned_by_heart(folder: ModelFolder, tmp_path: Path) -> None:
    """Trained on one clip, the model draws that clip from its first frame and its map, in two chunks, at over 24 dB,
    where the untrained model reaches less than 15."""
    place = tmp_path / "cache"
    place.mkdir()
    clip, count = moving(13, SIDE, 21), 13
    from stages.video.sink import VideoSink

    with VideoSink(place / "clip.mp4", SIDE, SIDE, Fraction(25), lossless=True) as sink:
        for frame in clip:
            sink.write(frame)
    write_cond(place / "cond.mp4", count, (SIDE, SIDE))
    record, encoders = Provenance("encode", {"seed": 2}), load_encoders(folder, ENCODE, "cpu")
    config = CacheConfig(reference_candidates=1, window_stride=4, cache_dtype="float32", reference_degrees=0,
                         reference_shift=0, reference_crop=0)  # fmt: skip
    line = ClipLine(place / "clip.mp4", place / "clip.npz", count, Fraction(25))
    windows = encode_clip(line, place / "cond.mp4", encoders, place / "clip-a.safetensors", ENCODE, config, record)
    encode_common(folder, encoders, place, (SIDE, SIDE), ENCODE, record)
    CacheIndex(
        SIDE, SIDE, LENGTH, OVERLAP, LAYOUT_VERSION, (("clip-a.safetensors", windows),), 0, record.fingerprint()
    ).write(place)
    recipe = replace(CONFIG, steps=500, batch_size=8, samples_at_once=8, learning_rate=3e-3, warmup_steps=20,
                     decay_share=0.5, save_every=500)  # fmt: skip
    trained(folder, TrainingCache(place), recipe, tmp_path / "run")
    write_png(tmp_path / "photo.png", clip[6])
    figures = {}
    for name, path in (("untrained", folder.path), ("trained", tmp_path / "run" / "model")):
        model = open_folder(path)
        encode(tmp_path / "photo.png", place / "cond.mp4", model, ENCODE, tmp_path / "l.safetensors")
        sampling = WanConfig(num_inference_steps=8, scheduler="euler", dtype="float32", lossless=True, watermark=False)
        generate(tmp_path / "l.safetensors", Source(model, None, {"transformer": name}), sampling,
                 tmp_path / f"{name}.mp4", tmp_path / f"{name}.chunks")  # fmt: skip
        drawn = [frame.rgb for frame in read_frames(tmp_path / f"{name}.mp4")]
        figures[name] = np.mean([psnr(a / 255, b / 255) for a, b in zip(drawn, clip, strict=True)])
    assert figures["untrained"] < 15
    assert figures["trained"] > 24, figures
