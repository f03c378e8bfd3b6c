"""Each shortcut against the exact result, on tiny weights with and without a face; each trap of the libraries
caught."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from stages.errors import InputError
from stages.wan.acceleration import (
    cache_config,
    calibrate_mag_cache,
    change_weights,
    check_runnable,
    fold_adapters,
    speed_up,
    warm_up,
)
from stages.wan.config import WanConfig
from stages.wan.denoise import Embeddings, FaceMotion, denoise, noise
from stages.wan.face_modules import AnimateTransformer3DModel
from stages.wan.fp8_linear import Fp8Linear, multiply_in_float32, replace_linears
from stages.wan.layout import chunk_frames, condition, layout
from stages.wan.offload import apply_placement, explained_out_of_memory
from stages.wan.plan import BLOCKS_ON_CARD, Networks, Placement, resident_bytes
from stages.wan.run_config import RunConfig
from stages.wan.transformer import EmoshTransformer3DModel
from tests.wan.tiny import FACE, TRANSFORMER, moved

FIRST, LATER = layout(9, 5, True, True), layout(9, 5, False, True)
CONFIG = WanConfig(num_inference_steps=6)


@pytest.fixture(scope="module", params=["motion alone", "with a face"])
def transformer(request: pytest.FixtureRequest) -> EmoshTransformer3DModel:
    """Four tiny blocks, a face after the first and the third; tests take copies."""
    torch.manual_seed(0)
    config = {**TRANSFORMER, "num_layers": 4}
    if request.param == "motion alone":
        return EmoshTransformer3DModel(**config).requires_grad_(False).eval()
    model = AnimateTransformer3DModel(**config, **{**FACE, "inject_face_latents_blocks": 2})
    moved(model.face_encoder)
    return model.requires_grad_(False).eval()


def drawn(model: Any, slots: Any = FIRST, config: WanConfig = CONFIG) -> torch.Tensor:
    """One denoised chunk of fixed noise, conditions and motion, and of a fixed face where the model has one."""
    seeded = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=seeded)

    known = condition(
        slots, random(1, 16, 1, 8, 8), random(1, 16, 1, 8, 8) if slots.anchor else None,
        random(1, 16, slots.video, 8, 8),
    )  # fmt: skip
    guide = Embeddings(random(1, 512, 32), random(1, 17, 32))
    start, motion = noise(slots, 8, 8, seeded), random(1, 16, slots.video, 8, 8)
    faces = None
    if isinstance(model, AnimateTransformer3DModel):
        faces = FaceMotion(random(1, chunk_frames(slots), FACE["motion_encoder_dim"]), random(1, 1, 16))
    return denoise(model, start, known, motion, guide, config, slots.lead, faces=faces)


def error(model: Any, exact: torch.Tensor, slots: Any = FIRST) -> float:
    """Relative root-mean-square difference from the exact latents."""
    return float((drawn(model, slots) - exact).norm() / exact.norm())


def test_one_product_for_query_key_value_changes_nothing(transformer: EmoshTransformer3DModel) -> None:
    """fuse_qkv gives the same latents up to float32 rounding, and keeps no weight twice."""
    model = copy.deepcopy(transformer)
    assert change_weights(model, RunConfig(fuse_qkv=True), "cpu") == ["query, key and value in one product"]
    assert error(model, drawn(transformer)) < 1e-5
    assert model.num_parameters() == transformer.num_parameters()


def test_compiled_blocks_have_no_break_and_stay_exact(transformer: EmoshTransformer3DModel) -> None:
    """The block traces whole, at both lengths, and gives the same latents (traced by dynamo, run eagerly)."""
    model = copy.deepcopy(transformer)
    model.compile_repeated_blocks(fullgraph=True, backend="eager")
    features = FACE["motion_encoder_dim"] if isinstance(model, AnimateTransformer3DModel) else 0
    warm_up(model, (FIRST, LATER), 64, 64, "cpu", image_tokens=17, face_features=features)
    with torch.compiler.set_stance("fail_on_recompile"):
        for slots in (FIRST, LATER):
            assert error(model, drawn(transformer, slots), slots) < 1e-5


@pytest.mark.parametrize("threshold", [0.02, 0.2])
def test_the_first_block_cache_is_empty_at_every_chunk(transformer: EmoshTransformer3DModel, threshold: float) -> None:
    """Chunks of another length, and another picture after the first, come out as from a fresh cache."""
    run = RunConfig(cache="first_block", cache_threshold=threshold)
    used, fresh = copy.deepcopy(transformer), copy.deepcopy(transformer)
    for model in (used, fresh):
        speed_up(model, run, 6)
    drawn(used, FIRST)
    assert torch.equal(drawn(used, LATER), drawn(fresh, LATER))
    assert torch.equal(drawn(used, FIRST), drawn(used, FIRST))


@pytest.mark.parametrize(("preset", "tolerance"), [("exact", 1e-5), ("fast", 0.02)])
def test_presets_stay_within_their_tolerance(
    transformer: EmoshTransformer3DModel, preset: str, tolerance: float
) -> None:
    """What the presets exact and fast switch on, compiling apart, keeps the latents as near as they say."""
    from dataclasses import replace

    from emosh_cli.settings import resolve

    run = replace(resolve(("wan_run",), [preset], [], {})["wan_run"], compile=False)
    model = copy.deepcopy(transformer)
    change_weights(model, run, "cpu")
    speed_up(model, run, 6)
    found = error(model, drawn(transformer))
    assert found < tolerance, f"{preset}: {found:.2e}"


def test_the_first_block_cache_saves_more_the_more_it_may(transformer: EmoshTransformer3DModel) -> None:
    """With the threshold the work falls and the error grows; at the least threshold nothing changes."""
    exact, blocks, errors = drawn(transformer), [], []
    for threshold in (1e-9, 0.3, 0.9):
        model = copy.deepcopy(transformer)
        speed_up(model, RunConfig(cache="first_block", cache_threshold=threshold), 6)
        calls = _calls(model)
        errors.append(error(model, exact))
        blocks.append(len(calls))
    assert blocks[0] == 4 * 6
    assert errors[0] < 1e-5
    assert blocks[0] > blocks[-1]
    assert errors[-1] >= errors[0]
    assert max(errors) < 1.0


def _calls(model: Any) -> list[int]:
    """Grows by one for every block that really runs."""
    calls: list[int] = []
    for block in model.blocks:
        block.norm2.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_mag_cache_is_calibrated_and_skips(transformer: EmoshTransformer3DModel) -> None:
    """A calibration run gives one ratio a step and the exact latents; with them, steps are skipped."""
    model, got = copy.deepcopy(transformer), []
    ratios = calibrate_mag_cache(model, 6, lambda: got.append(drawn(model)))
    assert len(ratios) == 6
    assert torch.equal(got[0], drawn(transformer))
    run = RunConfig(cache="mag", mag_ratios=ratios, cache_threshold=0.5)
    speed_up(model, run, 6)
    calls = _calls(model)
    assert error(model, drawn(transformer)) < 1.0
    assert len(calls) < 4 * 6
    with pytest.raises(InputError, match="mag_ratios has 6 numbers for 4 steps"):
        cache_config(run, 4)


def test_eight_bit_products_equal_their_slow_twin() -> None:
    """Fp8Linear is the reference's rounding, multiplied; its own error on random numbers is below 5 %."""
    torch.manual_seed(1)
    linear = torch.nn.Linear(64, 48).to(torch.bfloat16).requires_grad_(False)
    given = torch.randn(40, 64, dtype=torch.bfloat16)
    ours, twin, exact = Fp8Linear(linear)(given).float(), multiply_in_float32(linear, given), linear(given).float()
    assert torch.allclose(ours, twin, atol=0.02, rtol=0.01)
    assert float((ours - exact).norm() / exact.norm()) < 0.05
    assert Fp8Linear(linear)(given[None]).shape == (1, 40, 48)


def test_eight_bit_products_on_the_model(transformer: EmoshTransformer3DModel) -> None:
    """All 12 linears of a block take part; a denoised chunk is within 10 % of the exact one."""
    model = copy.deepcopy(transformer)
    assert replace_linears(copy.deepcopy(transformer).blocks) == 4 * 12
    assert change_weights(model, RunConfig(fp8_compute=True), "cpu") == ["48 linears in 8 bits"]
    assert 0 < error(model, drawn(transformer)) < 0.1


def test_a_torch_without_eight_bit_products_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.11 on the CPU takes one scale for all rows only: one line with the setting to change, before any weight
    is loaded."""

    def asserted(*given: object, **named: object) -> None:
        raise RuntimeError("INTERNAL ASSERT FAILED. Now _scaled_mm only supports per-tensor")

    monkeypatch.setattr(torch, "_scaled_mm", asserted)
    with pytest.raises(InputError, match=r"on the CPU does not multiply in 8 bits.*wan_run\.fp8_compute=false"):
        check_runnable(RunConfig(fp8_compute=True), 20, 40, "cpu")


def test_eight_bit_storage_on_the_model(transformer: EmoshTransformer3DModel) -> None:
    """Layerwise casting leaves norms, patch embeddings and the face encoder as they are, and stores the face adapters
    in 8 bits too; a chunk is within 10 % of the exact one."""
    model = copy.deepcopy(transformer)
    apply_placement(model, _NoVae(), Placement(fp8_storage=True), "cpu", torch.float32)
    assert model.blocks[0].ffn.net[2].weight.dtype == torch.float8_e4m3fn
    assert model.pose_patch_embedding.weight.dtype == torch.float32
    assert model.blocks[0].scale_shift_table.dtype == torch.float32
    if isinstance(model, AnimateTransformer3DModel):
        assert model.face_adapter[1].to_v.weight.dtype == torch.float8_e4m3fn
        assert {parameter.dtype for parameter in model.face_encoder.parameters()} == {torch.float32}
    assert 0 < error(model, drawn(transformer)) < 0.1


def test_group_offload_changes_nothing(transformer: EmoshTransformer3DModel) -> None:
    """Blocks brought in one after another give the same bits, at both lengths."""
    model = copy.deepcopy(transformer)
    apply_placement(model, _NoVae(), Placement(group_offload=True), "cpu", torch.float32)
    for slots in (FIRST, LATER):
        assert torch.equal(drawn(model, slots), drawn(transformer, slots))


def test_group_offload_holds_what_is_planned(
    transformer: EmoshTransformer3DModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block and every face adapter is a group of its own, brought in for its turn: at the worst moment the card
    holds what the plan says, less the block that a stream would bring in ahead."""
    from diffusers.hooks.group_offloading import ModuleGroup

    model, held, peaks, groups = copy.deepcopy(transformer), {}, [], set()

    def bytes_of(group: ModuleGroup) -> int:
        tensors = {id(each): each for module in group.modules for each in module.parameters()}
        tensors |= {id(each): each for each in group.parameters}
        return sum(each.nbytes for each in tensors.values())

    def onload(group: ModuleGroup) -> None:
        held[id(group)] = bytes_of(group)
        peaks.append(sum(held.values()))
        groups.update(id(module) for module in group.modules)

    apply_placement(model, _NoVae(), Placement(group_offload=True), "cpu", torch.float32)
    monkeypatch.setattr(ModuleGroup, "onload_", onload)
    monkeypatch.setattr(ModuleGroup, "offload_", lambda group: held.pop(id(group)))
    drawn(model)
    face = isinstance(model, AnimateTransformer3DModel)
    assert {id(block) for block in [*model.blocks, *(model.face_adapter if face else ())]} < groups
    networks = Networks(dict(model.config), {}, WanConfig(dtype="float32"), face=face)
    others = (BLOCKS_ON_CARD - 1) * networks.block_bytes
    assert max(peaks) == resident_bytes(networks, Placement(group_offload=True)) - others
    assert not held


@pytest.mark.parametrize("fp8", [False, True])
def test_fused_projections_go_where_the_blocks_go(transformer: EmoshTransformer3DModel, fp8: bool) -> None:
    """fuse_qkv with offload and with 8-bit storage: the fused weights are offloaded and stored like all others."""
    model, run = copy.deepcopy(transformer), RunConfig(fuse_qkv=True)
    change_weights(model, run, "cpu")
    apply_placement(model, _NoVae(), Placement(group_offload=True, fp8_storage=fp8), "cpu", torch.float32)
    speed_up(model, run, 6)
    assert model.blocks[1].attn1.to_qkv.weight.dtype == (torch.float8_e4m3fn if fp8 else torch.float32)
    assert error(model, drawn(transformer)) < (0.1 if fp8 else 1e-5)


class _NoVae:
    """Where only the transformer's placement is looked at."""

    def to(self, device: object) -> None: ...


def test_the_vae_is_tiled_when_asked() -> None:
    """A placement with tiles turns them on."""
    from diffusers import AutoencoderKLWan

    from tests.wan.tiny import VAE

    vae = AutoencoderKLWan(**VAE)
    apply_placement(torch.nn.Identity(), vae, Placement(vae_tiling=True), "cpu", torch.float32)
    assert vae.use_tiling


def test_adapters_are_folded_in_before_weights_are_read(transformer: EmoshTransformer3DModel) -> None:
    """With a LoRA on, fused products give the adapter's result, not the bare model's."""
    from peft import LoraConfig

    torch.manual_seed(2)
    adapted = copy.deepcopy(transformer)
    adapted.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights=False), adapter_name="ours")
    adapted.requires_grad_(False)
    wanted = drawn(adapted)
    assert float((wanted - drawn(transformer)).abs().max()) > 1e-3
    done = change_weights(adapted, RunConfig(fuse_qkv=True), "cpu")
    assert done[0] == "adapters folded in: ours"
    assert float((drawn(adapted) - wanted).abs().max()) < 1e-3
    assert fold_adapters(adapted) == []


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (RunConfig(attention="no_such"), "attention no_such cannot be used here"),
        (RunConfig(attention="sage"), "attention sage cannot be used here"),
        (RunConfig(context_parallel="ulysses"), "needs several processes: torchrun"),
    ],
)
def test_what_this_machine_lacks_is_one_line(
    transformer: EmoshTransformer3DModel, run: RunConfig, expected: str
) -> None:
    """An unknown or absent attention, and splitting without torchrun, are refused with what to set instead."""
    with pytest.raises(InputError, match=expected):
        speed_up(copy.deepcopy(transformer), run, 6)


def test_out_of_memory_names_the_option() -> None:
    """Running out of card memory is one line that names the next option that needs less."""
    wanted = {Placement(): "vae_tiling=on", Placement(vae_tiling=True): "offload=group",
              Placement(True, False, True): "storage=fp8", Placement(True, True, True): "--size 384x384"}  # fmt: skip
    for placement, option in wanted.items():
        with pytest.raises(InputError, match=option), explained_out_of_memory(placement, "decoding chunk 2"):
            raise torch.OutOfMemoryError("CUDA out of memory")
    packed = explained_out_of_memory(Placement(True, False, True), "decoding chunk 2", packed=True)
    with pytest.raises(InputError, match="--size 384x384"), packed:
        raise torch.OutOfMemoryError("a quantised single file refuses storage=fp8")
