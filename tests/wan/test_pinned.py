"""Weights in slabs of host memory: the values stay, the memory is what it must be, and nothing is held twice."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.wan.cost import meta_transformer
from stages.wan.face_modules import AnimateTransformer3DModel
from stages.wan.machine import DEFAULTS
from stages.wan.pack_loading import load_pack
from stages.wan.packs import open_pack
from stages.wan.pinned import ALIGNMENT, move_into_slabs, packed
from stages.wan.plan import HOST_ROUNDING
from tests.wan import tiny, tiny_packs


def ordinary(size: int) -> torch.Tensor:
    """A slab that is not page-locked: without a card there is none."""
    return torch.full((size,), 255, dtype=torch.uint8)


@given(st.lists(st.integers(0, 3 * 2**32), max_size=40))
def test_every_tensor_has_a_place_of_its_own(sizes: list[int]) -> None:
    """Places are aligned, lie inside their slab and do not overlap; slabs are powers of two and stand in order."""
    places, slabs = packed(sizes)
    assert all(slab & (slab - 1) == 0 for slab in slabs)
    ends = [0] * len(slabs)
    for size, (slab, start) in zip(sizes, places, strict=True):
        assert start % ALIGNMENT == 0
        assert ends[slab] <= start
        ends[slab] = start + size
        assert ends[slab] <= slabs[slab]
    assert [slab for slab, _ in places] == sorted(slab for slab, _ in places)


@pytest.mark.parametrize("face", [False, True])
@pytest.mark.parametrize("linear", [1, 2])
def test_the_real_model_takes_hardly_more_than_its_bytes(face: bool, linear: int) -> None:
    """With linears of 1 and of 2 bytes a weight, slabs take at most 3 % more than the weights, as the plan says; one
    allocation per weight would take half as much again."""
    parameters = meta_transformer(DEFAULTS, torch.bfloat16, face).parameters()
    sizes = [each.numel() * (linear if each.ndim == 2 else each.element_size()) for each in parameters]
    assert sum(packed(sizes)[1]) <= HOST_ROUNDING * sum(sizes)
    assert sum(1 << (size - 1).bit_length() for size in sizes) > 1.45 * sum(sizes)


@pytest.mark.parametrize("kind", ["Q2_K", "Q3_K", "Q8_0", "F8_E4M3"])
def test_so_does_a_single_file(kind: str) -> None:
    """The same of quantised single files."""
    sizes = [each.bytes for each in tiny_packs.published(kind).tensors.values()]
    assert sum(packed(sizes)[1]) <= HOST_ROUNDING * sum(sizes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_values_stay_and_the_old_memory_goes(dtype: torch.dtype) -> None:
    """A model in slabs has its values and names, bit for bit; of its old memory nothing is kept."""
    torch.manual_seed(0)
    model = AnimateTransformer3DModel(**tiny.TRANSFORMER, **tiny.FACE).requires_grad_(False)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    before = copy.deepcopy(model).state_dict()
    old = [weakref.ref(parameter.data.untyped_storage()) for parameter in model.parameters()]
    slabs: list[int] = []

    def allocate(size: int) -> torch.Tensor:
        slabs.append(size)
        return ordinary(size)

    move_into_slabs(model.parameters(), allocate)
    after = model.state_dict()
    assert list(after) == list(before)
    for name, tensor in after.items():
        assert torch.equal(tensor.view(torch.uint8), before[name].view(torch.uint8)), name
    gc.collect()
    assert not any(reference() is not None for reference in old)
    places = {parameter.data_ptr() for parameter in model.parameters()}
    assert len(places) == len(list(model.parameters()))
    assert sum(slabs) < 1.2 * sum(-(-each.nbytes // ALIGNMENT) * ALIGNMENT for each in model.parameters())


@pytest.mark.parametrize("kind", ["gguf", "fp8"])
def test_packed_layers_are_moved_as_they_are(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    """Layers of a quantised single file keep their type and expand to the same weights."""
    folder = tmp_path_factory.mktemp("pack")
    tensors = tiny_packs.original_tensors(tiny_packs.animate())
    if kind == "fp8":
        path = tiny_packs.write_fp8(folder / "a.safetensors", tensors)
    else:
        path = tiny_packs.write_gguf(folder / "a.gguf", tensors, ("Q4_0", "Q8_0"))
    model, moved = (load_pack(open_pack(path), torch.float32) for _ in range(2))
    move_into_slabs(moved.parameters(), ordinary)
    hidden = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    for one, other in zip(model.blocks, moved.blocks, strict=True):
        assert type(one.attn1.to_q.weight) is type(other.attn1.to_q.weight)
        assert torch.equal(one.attn1.to_q(hidden), other.attn1.to_q(hidden))
