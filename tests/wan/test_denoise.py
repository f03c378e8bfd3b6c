"""The sampler: sigmas against Wan's own formula, step caches, re-noising, guidance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FirstBlockCacheConfig

from stages.errors import InputError
from stages.wan.config import WanConfig
from stages.wan.denoise import Embeddings, denoise, make_scheduler, noise
from stages.wan.folder import open_folder
from stages.wan.layout import Layout
from stages.wan.loading import load_transformer
from stages.wan.transformer import EmoshTransformer3DModel

CONFIG = WanConfig(num_inference_steps=3, dtype="float32")
FIRST, LATER = Layout(0, 0, 3), Layout(1, 1, 2)


@pytest.fixture(scope="module")
def model(animate_folder: Path) -> EmoshTransformer3DModel:
    """The tiny transformer."""
    return load_transformer(open_folder(animate_folder), torch.float32)


def guide() -> Embeddings:
    """Random text and image tokens."""
    generator = torch.Generator().manual_seed(0)
    return Embeddings(*(torch.randn(1, length, 32, generator=generator) for length in (512, 17, 512)))


def chunk(model: EmoshTransformer3DModel, layout: Layout, config: WanConfig = CONFIG) -> torch.Tensor:
    """One chunk denoised from seeded noise."""
    generator = torch.Generator().manual_seed(7)
    start = noise(layout, 8, 6, generator)
    condition, motion = (
        torch.randn(1, channels, slots, 8, 6, generator=generator)
        for channels, slots in ((20, layout.slots), (16, layout.video))
    )
    return denoise(model, start, condition, motion, guide(), config, layout.lead)


def test_sigmas_are_wans() -> None:
    """Every scheduler starts at 1 and follows 5u / (1 + 4u) as Wan's `get_sampling_sigmas` does; euler exactly, so
    that its shift is applied once."""
    u = np.linspace(1, 0, 21)[:20]
    expected = 5 * u / (1 + 4 * u)
    for name, tolerance in (("euler", 1e-6), ("unipc", 4e-3), ("dpm++", 4e-3)):
        sigmas = make_scheduler(replace(CONFIG, scheduler=name, num_inference_steps=20)).sigmas
        assert len(sigmas) == 21
        assert float(sigmas[-1]) == 0
        assert np.abs(sigmas[:-1].numpy() - expected).max() < tolerance, name


@pytest.mark.parametrize("scheduler", ["unipc", "dpm++", "euler"])
def test_every_scheduler_is_exact_on_a_straight_flow(scheduler: str) -> None:
    """Given the true flow of a straight path, every scheduler lands on its end, but for the 0.0002 of noise that
    diffusers' solvers leave out of their first sigma."""
    sampler = make_scheduler(replace(CONFIG, scheduler=scheduler, num_inference_steps=5))
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 1, 4, 4, generator=generator, dtype=torch.float64).float()
    latents = start
    for timestep in sampler.timesteps:
        latents = sampler.step(start - end, timestep, latents, return_dict=False)[0]
    assert torch.allclose(latents, end, atol=3e-4 * float((start - end).abs().max()))


def test_a_seed_is_a_result(model: EmoshTransformer3DModel) -> None:
    """The same generator gives the same latents, also after a chunk of another length in between."""
    first = chunk(model, LATER)
    chunk(model, FIRST)
    assert torch.equal(chunk(model, LATER), first)


def test_caches_give_nothing_stale(animate_folder: Path) -> None:
    """With a step cache on, a chunk's latents do not depend on what was denoised before, longer or shorter."""
    cached = load_transformer(open_folder(animate_folder), torch.float32)
    cached.enable_cache(FirstBlockCacheConfig(threshold=0.5))
    many = replace(CONFIG, num_inference_steps=6)
    alone = {layout: chunk(cached, layout, many) for layout in (FIRST, LATER)}
    for layout in (LATER, FIRST, FIRST, LATER, LATER):
        assert torch.equal(chunk(cached, layout, many), alone[layout])
    plain = load_transformer(open_folder(animate_folder), torch.float32)
    assert not torch.equal(chunk(plain, LATER, many), alone[LATER]), "the cache did something"


def test_renoising_touches_what_is_known(model: EmoshTransformer3DModel) -> None:
    """`renoise` changes the result, and what a known slot holds before the last step is known latent and noise in the
    schedule's proportion."""
    assert not torch.equal(chunk(model, LATER), chunk(model, LATER, replace(CONFIG, renoise=True)))
    seen = []
    handle = model.patch_embedding.register_forward_hook(lambda module, given, embedded: seen.append(given[0].clone()))
    config = replace(CONFIG, renoise=True)
    chunk(model, LATER, config)
    handle.remove()
    sigma = float(make_scheduler(config).sigmas[2])
    known, start = seen[2][:, -16:, :2], noise(LATER, 8, 6, torch.Generator().manual_seed(7))[:, :, :2]
    assert torch.allclose(seen[2][:, :16, :2], (1 - sigma) * known + sigma * start, atol=1e-6)


def test_guidance(model: EmoshTransformer3DModel) -> None:
    """Guidance above 1 follows the difference to the negative prompt: two calls a step, another result."""
    calls = []
    handle = model.patch_embedding.register_forward_hook(lambda *given: calls.append(1))
    guided = chunk(model, FIRST, replace(CONFIG, guidance_scale=3.0))
    handle.remove()
    assert len(calls) == 6
    assert not torch.equal(guided, chunk(model, FIRST))


@pytest.mark.parametrize(
    "wrong",
    [{"num_inference_steps": 0}, {"scheduler": "ddim"}, {"flow_shift": 0.0}, {"guidance_scale": 0.5},
     {"dtype": "int8"}, {"seed": -1}],
)  # fmt: skip
def test_a_config_that_cannot_be_sampled_is_refused(wrong: dict) -> None:
    """Values outside their range are an InputError that names the field."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        WanConfig(**wrong)
