"""The transformer with its face modules against diffusers' `WanAnimateTransformer3DModel`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.wan.face_modules import AnimateTransformer3DModel, encode_faces
from stages.wan.transformer import EmoshTransformer3DModel
from tests.wan import tiny
from tests.wan.test_transformer import DTYPES, inputs, motion

LAYERS = {**tiny.TRANSFORMER, "num_layers": 4}
FACE = {**tiny.FACE, "inject_face_latents_blocks": 2}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """diffusers' transformer of four blocks with a face after the first and the third, every weight moved."""
    from diffusers import WanAnimateTransformer3DModel

    torch.manual_seed(0)
    model = WanAnimateTransformer3DModel(**LAYERS, **FACE).eval()
    tiny.moved(model)
    return model


def ours(theirs: Any, dtype: torch.dtype = torch.float32) -> AnimateTransformer3DModel:
    """Our model with the same weights, kept in float32 where diffusers keeps them so."""
    model = AnimateTransformer3DModel(**LAYERS, **FACE).eval()
    model.load_state_dict(theirs.state_dict())
    return model.to(dtype)


def faces(dtype: torch.dtype = torch.float32, frames: int = 9) -> torch.Tensor:
    """Random face pictures, (batch, 3, frames, 16, 16)."""
    return torch.randn(1, 3, frames, 16, 16, generator=torch.Generator().manual_seed(6)).to(dtype)


def face_motion(model: AnimateTransformer3DModel, pixels: torch.Tensor) -> torch.Tensor:
    return encode_faces(model.motion_encoder, pixels[0].transpose(0, 1))[None]


@pytest.mark.parametrize("dtype", DTYPES)
@torch.no_grad()
def test_it_is_wan_animate(theirs: Any, dtype: torch.dtype) -> None:
    """With motion and a face the output is `WanAnimateTransformer3DModel`'s, bit for bit; the face matters."""
    model, other = ours(theirs, dtype), copy.deepcopy(theirs).to(dtype)
    expected = other(**inputs(dtype), pose_hidden_states=motion(dtype), face_pixel_values=faces(dtype)).sample
    found = model(
        **inputs(dtype), motion_hidden_states=motion(dtype), face_motion=face_motion(model, faces(dtype))
    ).sample
    assert torch.equal(found, expected)
    blank = face_motion(model, torch.zeros_like(faces(dtype)))
    assert not torch.equal(model(**inputs(dtype), motion_hidden_states=motion(dtype), face_motion=blank).sample, found)


@torch.no_grad()
def test_a_folder_loads_with_nothing_missing(theirs: Any, tmp_path: Path) -> None:
    """A folder in shards loads with no missing and no unexpected key, and keeps its fp32 modules in bf16."""
    theirs.save_pretrained(tmp_path / "transformer", max_shard_size="100KB")
    model, info = AnimateTransformer3DModel.from_pretrained(
        tmp_path, subfolder="transformer", torch_dtype=torch.bfloat16, output_loading_info=True
    )
    assert (info["missing_keys"], info["unexpected_keys"]) == ([], [])
    assert model.motion_encoder.motion_synthesis_weight.dtype == torch.float32
    assert model.face_encoder.out_proj.weight.dtype == torch.bfloat16
    assert set(model.state_dict()) == set(theirs.state_dict())
    assert model.config["inject_face_latents_blocks"] == 2


@torch.no_grad()
def test_without_a_face_it_is_the_papers(theirs: Any) -> None:
    """Without a face the output is `EmoshTransformer3DModel`'s, also after a call with one."""
    model, plain = ours(theirs), EmoshTransformer3DModel(**LAYERS).eval()
    plain.load_state_dict({name: theirs.state_dict()[name] for name in plain.state_dict()})
    model(**inputs(), motion_hidden_states=motion(), face_motion=face_motion(model, faces()))
    expected = plain(**inputs(), motion_hidden_states=motion()).sample
    assert torch.equal(model(**inputs(), motion_hidden_states=motion()).sample, expected)


@torch.no_grad()
def test_leading_slots_have_no_face(theirs: Any) -> None:
    """With an anchor slot in front, slots without a face get tokens of zeros, and the last slots their own."""
    model = ours(theirs)
    tokens = model._face_tokens(face_motion(model, faces()), 5)
    assert tokens.shape == (1, 5, FACE["face_encoder_num_heads"] + 1, 32)
    assert tokens[:, :2].abs().max() == 0
    assert torch.equal(tokens[:, 2:], model.face_encoder(face_motion(model, faces())))
    with pytest.raises(ValueError, match="3 latent frames"):
        model._face_tokens(face_motion(model, faces()), 2)


@torch.no_grad()
def test_a_copy_uses_its_own_face(theirs: Any) -> None:
    """A deep copy keeps no tie to the original's adapters."""
    model = ours(theirs)
    twin = copy.deepcopy(model)
    for adapter in twin.face_adapter:
        adapter.to_out.weight.zero_()
        adapter.to_out.bias.zero_()
    given = {**inputs(), "motion_hidden_states": motion(), "face_motion": face_motion(model, faces())}
    assert not torch.equal(twin(**given).sample, model(**given).sample)
    silent = model(**inputs(), motion_hidden_states=motion()).sample
    assert torch.equal(twin(**given).sample, silent)


@torch.no_grad()
def test_face_numbers_do_not_depend_on_the_batch(theirs: Any) -> None:
    """Encoding in batches of 1 and of 9 gives the same numbers within float32's rounding."""
    model = ours(theirs)
    pixels = faces()[0].transpose(0, 1)
    one, nine = (encode_faces(model.motion_encoder, pixels, batch) for batch in (1, 9))
    torch.testing.assert_close(one, nine, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", ["first_block", "mag"])
@torch.no_grad()
def test_a_skipped_step_keeps_its_face(theirs: Any, config: str) -> None:
    """A step cache that skips the blocks of an identical step leaves the result as it was, face included."""
    from diffusers.hooks import FirstBlockCacheConfig, MagCacheConfig

    model = ours(theirs)
    given = {**inputs(), "motion_hidden_states": motion(), "face_motion": face_motion(model, faces())}
    plain = model(**given).sample
    caches = {
        "first_block": FirstBlockCacheConfig(threshold=0.1),
        "mag": MagCacheConfig(threshold=1.0, max_skip_steps=3, retention_ratio=0.0, num_inference_steps=4,
                              mag_ratios=torch.ones(4)),
    }  # fmt: skip
    model.enable_cache(caches[config])
    calls: list[int] = []
    handle = model.blocks[-1].attn1.register_forward_hook(lambda *_: calls.append(1))
    with model.cache_context("cond"):
        found = [model(**given).sample for _ in range(2)]
    handle.remove()
    assert len(calls) == 1
    torch.testing.assert_close(found[0], plain, rtol=0, atol=0)
    torch.testing.assert_close(found[1], plain, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_loras_stack_beside_a_face(theirs: Any, tmp_path: Path) -> None:
    """Two LoRAs on the blocks give, with a face, what their products added to the weights give; the face adapters,
    whose linears have the same names, stay as they are."""
    from safetensors.torch import save_file

    from stages.wan.acceleration import fold_adapters
    from stages.wan.adapter import stack_lora

    model, summed, generator = ours(theirs), ours(theirs), torch.Generator().manual_seed(4)
    for number, scale in enumerate((1.0, 0.5)):
        tensors = {}
        for name in ("blocks.0.attn1.to_q", "blocks.2.attn2.to_v", "blocks.3.ffn.net.2"):
            weight = summed.get_submodule(name).weight
            down = 0.3 * torch.randn(4, weight.shape[1], generator=generator)
            up = 0.3 * torch.randn(weight.shape[0], 4, generator=generator)
            tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
            weight += scale * up @ down
        save_file(tensors, tmp_path / f"{number}.safetensors")
        stack_lora(model, tmp_path / f"{number}.safetensors", scale)
    given = {**inputs(), "motion_hidden_states": motion(), "face_motion": face_motion(model, faces())}
    expected = summed(**given).sample
    assert not torch.allclose(ours(theirs)(**given).sample, expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(model(**given).sample, expected, rtol=1e-4, atol=1e-4)
    fold_adapters(model)
    torch.testing.assert_close(model(**given).sample, expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(model.face_adapter[0].to_q.weight, theirs.face_adapter[0].to_q.weight)
