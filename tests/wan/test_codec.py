"""The fixed codec: causal in time, exact on what it was fitted to, and a model folder's part like a VAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stages.errors import InputError
from stages.wan import vae
from stages.wan.fixed_codec import WEIGHTS, BlockCodec, fit_codec
from stages.wan.folder import open_folder
from stages.wan.loading import load_vae
from stages.wan.small_model import new_small_model


def moving(count: int = 17, side: int = 32, seed: int = 0) -> np.ndarray:
    """A soft wave that passes over the picture in a colour of its own: few numbers say all of it."""
    random = np.random.default_rng(seed)
    t, y, x = np.mgrid[0:count, 0:side, 0:side]
    wave = np.sin(random.uniform(0.05, 0.15) * x + random.uniform(0.05, 0.15) * y + 0.1 * t + random.uniform(0, 6))
    colour = random.uniform(0.2, 0.8, 3)
    return (255 * (colour + 0.2 * wave[..., None] * random.uniform(-1, 1, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def codec() -> BlockCodec:
    return fit_codec(moving(seed=seed) for seed in range(60))


def test_pictures_come_back(codec: BlockCodec) -> None:
    """Clips of the kind that was fitted, but not seen, come back within 1 of 255 on average, the first frame too; their
    latents are of about unit size, so that noise of size 1 is of their size."""
    spreads = []
    for seed in range(100, 106):
        clip = moving(seed=seed)
        latents = vae.encode(codec, vae.pixels(torch.from_numpy(clip)))
        assert latents.shape == (1, 16, 5, 4, 4)
        back = vae.rgb(vae.decode(codec, latents)).numpy().astype(int)
        assert np.abs(back - clip).mean() < 1
        assert np.abs(back[0] - clip[0].astype(int)).mean() < 1
        spreads.append(latents.square().mean().item())
    assert 0.3 < np.mean(spreads) < 3


def test_no_latent_knows_of_later_frames(codec: BlockCodec) -> None:
    """Other frames from number 5 on change no latent of frames 0 to 4, and every later one."""
    clip = moving(seed=3)
    other = clip.copy()
    other[5:] = moving(seed=4)[5:]
    a, b = (vae.encode(codec, vae.pixels(torch.from_numpy(each))) for each in (clip, other))
    assert torch.equal(a[:, :, :2], b[:, :, :2])
    assert ((a - b)[:, :, 2:].abs().amax((0, 1, 3, 4)) > 0.1).all()
    alone = vae.encode(codec, vae.pixels(torch.from_numpy(clip[:1])))
    assert torch.equal(alone, a[:, :, :1])


def test_a_folder_around_it(codec: BlockCodec, tmp_path: Path) -> None:
    """A small model's folder opens as any other, neither sees nor reads, and its codec codes as the one it was made of;
    a codec without its weights is named."""
    folder = open_folder(new_small_model(tmp_path / "small", codec, layers=1, heads=2, head_dim=32))
    assert (folder.kind, folder.has_image_encoder, folder.has_text_encoder, folder.has_motion_embedding) == (
        "emosh",
        False,
        False,
        True,
    )
    pixels = vae.pixels(torch.from_numpy(moving(seed=7)))
    assert torch.allclose(vae.encode(load_vae(folder), pixels), vae.encode(codec, pixels), atol=1e-6)
    (folder.path / "vae" / WEIGHTS).unlink()
    with pytest.raises(InputError, match="does not exist; make it again"):
        load_vae(folder)
