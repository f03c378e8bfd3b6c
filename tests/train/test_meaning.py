"""What a training step means: what is drawn how often, what the loss sees, what learns."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages.artifacts.manifest import ClipLine
from stages.artifacts.provenance import Provenance
from stages.artifacts.training_cache import TrainingCache
from stages.encode.augment import augment
from stages.encode.cache_config import CacheConfig
from stages.encode.encode import encode
from stages.encode.training_clips import encode_clip, load_encoders
from stages.train.config import TrainConfig
from stages.train.examples import assemble, read_example, reference_outside_window
from stages.train.model import make_trainable, tuned_parameters
from stages.train.objective import flow_loss, sample_loss
from stages.train.plan import TrainingData, paper_line, paper_share, sample_operations
from stages.train.random_draws import Draw, draw, shift_towards_noise
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.wan import vae as codec
from stages.wan.adapter import TARGETS
from stages.wan.config import WanConfig
from stages.wan.denoise import make_scheduler
from stages.wan.folder import ModelFolder
from stages.wan.layout import Layout, layout
from stages.wan.loading import load_image_encoder, load_transformer, load_vae
from stages.wan.machine import DEFAULTS
from tests.train.conftest import ENCODE, LENGTH, OVERLAP, SIDE
from tests.wan.clips import frames, write_cond

CONFIG = TrainConfig(dtype="float32", rank=4)
DRAWS = 20_000
CPU = torch.device("cpu")


def drawn(**changed) -> Draw:
    """A draw made by hand."""
    given = {"cache": 0, "window": 1, "temporal": False, "auxiliary": False, "augmented": False, "reference": 0.0,
             "auxiliary_frame": 0.3, "t": 0.6, "noise_seed": 7}  # fmt: skip
    return Draw(**{**given, **changed})


def test_every_probability() -> None:
    """Over 20,000 draws temporal latents are in half, an auxiliary frame in a tenth of those and in no other, a moved
    reference in half, each within four standard errors; and each independent of the other."""
    made = [draw(number, (50,), TrainConfig()) for number in range(DRAWS)]
    temporal, auxiliary, turned = (
        np.array([getattr(d, n) for d in made]) for n in ("temporal", "auxiliary", "augmented")
    )
    for found, share in ((temporal, 0.5), (turned, 0.5), (temporal & turned, 0.25), (auxiliary, 0.05)):
        assert abs(found.mean() - share) < 4 * math.sqrt(share * (1 - share) / DRAWS)
    assert not (auxiliary & ~temporal).any()
    assert abs(auxiliary[temporal].mean() - 0.1) < 4 * math.sqrt(0.09 / temporal.sum())


def test_levels_are_shifted_as_at_inference() -> None:
    """The noise level's distribution function is that of u, uniform, moved by the sampler's own shift of 5."""
    levels = np.sort([draw(number, (50,), TrainConfig()).t for number in range(DRAWS)])
    u = levels / (5 - 4 * levels)
    assert np.abs(u - (np.arange(DRAWS) + 0.5) / DRAWS).max() < 1.95 / math.sqrt(DRAWS)  # Kolmogorov, p < .001
    sigmas = make_scheduler(WanConfig(num_inference_steps=20, scheduler="euler")).sigmas[:20]
    own = [shift_towards_noise(1 - step / 20, 5.0) for step in range(20)]
    assert np.allclose(own, sigmas, atol=1e-6)


def test_every_window_once_an_epoch() -> None:
    """Each epoch shows every window once, in an order of its own, which is the same again for the same seed."""
    epochs = [[draw(50 * epoch + at, (50,), CONFIG).window for at in range(50)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[1] == [draw(50 + at, (50,), CONFIG).window for at in range(50)]
    assert epochs[0] != [draw(at, (50,), replace(CONFIG, seed=1)).window for at in range(50)]


@pytest.mark.parametrize(
    ("temporal", "auxiliary", "mask"),
    [(False, False, [1, 0, 0, 0]), (True, False, [1, 1, 1, 0]), (True, True, [1, 1, 1, 1, 0])],
)
def test_slots_and_masks(cache: TrainingCache, temporal: bool, auxiliary: bool, mask: list[int]) -> None:
    """Slots are those of inference: reference, auxiliary where SAC is, temporal, noisy; the mask is 1 on what is
    known; the condition of an unknown clip is the grey one, of a later chunk what its first frames encode to; motion
    covers the clip's own slots."""
    made = read_example([cache], drawn(temporal=temporal, auxiliary=auxiliary))
    assert made.layout == layout(LENGTH, OVERLAP, not temporal, auxiliary)
    assert made.condition[0, :4].flatten(2).mean(-1).T.tolist() == [[float(known)] * 4 for known in mask]
    window, lead = cache.window(1), made.layout.lead
    expected = window.read("known_latents") if temporal else cache.grey_latents
    assert np.array_equal(made.condition[0, 4:, lead:], expected)
    assert np.array_equal(made.clean[0, :, lead:], window.read("clip_latents"))
    assert np.array_equal(made.clean[0, :, :1], made.condition[0, 4:, :1])
    assert made.motion.shape[2] == made.layout.video
    if auxiliary:
        frame = window.reference(1, False)
        assert np.array_equal(made.clean[0, :, 1:2], frame)
        assert np.array_equal(made.condition[0, 4:, 1:2], frame)
    if temporal:
        known = OVERLAP // 4 + 1
        assert np.allclose(expected[:, :known], window.read("clip_latents")[:, :known], atol=1e-5)


def test_the_reference_comes_from_outside(cache: TrainingCache) -> None:
    """The reference is a frame of the whole video, never one of the window's own while there are others."""
    for number in range(len(cache)):
        window = cache.window(number)
        rows = {
            int(window.reference_frames[reference_outside_window(window, LENGTH, u)]) for u in np.linspace(0, 0.999, 40)
        }
        assert rows
        assert not any(window.start <= row < window.start + LENGTH for row in rows)
    assert set(window.reference_frames) == {3, 10, 17, 24}


def test_a_small_movement() -> None:
    """A moved reference is the picture under a similarity within the stated bounds; with none of it, the picture."""
    picture = frames(1, (64, 48), seed=4)[0]
    still = CacheConfig(reference_degrees=0, reference_shift=0, reference_crop=0)
    assert np.array_equal(augment(picture, still, np.random.default_rng(0)), picture)
    spot = np.zeros((101, 101, 3), np.uint8)
    spot[49:52, 79:82] = 255
    for seed in range(30):
        rows, columns = np.nonzero(augment(spot, CacheConfig(), np.random.default_rng(seed))[:, :, 0] > 100)
        x, y = columns.mean() - 50, rows.mean() - 50
        far = 30 * (1 / 0.9) + 0.05 * 101 * math.sqrt(2) / 0.9
        assert 30 - 0.05 * 101 * math.sqrt(2) - 1 < math.hypot(x, y) < far + 1


def test_the_loss_ignores_what_is_excluded() -> None:
    """The loss does not change by a bit when the reference or auxiliary slot's prediction, truth or noise does; it
    changes with any other slot."""
    slots = Layout(1, 2, 3)
    predicted, clean, noise = (torch.randn(1, 16, slots.slots, 4, 4) for _ in range(3))
    loss = flow_loss(predicted, clean, noise, slots)
    assert torch.allclose(loss, ((noise - clean - predicted)[:, :, 2:] ** 2).mean())
    for slot in range(slots.slots):
        for index in range(3):
            given = [predicted.clone(), clean.clone(), noise.clone()]
            given[index][:, :, slot] += 1
            assert (flow_loss(*given, slots) == loss) == (slot < slots.lead)
    assert flow_loss(predicted, clean, noise, slots, on_temporal=False) != loss


def test_the_truth_has_no_loss(cache: TrainingCache) -> None:
    """z_t lies between clip and noise, and its flow, noise minus clip, has loss zero."""
    made = read_example([cache], drawn(t=0.25))
    assert torch.allclose(made.noisy, 0.75 * made.clean + 0.25 * made.noise)
    assert flow_loss(made.noise - made.clean, made.clean, made.noise, made.layout) == 0


def test_what_learns(base: ModelFolder, cache: TrainingCache) -> None:
    """Gradients reach exactly the LoRA's B (and, once B is not zero, A) of the 12 linears of every block and the
    motion embedding's weight and bias; nothing else has any."""
    model = make_trainable(load_transformer(base, torch.float32), CONFIG)
    names = {name for name, _ in tuned_parameters(model)}
    expected = {f"blocks.{block}.{target}.lora_{side}.emosh.weight" for block in range(2) for target in TARGETS
                for side in "AB"}  # fmt: skip
    assert names == expected | {"pose_patch_embedding.weight", "pose_patch_embedding.bias"}
    sample_loss(model, read_example([cache], drawn(temporal=True)), CPU, torch.float32).backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == names
    moving = {
        name for name, parameter in tuned_parameters(model) if parameter.grad is not None and parameter.grad.any()
    }
    assert moving == {name for name in names if "lora_A" not in name}
    for name, parameter in tuned_parameters(model):
        parameter.grad = None
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    sample_loss(model, read_example([cache], drawn(temporal=True)), CPU, torch.float32).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for _, parameter in tuned_parameters(model))


@pytest.mark.parametrize("temporal", [False, True])
def test_cached_latents_equal_pixels(
    base: ModelFolder, cache: TrainingCache, make, tmp_path: Path, temporal: bool
) -> None:
    """A sample read from the cache has the same loss and gradients, bit for bit, as one encoded from the video's own
    pixels; from a float16 cache the loss is within 0.2 %."""
    autoencoder, (encoder, processor) = load_vae(base), load_image_encoder(base)
    clip, maps = frames(28, (32, 32), seed=3), frames(28, (32, 32))
    pixels = [codec.pixels(torch.from_numpy(each[9:18].copy())) for each in (clip, maps)]
    from stages.wan.conditioning import image_embeds

    tail = pixels[0][:, :, :OVERLAP]
    known = codec.known_latents(autoencoder, tail, LENGTH) if temporal else codec.grey_latents(autoencoder, 9, 32, 32)
    picture = clip[3].copy()
    with torch.no_grad():
        embeds = image_embeds(encoder, processor, picture).clone()
    choice = drawn(temporal=temporal)
    direct = assemble(
        layout(LENGTH, OVERLAP, not temporal, False), choice,
        codec.encode(autoencoder, codec.pixels(torch.from_numpy(picture)[None])), None,
        codec.encode(autoencoder, pixels[0]), codec.encode(autoencoder, pixels[1]), known,
        torch.from_numpy(cache.prompt_embeds)[None], embeds,
    )  # fmt: skip
    half = make(tmp_path / "half", CacheConfig(reference_candidates=4, window_stride=LENGTH))
    losses, gradients = [], []
    for made in (direct, read_example([cache], choice), read_example([half], choice)):
        model = make_trainable(load_transformer(base, torch.float32), CONFIG)
        torch.manual_seed(0)
        for name, parameter in tuned_parameters(model):
            if "lora" in name:
                parameter.data.normal_(std=0.1)
        loss = sample_loss(model, made, CPU, torch.float32)
        loss.backward()
        losses.append(loss.item())
        gradients.append([parameter.grad for _, parameter in tuned_parameters(model)])
    assert losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(gradients[0], gradients[1], strict=True))
    assert losses[2] == pytest.approx(losses[0], rel=2e-3)


def test_eight_bits_pass_gradients_on(base: ModelFolder, cache: TrainingCache) -> None:
    """With the base's linears stored in 8 bits the step is that of a base rounded to 8 bits, gradients and all, with
    checkpointing as without, and with the blocks' inputs kept in host memory."""
    from stages.train.linear_8bit import DTYPE, StoredLinear

    rounded = make_trainable(load_transformer(base, torch.float32), CONFIG)
    for module in rounded.blocks.modules():
        if type(module) is torch.nn.Linear and not module.weight.requires_grad:
            module.weight.data = module.weight.data.to(DTYPE).float()
    made, found = read_example([cache], drawn(temporal=True)), []
    stored = [replace(CONFIG, storage="fp8", gradient_checkpointing=on, offload_activations=off)
              for on, off in ((True, False), (False, False), (True, True))]  # fmt: skip
    for model in (rounded, *(make_trainable(load_transformer(base, torch.float32), config) for config in stored)):
        torch.manual_seed(0)
        for _, parameter in tuned_parameters(model):
            parameter.data.normal_(std=0.1)
        sample_loss(model, made, CPU, torch.float32).backward()
        found.append(torch.cat([parameter.grad.flatten() for _, parameter in tuned_parameters(model)]))  # type: ignore[union-attr]
    assert sum(isinstance(module, StoredLinear) for module in model.modules()) == 24
    for each in found[1:]:
        assert torch.allclose(each, found[0], rtol=1e-4, atol=1e-6)


def test_a_photo_and_a_clip_are_framed_alike(base: ModelFolder, tmp_path: Path) -> None:
    """A wide picture gives the same reference latents and CLIP tokens, bit for bit, as the photo of `emosh encode` and
    as a frame of a clip that is trained on."""
    photo, clip, cond = tmp_path / "photo.png", tmp_path / "clip.mp4", tmp_path / "cond.mp4"
    picture = frames(1, (48, 20), seed=3)[0]
    write_png(photo, picture)
    with VideoSink(clip, 48, 20, Fraction(25), lossless=True) as sink:
        for _ in range(LENGTH):
            sink.write(picture)
    write_cond(cond, LENGTH, (SIDE, SIDE))
    encode(photo, cond, base, ENCODE, tmp_path / "latents.safetensors")
    config = CacheConfig(reference_candidates=1, cache_dtype="float32")
    encoders, line = load_encoders(base, ENCODE, "cpu"), ClipLine(clip, None, LENGTH, Fraction(25))
    encode_clip(line, cond, encoders, tmp_path / "clip.safetensors", ENCODE, config, Provenance("encode", {}))
    shown, trained = (load_file(tmp_path / f"{name}.safetensors") for name in ("latents", "clip"))
    assert torch.equal(trained["reference_latents"][0, 0], shown["reference_latents"])
    assert torch.equal(trained["image_embeds"][0, 0], shown["image_embeds"])


def test_the_papers_hours() -> None:
    """What the plan says of the paper's run is what a count by hand says: 909.8 TFLOP a forward pass (971.9 with an
    auxiliary frame, in one sample of twenty), three times the linears and four and a half times attention for a step
    with checkpointing, LoRA's 179.6 million numbers four times; one sample a card in 55.4 seconds of an H20's 148."""
    plain, auxiliary = 3 * 517.4 + 4.5 * 392.4, 3 * 541.9 + 4.5 * 430.0
    lora = 4 * 2 * (0.95 * 21_504 + 0.05 * 22_528) * 179.6e6 / 1e12
    tera = 0.95 * plain + 0.05 * auxiliary + lora
    linear, attention = sample_operations(DEFAULTS, TrainingData(), TrainConfig())
    assert (linear + attention) / 1e12 == pytest.approx(tera, rel=1e-3)
    share = tera / (100 * 3600 / 6500) / 148
    assert paper_share(DEFAULTS) == pytest.approx(share, rel=1e-3)
    assert f"{share:.0%}" in paper_line(DEFAULTS)
