"""Quantised single files of Wan-Animate: recognised by headers, loaded as stored, equal to their expanded twins."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.errors import InputError
from stages.wan.adapter import stack_lora
from stages.wan.config import WanConfig
from stages.wan.face_modules import AnimateTransformer3DModel, encode_faces
from stages.wan.folder import ModelFolder
from stages.wan.loading import load_motion_encoder
from stages.wan.machine import DEFAULTS
from stages.wan.pack_headers import read_scale
from stages.wan.pack_loading import ScaledLinear, expand, load_pack
from stages.wan.pack_memory import pack_bytes
from stages.wan.packs import Pack, convert, is_pack, open_pack, stays_float32
from stages.wan.placement import Placement
from stages.wan.plan import Clip, Networks, choose_plan
from stages.wan.run_config import RunConfig, check_pack_options
from tests.wan import tiny_packs
from tests.wan.test_transformer import inputs, motion
from tests.wan.tiny import VAE

gguf = pytest.importorskip("gguf", reason="an extra: pip install emosh[gguf]")

TYPES = {
    "q8.gguf": ("Q8_0",),
    "q4.gguf": ("Q4_0", "Q5_1", "IQ4_NL"),
    "k.gguf": ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"),
    "bf16.gguf": ("BF16", "F16"),
    "e4m3.safetensors": torch.float8_e4m3fn,
    "e5m2.safetensors": torch.float8_e5m2,
}


@pytest.fixture(scope="module")
def originals() -> dict[str, torch.Tensor]:
    """A tiny Wan-Animate's tensors under Wan's own names."""
    return tiny_packs.original_tensors(tiny_packs.animate())


@pytest.fixture(scope="module", params=TYPES)
def pack(request: pytest.FixtureRequest, originals: Any, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """One tiny file of each kind, checked."""
    path = tmp_path_factory.mktemp("packs") / request.param
    write = tiny_packs.write_gguf if path.suffix == ".gguf" else tiny_packs.write_fp8
    return open_pack(write(path, originals, TYPES[request.param]))


def twin(pack: Pack, dtype: torch.dtype) -> AnimateTransformer3DModel:
    """A model that holds the pack's weights expanded to `dtype`."""
    model, values = AnimateTransformer3DModel(**pack.config).eval(), {}
    for packed in pack.originals:
        scale = None if packed.scale is None else read_scale(pack.path, packed)
        for name, tensor in convert(packed.name, pack.read(packed)).items():
            kept = torch.float32 if stays_float32(name) else dtype
            values[name] = expand(tensor, scale).to(kept).reshape(pack.tensors[name].shape)
    model.load_state_dict(values, assign=True)
    return model


def drawn(model: Any, dtype: torch.dtype) -> torch.Tensor:
    """The output for fixed inputs, with motion and face."""
    faces = torch.randn(9, 3, 16, 16, generator=torch.Generator().manual_seed(6)).to(dtype)
    with torch.no_grad():
        face_motion = encode_faces(model.motion_encoder, faces)[None]
        return model(**inputs(dtype), motion_hidden_states=motion(dtype), face_motion=face_motion).sample


def test_the_encoder_of_faces_is_the_twins(pack: Pack, tmp_path: Path) -> None:
    """The pack's motion encoder alone, in float32, gives its expanded twin's numbers of a face."""
    folder = ModelFolder(tmp_path, "animate", pack.types()[0], dict(pack.config), True, has_face=True, pack=pack)
    faces = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(6))
    expected = encode_faces(twin(pack, torch.float32).motion_encoder, faces)
    assert torch.equal(encode_faces(load_motion_encoder(folder), faces), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pack_equals_its_expanded_twin(pack: Pack, dtype: torch.dtype) -> None:
    """The output is that of the same model with expanded weights, bit for bit, and differs from other weights'."""
    found = drawn(load_pack(pack, dtype), dtype)
    assert found.isfinite().all()
    assert torch.equal(found, drawn(twin(pack, dtype), dtype))


def test_nothing_is_expanded(pack: Pack) -> None:
    """Every quantised linear keeps exactly its bytes of the file; the loaded parameters are the planned bytes."""
    model, planned = load_pack(pack), pack_bytes(pack, torch.bfloat16)
    assert sum(tensor.nbytes for tensor in model.parameters()) == planned.total
    assert sum(tensor.nbytes for tensor in model.blocks[0].parameters()) == planned.block
    for name, packed in pack.tensors.items():
        parameter = model.get_parameter(name)
        if packed.quantised:
            assert (parameter.dtype, parameter.nbytes) == (torch.uint8, packed.bytes)
        else:
            assert parameter.dtype == (torch.float32 if stays_float32(name) else torch.bfloat16)
    expected = 0 if "bf16" in pack.path.name else 32  # linears of two blocks and two face adapters
    assert sum(packed.quantised for packed in pack.tensors.values()) == expected
    assert model.motion_encoder.motion_synthesis_weight.dtype == torch.float32


@pytest.mark.parametrize("kind", [*tiny_packs.SCALE_BYTES, "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_expanding_agrees_with_the_package(kind: str) -> None:
    """diffusers' expansion, which computes in 16 bits, is within 2e-3 of the largest weight of the gguf package's."""
    from diffusers.quantizers.gguf.utils import GGUFParameter

    stored = gguf.GGMLQuantizationType[kind]
    values = torch.randn(8, 512, generator=torch.Generator().manual_seed(2)).numpy()
    data = tiny_packs.quantised(values, stored)
    reference = torch.from_numpy(gguf.quants.dequantize(data, stored))
    found = expand(GGUFParameter(torch.from_numpy(data), quant_type=stored)).float()
    assert (found - reference).abs().max() < 2e-3 * reference.abs().max()


def test_scaled_linear_moves_as_bytes() -> None:
    """A scaled linear survives `.to(bfloat16)` and a deep copy without a change of its 8 bits."""
    weight = torch.randn(4, 6).to(torch.float8_e4m3fn)
    layer = ScaledLinear(weight, 0.25, False, torch.float32)
    for moved in (copy.deepcopy(layer), copy.deepcopy(layer).to(torch.bfloat16)):
        assert moved.weight.dtype == torch.uint8
        assert torch.equal(moved.expanded(), weight.float() * 0.25)


def test_the_description_tells_what_the_file_is(originals: Any, tmp_path: Path) -> None:
    """Blocks, width, face modules, types by their bytes, size; the config is the model's."""
    pack = open_pack(tiny_packs.write_gguf(tmp_path / "a.gguf", originals, ("Q4_K", "Q6_K")))
    assert pack.describe() == "Wan-Animate in one file, 2 blocks of width 256, face modules, Q6_K, F16, Q4_K"
    assert pack.name == "wan-animate-gguf"
    assert dict(pack.config) == {**tiny_packs.CONFIG, **tiny_packs.FACE}
    assert pack.size_bytes == pytest.approx(pack.path.stat().st_size, rel=0.05)


def test_dropped_and_recorded_shapes_are_restored(originals: Any, tmp_path: Path) -> None:
    """Leading axes of length 1 that ggml drops, and a convolution flattened with its shape in a field, load the same;
    so does the prefix of a whole checkpoint."""
    plain = open_pack(tiny_packs.write_gguf(tmp_path / "plain.gguf", originals, ("Q8_0",)))
    dropped = {
        f"model.diffusion_model.{name}": tensor.reshape([side for side in tensor.shape if side != 1] or [1])
        if "modulation" in name or name.endswith(("padding_tokens", ".1.bias", ".2.bias"))
        else tensor
        for name, tensor in originals.items()
    }
    flat = "model.diffusion_model.pose_patch_embedding.weight"
    path = tiny_packs.write_gguf(tmp_path / "dropped.gguf", dropped, ("Q8_0",), flat)
    assert torch.equal(drawn(load_pack(open_pack(path), torch.float32), torch.float32),
                       drawn(load_pack(plain, torch.float32), torch.float32))  # fmt: skip


def damaged(tensors: dict[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    """The tensors with one fault."""
    kept = dict(tensors)
    if kind == "face":
        return {name: tensor for name, tensor in kept.items() if not name.startswith("face_encoder.")}
    if kind == "block":
        return {name: tensor for name, tensor in kept.items() if name != "blocks.1.ffn.2.weight"}
    if kind == "adapter":
        return {name: tensor for name, tensor in kept.items() if "fuser_blocks.0.linear1_kv" not in name}
    if kind == "shape":
        return {**kept, "blocks.1.ffn.0.bias": torch.zeros(256)}
    if kind == "channels":
        return {**kept, "patch_embedding.weight": torch.zeros(256, 16, 1, 2, 2)}
    if kind == "flat":
        return {**kept, "patch_embedding.weight": torch.zeros(256 * 36 * 4)}
    if kind == "encoder":
        return {name: tensor for name, tensor in kept.items() if name != "face_encoder.conv2.conv.weight"}
    if kind == "more":
        return {**kept, "vace_blocks.0.weight": torch.zeros(256, 256)}
    return {f"layers.{name}": tensor for name, tensor in kept.items()}


@pytest.mark.parametrize("suffix", ["gguf", "safetensors"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("face", "without face_encoder, so it is not Wan-Animate"),
        ("block", "lacks blocks.1.ffn.net.2.weight"),
        ("adapter", "lacks face_adapter.0.to_k.bias and 3 more tensors"),
        ("shape", "blocks.1.ffn.0.bias gives blocks.1.ffn.net.0.proj.bias the shape"),
        ("channels", "has 16 input channels, Wan-Animate has 36"),
        ("flat", "its shapes describe no Wan-Animate"),
        ("encoder", "lacks face_encoder.conv2.weight"),
        ("more", "does not have: vace_blocks.0.weight"),
        ("family", "is not a transformer of Wan"),
    ],
)
def test_another_model_is_one_line(originals: Any, tmp_path: Path, suffix: str, kind: str, said: str) -> None:
    """A file that lacks something, holds too much, or is another model, is refused by its header in one line."""
    path, tensors = tmp_path / f"a.{suffix}", damaged(originals, kind)
    if suffix == "gguf":
        tiny_packs.write_gguf(path, tensors, ("Q8_0",))
    else:
        tiny_packs.write_fp8(path, tensors)
    with pytest.raises(InputError, match=said) as error:
        open_pack(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["q8.gguf", "e4m3.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_cut_file_is_one_line(originals: Any, tmp_path: Path, name: str, share: float) -> None:
    """A file cut in its header or its weights, or empty, is refused in one line."""
    path = tmp_path / name
    write = tiny_packs.write_gguf if path.suffix == ".gguf" else tiny_packs.write_fp8
    write(path, originals, TYPES[name])
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"cut short|damaged") as error:
        open_pack(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks.0.ffn.0.scale_weight": None}, "blocks.0.ffn.0.weight is in 8 bits but .* is missing"),
        ({"blocks.0.ffn.0.scale_weight": torch.ones(512, 1)}, "scale_weight is not one number"),
        ({"blocks.0.ffn.0.weight": torch.zeros(512, 256, dtype=torch.int8)}, "is stored as I8"),
    ],
)
def test_a_bad_scale_is_one_line(originals: Any, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """An 8-bit weight needs exactly one number as its scale."""
    path = tmp_path / "a.safetensors"
    tiny_packs.write_fp8(path, originals, torch.float8_e4m3fn, change)
    with pytest.raises(InputError, match=said):
        open_pack(path)


def test_a_scale_of_nan_is_found_when_loading(originals: Any, tmp_path: Path) -> None:
    """A scale's value is read with the weights."""
    path, change = tmp_path / "a.safetensors", {"blocks.0.ffn.0.scale_weight": torch.tensor(float("nan"))}
    pack = open_pack(tiny_packs.write_fp8(path, originals, torch.float8_e4m3fn, change))
    with pytest.raises(InputError, match=r"blocks.0.ffn.0.scale_weight is nan"):
        load_pack(pack)


def test_without_the_package_the_message_names_the_extra(
    originals: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GGUF file without the package gguf is one line that says what to install; fp8 needs no package."""
    path = tiny_packs.write_gguf(tmp_path / "a.gguf", originals, ("Q8_0",))
    other = tiny_packs.write_fp8(tmp_path / "a.safetensors", originals)
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(InputError, match=r"pip install 'emosh\[gguf\]'"):
        open_pack(path)
    assert drawn(load_pack(open_pack(other), torch.float32), torch.float32).isfinite().all()


# ---- LoRA, placement, plan
def lora(path: Path) -> Path:
    """A LoRA of rank 4 as LightX2V's step distillation names it: lora_down and lora_up, a bias's difference."""
    from safetensors.torch import save_file

    generator, tensors = torch.Generator().manual_seed(1), {}
    for block in range(2):
        for name, (outside, inside) in {
            "self_attn.q": (256, 256),
            "cross_attn.v": (256, 256),
            "ffn.0": (512, 256),
        }.items():
            stem = f"diffusion_model.blocks.{block}.{name}"
            tensors[f"{stem}.lora_down.weight"] = 0.1 * torch.randn(4, inside, generator=generator)
            tensors[f"{stem}.lora_up.weight"] = 0.1 * torch.randn(outside, 4, generator=generator)
            tensors[f"{stem}.diff_b"] = 0.1 * torch.randn(outside, generator=generator)
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_lora_stays_beside_the_stored_weights(pack: Pack, dtype: torch.dtype, tmp_path: Path) -> None:
    """With a LoRA the output is that of the expanded twin with the same LoRA, bit for bit; it has the type of the
    products, its scale counts, and the weight below keeps its bytes."""
    model, expanded, path = load_pack(pack, dtype), twin(pack, dtype), lora(tmp_path / "lora.safetensors")
    plain = drawn(model, dtype)
    for each in (model, expanded):
        stack_lora(each, path, 0.7)
    found = drawn(model, dtype)
    assert torch.equal(found, drawn(expanded, dtype))
    assert not torch.equal(found, plain)
    layer = model.blocks[0].attn1.to_q
    assert layer.lora_A["lora_0"].weight.dtype == dtype
    assert layer.base_layer.weight.nbytes == pack_nbytes(pack, "blocks.0.attn1.to_q.weight", dtype)


def test_a_lora_can_be_switched_off_to_the_pack(pack: Pack, tmp_path: Path) -> None:
    """At scale 0 the output is the plain pack's: the LoRA was not added to the stored weights."""
    model = load_pack(pack, torch.float32)
    plain = drawn(model, torch.float32)
    stack_lora(model, lora(tmp_path / "lora.safetensors"), 0.0)
    assert torch.equal(drawn(model, torch.float32), plain)


def test_group_offload_changes_nothing(pack: Pack, tmp_path: Path) -> None:
    """Blocks brought in one after another, each with its LoRA, give the same bits, and stay as they are stored."""
    from stages.wan.offload import apply_placement

    class NoVae:
        def to(self, device: object) -> None: ...

    model = load_pack(pack, torch.float32)
    stack_lora(model, lora(tmp_path / "lora.safetensors"))
    plain = drawn(model, torch.float32)
    apply_placement(model, NoVae(), Placement(group_offload=True), "cpu", torch.float32)
    assert torch.equal(drawn(model, torch.float32), plain)
    kept = [parameter.nbytes for name, parameter in model.named_parameters() if name.endswith("ffn.net.2.weight")]
    assert kept == [pack_nbytes(pack, f"blocks.{block}.ffn.net.2.weight") for block in range(2)]


def pack_nbytes(pack: Pack, name: str, dtype: torch.dtype = torch.float32) -> int:
    """Bytes of the parameter as it is loaded."""
    packed = pack.tensors[name]
    return packed.bytes if packed.quantised else dtype.itemsize * torch.Size(packed.shape).numel()


@pytest.mark.parametrize(
    ("kind", "gigabytes", "offloaded"),
    [
        ("Q2_K", 6.2, {12: False, 16: False, 24: False}),
        ("Q3_K", 7.9, {12: True, 16: False, 24: False}),
        ("Q4_K", 10.2, {12: True, 16: False, 24: False}),
        ("Q8_0", 18.7, {12: True, 16: True, 24: False}),
        ("F8_E4M3", 17.6, {12: True, 16: True, 24: False}),
    ],
)
def test_the_real_size_is_planned_by_its_stored_bytes(kind: str, gigabytes: float, offloaded: dict[int, bool]) -> None:
    """Cards of 12, 16 and 24 GB hold the pack, or take it block by block from host memory, with the LoRA beside."""
    networks = Networks(DEFAULTS, VAE, WanConfig(num_inference_steps=6), pack=tiny_packs.published(kind))
    assert networks.transformer_bytes / 1e9 == pytest.approx(gigabytes, abs=0.05)
    assert 40 * networks.block_bytes + sum(networks.face_adapter_bytes) < networks.transformer_bytes
    assert len(networks.face_adapter_bytes) == 8
    assert 140e6 < networks.expansion_bytes < 600e6
    with_lora = Networks(networks.transformer, VAE, networks.wan, pack=networks.pack, lora_bytes=738_005_744)
    assert with_lora.transformer_bytes == networks.transformer_bytes + 738_005_744
    for vram, expected in offloaded.items():
        plan = choose_plan(with_lora, Clip(436, 512, 512), RunConfig(vram_gb=vram), 1e12, 60e9)
        assert (plan.placement.group_offload, plan.placement.fp8_storage) == (expected, False), vram
        assert plan.peak.peak_bytes < vram * 1e9


def test_a_card_that_is_too_small_is_told_of_smaller_files() -> None:
    """Where the host's memory does not hold the blocks, the advice is a smaller file, not 8-bit storage."""
    networks = Networks(DEFAULTS, VAE, WanConfig(), pack=tiny_packs.published("Q8_0"))
    with pytest.raises(InputError, match="take a smaller file, such as Q2_K"):
        choose_plan(networks, Clip(77, 512, 512), RunConfig(vram_gb=12), 1e12, 8e9)


@pytest.mark.parametrize(
    "option",
    [{"storage": "fp8"}, {"fp8_compute": True}, {"fuse_qkv": True}, {"compile": True}, {"context_parallel": "ulysses"}],
)
def test_options_that_rewrite_weights_are_refused(option: dict[str, Any]) -> None:
    """One line names the setting to change."""
    check_pack_options(RunConfig())
    with pytest.raises(InputError, match=rf"set wan_run.{next(iter(option))}="):
        check_pack_options(RunConfig(**option))


def test_other_files_are_no_packs(tmp_path: Path, originals: Any) -> None:
    """A LoRA is none; a safetensors file under Wan's names is one, quantised or not."""
    from safetensors.torch import save_file

    assert not is_pack(lora(tmp_path / "lora.safetensors"))
    assert not is_pack(tmp_path / "a.bin")
    save_file(originals, tmp_path / "plain.safetensors")
    assert is_pack(tmp_path / "plain.safetensors")
    assert open_pack(tmp_path / "plain.safetensors").describe().endswith("face modules, F32")
