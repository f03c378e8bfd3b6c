"""Adapters and LoRAs that do not belong to a base are refused by their headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stages.artifacts.provenance import Provenance
from stages.errors import InputError
from stages.wan import adapter
from stages.wan.lora_check import check_lora
from stages.wan.transformer import EmoshTransformer3DModel
from tests.wan import tiny

Tensors = dict[str, torch.Tensor]
FIRST = "transformer.blocks.0.attn1.to_v.lora_A.weight"
WIDTH = 32


def saved(path: Path, **changed: object) -> Path:
    """An adapter of rank 4 trained on a base of that config."""
    torch.manual_seed(0)
    model = EmoshTransformer3DModel(**{**tiny.TRANSFORMER, **changed})
    adapter.add_adapter(model, rank=4)
    tiny.save_adapter(path, model, Provenance("train"))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good adapter. Read only."""
    return saved(tmp_path_factory.mktemp("adapters") / "adapter.safetensors")


def without(part: str) -> Callable[[Tensors], Tensors]:
    """All tensors but those."""
    return lambda tensors: {name: each for name, each in tensors.items() if part not in name}


def with_first(tensor: torch.Tensor) -> Callable[[Tensors], Tensors]:
    """One tensor exchanged."""
    return lambda tensors: {**tensors, FIRST: tensor}


def test_a_whole_adapter_passes(whole: Path) -> None:
    """What was saved is taken."""
    assert adapter.check_adapter(whole, tiny.TRANSFORMER).rank == 4


@pytest.mark.parametrize(
    ("damage", "header", "said"),
    [
        (with_first(torch.zeros(4, WIDTH, dtype=torch.int32)), {}, r"to_v.* is stored as I32, expected F32"),
        (with_first(torch.zeros(4, WIDTH).to(torch.float8_e4m3fn)), {}, "is stored as F8_E4M3"),
        (with_first(torch.zeros(8, WIDTH)), {}, "has rank 8 and 4, expected 4"),
        (lambda tensors: tensors, {"rank": "32"}, "has rank 4 and 4, expected 32"),
        (with_first(torch.zeros(4, WIDTH + 8)), {}, "reads 40 features, this base has 32"),
        (without(FIRST), {}, r"has lora_B.weight but not its other half"),
        (
            lambda tensors: {**tensors, "transformer.nothing.lora_A.weight": torch.zeros(4, 4)},
            {},
            "fits no layer of this base",
        ),
        (without("pose_patch_embedding.weight"), {}, "pose_patch_embedding.weight is absent"),
        (without(".lora_"), {}, "number of blocks is 0"),
    ],
)
def test_a_damaged_adapter_is_one_line(
    whole: Path, tmp_path: Path, damage: Callable[[Tensors], Tensors], header: dict[str, str], said: str
) -> None:
    """A tensor of another type, rank or width, one too many, one too few, and a header that lies are each named."""
    path = tmp_path / "adapter.safetensors"
    with safe_open(whole, framework="pt") as file:
        fields = dict(file.metadata())
    save_file(damage(load_file(whole)), path, {**fields, **header})
    with pytest.raises(InputError, match=said):
        adapter.check_adapter(path, tiny.TRANSFORMER)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"num_layers": 3}, "its number of blocks is 3, this base's is 2"),
        ({"num_attention_heads": 4, "added_kv_proj_dim": 64}, "its width is 64, this base's is 32"),
        ({"ffn_dim": 128}, "writes 128 features, this base has 64"),
    ],
)
def test_an_adapter_of_another_base(tmp_path: Path, changed: dict[str, int], said: str) -> None:
    """A deeper, a wider and a fuller base are told from this one."""
    with pytest.raises(InputError, match=said):
        adapter.check_adapter(saved(tmp_path / "other.safetensors", **changed), tiny.TRANSFORMER)


def pair(module: str, width: int = WIDTH, kind: torch.dtype = torch.float32) -> Tensors:
    """Both halves of a LoRA in Wan's own names."""
    return {
        f"{module}.lora_down.weight": torch.zeros(2, width, dtype=kind),
        f"{module}.lora_up.weight": torch.zeros(width, 2, dtype=kind),
    }


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (
            pair("lora_unet_double_blocks_0_img_attn_proj"),
            "know its names, such as 'lora_unet_double",
        ),
        (pair("diffusion_model.blocks.0.norm3"), "diffusers does not know its names"),
        (pair("diffusion_model.blocks.0.self_attn.q", 5120), "reads 5120 features, this base has 32"),
        (
            pair("diffusion_model.blocks.7.self_attn.q"),
            "'blocks.7.attn1.to_q.lora_A.weight' fits no layer of this base",
        ),
        (pair("diffusion_model.blocks.0.self_attn.q", kind=torch.float64), "is stored as F64"),
        (dict(list(pair("diffusion_model.blocks.0.self_attn.q").items())[:1]), "not its other half"),
        ({"transformer.single_blocks.0.lora_A.weight": torch.zeros(2, 2)}, "a LoRA of another model"),
        ({"weight": torch.zeros(2)}, "holds no LoRA"),
    ],
)
def test_a_lora_that_fits_nothing_is_one_line(tmp_path: Path, tensors: Tensors, said: str) -> None:
    """Another model's names, widths, blocks and types, and half a LoRA, are refused before the base loads."""
    save_file(tensors, tmp_path / "lora.safetensors")
    with pytest.raises(InputError, match=said):
        check_lora(tmp_path / "lora.safetensors", tiny.TRANSFORMER)


def test_a_lora_with_scales_passes(tmp_path: Path) -> None:
    """Each linear's alpha is a number that diffusers reads while it converts; the check does so too."""
    tensors = pair("diffusion_model.blocks.0.self_attn.q")
    save_file({**tensors, "diffusion_model.blocks.0.self_attn.q.alpha": torch.tensor(1.0)}, tmp_path / "a.safetensors")
    check_lora(tmp_path / "a.safetensors", tiny.TRANSFORMER)
