"""Drift of colour and sharpness from chunk to chunk: measured, told, and held."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.generate.wan.color_anchor import MOST_GAIN, match_colours
from stages.generate.wan.drift import chunk_statistics, drift_report, measure_drift
from stages.wan.vae import rgb


def scene(frames: int, start: int = 0, seed: int = 0) -> torch.Tensor:
    """A textured picture in [-1, 1] in which a dark bar moves: (1, 3, frames, 24, 32)."""
    generator = torch.Generator().manual_seed(seed)
    ground = 0.5 * torch.rand(1, 3, 1, 24, 32, generator=generator) - 0.2
    clip = ground.repeat(1, 1, frames, 1, 1)
    for index in range(frames):
        left = (start + index) % 24
        clip[..., index, :, left : left + 8] -= 0.3
    return clip


def drifting(chunks: int, held: bool, noise: float = 0.0) -> list[torch.Tensor]:
    """A generator that makes every chunk a little redder and flatter than what it was given, as users complain of.

    Each chunk of 17 frames repeats the last 5 of the one before, with the change already in them.
    """
    generator = torch.Generator().manual_seed(1)
    gain, offset = torch.tensor([0.95, 0.97, 0.9]).view(1, 3, 1, 1, 1), torch.tensor([0.04, 0.0, -0.02])
    shown, tail, level = [], None, (torch.ones(1, 3, 1, 1, 1), torch.zeros(1, 3, 1, 1, 1))
    for number in range(chunks):
        truth = scene(17, 12 * number)
        if tail is None:
            chunk = truth
        else:
            level = level[0] * gain, level[1] * gain + offset.view(1, 3, 1, 1, 1)
            chunk = truth * level[0] + level[1]
            chunk = chunk + noise * torch.randn(chunk.shape, generator=generator)
            if held:
                chunk = match_colours(chunk, tail)
                level = torch.ones_like(level[0]), torch.zeros_like(level[1])
        shown.append(chunk[:, :, 5 if number else 0 :])
        tail = chunk[:, :, -5:]
    return shown


def test_the_anchor_holds_a_drift() -> None:
    """Eight chunks that each lose 3 to 10 % of contrast and gain red drift by tens of levels; held, the last chunk
    has the scene's own colours to half a level of 255."""
    truth = scene(17, 12 * 7)[:, :, 5:]
    loose, held = drifting(8, held=False)[-1], drifting(8, held=True)[-1]
    assert (loose - truth).abs().mean() * 127.5 > 10
    assert (held - truth).abs().max() * 127.5 < 0.5


def test_the_anchor_does_not_fade() -> None:
    """With noise between what two chunks show of the same frames, contrast stays within 3 % over twenty chunks:
    moments do not shrink as a least-squares fit would make them."""
    truth, held = scene(17, 12 * 19)[:, :, 5:], drifting(20, held=True, noise=0.03)[-1]
    assert float(held.std() / truth.std()) == pytest.approx(1, abs=0.03)


def test_the_anchor_leaves_a_changing_scene_alone() -> None:
    """A scene that darkens within a chunk keeps its change: only what differs on shared frames is undone."""
    chunk = scene(17) - torch.linspace(0, 0.4, 17).view(1, 1, -1, 1, 1)
    assert torch.allclose(match_colours(chunk, chunk[:, :, :5]), chunk, atol=1e-5)


def test_the_anchor_is_no_strong_hand() -> None:
    """Contrast is changed by a quarter at most, a flat picture not at all, and nothing leaves [-1, 1]."""
    found = match_colours(0.2 * scene(9), scene(9)[:, :, :5])
    assert float(found.std()) <= MOST_GAIN * 0.2 * float(scene(9).std()) * 1.01
    flat = torch.full((1, 3, 9, 8, 8), 0.3)
    assert torch.allclose(match_colours(flat, torch.full((1, 3, 5, 8, 8), 0.1)), flat - 0.2, atol=1e-6)
    assert float(match_colours(scene(9), scene(9)[:, :, :5] + 5).abs().max()) <= 1


def test_drift_is_told() -> None:
    """The sentence says what the last chunk lost against the first; one chunk cannot drift."""
    parts = [rgb(chunk).numpy() for chunk in drifting(8, held=False)]
    statistics = [chunk_statistics(list(part)) for part in parts]
    found = measure_drift(statistics)
    assert found is not None
    assert found.is_notable
    assert str(found).startswith("drift over 8 chunks: colour ")
    assert found.contrast_share < -0.2
    assert measure_drift(statistics[:1]) is None
    assert drift_report(statistics)["drift"]["chunks"] == 8
    steady = measure_drift(
        [chunk_statistics(list(part)) for part in (rgb(scene(17)).numpy(), rgb(scene(17, 12)).numpy())]
    )
    assert steady is not None
    assert not steady.is_notable


def test_statistics() -> None:
    """Mean and deviation of each channel in levels; a blurred picture is less sharp, a flat one not at all."""
    frame = np.zeros((8, 8, 3), np.uint8)
    frame[:, ::2, 0] = 200
    found = chunk_statistics([frame, frame])
    assert found.mean == (100, 0, 0)
    assert found.deviation == (100, 0, 0)
    soft = np.zeros_like(frame)
    soft[..., 0] = 100
    assert found.sharpness > chunk_statistics([soft]).sharpness == 0
