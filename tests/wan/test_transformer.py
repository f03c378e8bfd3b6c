"""The transformer against diffusers' own two: with motion and without, in both precisions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from stages.wan.part_check import EMBEDDING
from stages.wan.transformer import EmoshTransformer3DModel, zero_embedding
from tests.wan import tiny

DTYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module")
def animate() -> Any:
    """Wan-Animate's transformer, every weight moved, its face branch silenced."""
    model = tiny.animate_transformer()
    tiny.moved(model)
    for block in model.face_adapter:
        for parameter in block.to_out.parameters():
            parameter.data.zero_()
    return model


def ours(theirs: Any) -> EmoshTransformer3DModel:
    """Our model with the weights of one of diffusers'."""
    model = EmoshTransformer3DModel(**tiny.TRANSFORMER).eval()
    model.load_state_dict({name: theirs.state_dict()[name] for name in model.state_dict()})
    return model


def inputs(dtype: torch.dtype = torch.float32, slots: int = 4) -> dict[str, torch.Tensor]:
    """What every transformer here is called with: an 8 by 6 latent picture."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    return {
        "hidden_states": random(1, 36, slots, 8, 6),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": random(1, 512, 32),
        "encoder_hidden_states_image": random(1, 17, 32),
    }


def motion(dtype: torch.dtype = torch.float32, slots: int = 3) -> torch.Tensor:
    """Random motion latents."""
    return torch.randn(1, 16, slots, 8, 6, generator=torch.Generator().manual_seed(4)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@torch.no_grad()
def test_without_motion_it_is_wan(animate: Any, dtype: torch.dtype) -> None:
    """Without motion the output is `WanTransformer3DModel`'s, bit for bit."""
    model = ours(animate).to(dtype)
    wan = tiny.i2v_transformer()
    wan.load_state_dict({name: animate.state_dict()[name] for name in wan.state_dict()})
    assert torch.equal(model(**inputs(dtype)).sample, wan.to(dtype)(**inputs(dtype)).sample)


@pytest.mark.parametrize("dtype", DTYPES)
@torch.no_grad()
def test_with_motion_it_is_silenced_wan_animate(animate: Any, dtype: torch.dtype) -> None:
    """With motion on all slots but the reference the output is that of `WanAnimateTransformer3DModel` with its face
    adapter silenced, bit for bit."""
    model, theirs = ours(animate).to(dtype), copy.deepcopy(animate).to(dtype)
    face = torch.zeros(1, 3, 9, 16, 16, dtype=dtype)
    expected = theirs(**inputs(dtype), pose_hidden_states=motion(dtype), face_pixel_values=face).sample
    found = model(**inputs(dtype), motion_hidden_states=motion(dtype)).sample
    assert torch.equal(found, expected)
    assert not torch.equal(found, model(**inputs(dtype)).sample)


@torch.no_grad()
def test_motion_reaches_the_last_slots_only(animate: Any) -> None:
    """Motion of m slots is added to the tokens of the last m slots and to no others."""
    model, seen = ours(animate), []
    handle = model.patch_embedding.register_forward_hook(lambda module, given, embedded: seen.append(embedded.clone()))
    for motions in (None, motion(slots=2)):
        model(**inputs(), motion_hidden_states=motions)
    handle.remove()
    difference = (seen[1] - seen[0]).abs().amax(dim=(0, 1, 3, 4))
    assert (difference > 0).tolist() == [False, False, True, True]
    assert torch.equal(seen[1][:, :, 2:], seen[0][:, :, 2:] + model.pose_patch_embedding(motion(slots=2)))


@torch.no_grad()
def test_motion_does_not_stay(animate: Any) -> None:
    """Motion is forgotten after a call, also after one that failed."""
    model = ours(animate)
    before = model(**inputs()).sample
    model(**inputs(), motion_hidden_states=motion())
    with pytest.raises(RuntimeError):
        model(**{**inputs(), "encoder_hidden_states": torch.zeros(1, 512, 5)}, motion_hidden_states=motion())
    assert torch.equal(model(**inputs()).sample, before)


@torch.no_grad()
def test_zeros_are_not_no_motion(animate: Any) -> None:
    """Zero motion latents change the result, since the embedding has a bias; zeroed weights do not."""
    model = ours(animate)
    still = model(**inputs()).sample
    assert not torch.equal(model(**inputs(), motion_hidden_states=torch.zeros_like(motion())).sample, still)
    zero_embedding(model, torch.float32)
    assert torch.equal(model(**inputs(), motion_hidden_states=motion()).sample, still)


@torch.no_grad()
def test_a_copy_adds_its_own_motion(animate: Any) -> None:
    """A deep copy uses its own embedding and keeps no tie to the original."""
    model = ours(animate)
    twin = copy.deepcopy(model)
    zero_embedding(twin, torch.float32)
    assert torch.equal(twin(**inputs(), motion_hidden_states=motion()).sample, model(**inputs()).sample)
    moving = model(**inputs(), motion_hidden_states=motion()).sample
    assert not torch.equal(moving, twin(**inputs(), motion_hidden_states=motion()).sample)


@pytest.mark.parametrize("shape", [(1, 16, 5, 8, 6), (1, 16, 3, 8, 8), (1, 4, 3, 8, 6)])
def test_motion_that_does_not_fit_is_refused(animate: Any, shape: tuple[int, ...]) -> None:
    """Motion of too many slots, another size or other channels is refused with both shapes."""
    with pytest.raises(ValueError, match="does not fit"):
        ours(animate)(**inputs(), motion_hidden_states=torch.zeros(shape))


def test_gradients_reach_the_embedding(animate: Any) -> None:
    """The motion embedding learns, with gradient checkpointing too."""
    model = ours(animate).train().requires_grad_(False)
    model.pose_patch_embedding.requires_grad_(True)
    model.enable_gradient_checkpointing()
    model(**inputs(), motion_hidden_states=motion()).sample.square().mean().backward()
    weight = dict(model.named_parameters())[f"{EMBEDDING}.weight"]
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
