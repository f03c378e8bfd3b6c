"""What a clip will need, counted before any weight is loaded, at the real model's size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.record import RESULTS, read
from stages.errors import InputError
from stages.wan.config import WanConfig
from stages.wan.cost import (
    LiveBytes,
    _count_vae,
    meta_inputs,
    meta_transformer,
    parameter_bytes,
    transformer_operations,
    transformer_peak_bytes,
    vae_costs,
)
from stages.wan.device_speeds import DEVICES, known_device, measured_device
from stages.wan.folder import ModelFolder
from stages.wan.layout import layout
from stages.wan.machine import free_host_bytes, plan_for_device
from stages.wan.plan import Clip, Networks, Placement, choose_plan, make_plan, resident_bytes
from stages.wan.run_config import NO_EFFECT, RunConfig
from tests.wan.tiny import VAE

REAL: dict[str, Any] = {
    "num_attention_heads": 40, "attention_head_dim": 128, "in_channels": 36, "out_channels": 16, "text_dim": 4096,
    "freq_dim": 256, "ffn_dim": 13824, "num_layers": 40, "image_dim": 1280, "added_kv_proj_dim": 5120,
    "patch_size": (1, 2, 2),
}  # fmt: skip
FIRST, LATER = layout(77, 5, True, True), layout(77, 5, False, True)
CLIP = Clip(436, 512, 512)


@pytest.fixture(scope="module")
def networks() -> Networks:
    """The real model's configs, with the tiny VAE's where the VAE does not matter: it counts in a tenth of the time."""
    return Networks(REAL, VAE, WanConfig(), {"CLIP": 2_530_000_000, "UMT5": 0})


@pytest.mark.parametrize(
    ("slots", "face", "teraflop"), [(FIRST, False, 909.8), (LATER, False, 971.9), (FIRST, True, 928.0)]
)
def test_operations_are_the_flop_counter_s(slots: Any, face: bool, teraflop: float) -> None:
    """The formula equals torch's FlopCounterMode over the real 40 blocks on the meta device, to the operation."""
    from torch.utils.flop_counter import FlopCounterMode

    model = meta_transformer(REAL, torch.bfloat16, face)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**meta_inputs(REAL, slots, 512, 512, torch.bfloat16, face))
    formula = transformer_operations(REAL, slots, 512, 512, face)
    assert formula.total == counter.get_total_flops()
    assert formula.total / 1e12 == pytest.approx(teraflop, abs=0.05)


def test_weights_are_those_of_the_real_model(networks: Networks) -> None:
    """16.395 G parameters are 32.85 GB in bf16 with float32 norms, and half of that with the blocks in 8 bits."""
    model = meta_transformer(REAL, torch.bfloat16)
    assert sum(parameter.numel() for parameter in model.parameters()) == 16_395_211_584
    assert networks.transformer_bytes == parameter_bytes(model)
    assert networks.transformer_bytes / 1e9 == pytest.approx(32.85, abs=0.01)
    assert networks.fp8_bytes / 1e9 == pytest.approx(16.64, abs=0.15)


def test_a_face_is_in_the_plan() -> None:
    """A clip with a face: 34.61 GB in bf16, 17.6 with 8-bit storage, SAC off unless it is asked for, and an encoder of
    faces that runs once per frame: 3.0 TFLOP for 77."""
    networks = Networks(REAL, VAE, WanConfig(), face=True)
    assert networks.transformer_bytes / 1e9 == pytest.approx(34.61, abs=0.01)
    assert networks.fp8_bytes / 1e9 == pytest.approx(17.6, abs=0.1)
    assert [size / 1e6 for size in networks.face_adapter_bytes] == pytest.approx([209.8] * 8, abs=0.1)
    plan = make_plan(networks, CLIP, Placement(), known_device("NVIDIA H200"))
    steps = {step.name: step for step in plan.steps}
    assert steps["step of a later chunk (21 slots)"].operations / 1e12 == pytest.approx(928.0, abs=0.05)
    face = steps["encoding the face of a frame"]
    assert face.times == CLIP.frames
    assert 77 * face.operations / 1e12 == pytest.approx(3.02, abs=0.01)
    assert "encoder of faces: 0.09 GB" in "\n".join(plan.lines())
    anchored = make_plan(Networks(REAL, VAE, WanConfig(sac=True), face=True), CLIP, Placement())
    assert any(step.name == "step of a later chunk (22 slots)" for step in anchored.steps)


def test_the_plan_is_what_an_h200_measured() -> None:
    """Against benchmarks/results/gpu_generate.json: a step with a face within 1 % of the seconds and 3 % of the memory,
    at three sizes and with offload; the VAE within 5 % of both."""
    card, networks = known_device("NVIDIA H200"), Networks(REAL, {}, WanConfig(), face=True)
    rows = {
        (row["name"], row["size"]): (row["step"], row["memory_gb"])
        for row in read(RESULTS / "gpu_generate.json").rows
    }  # fmt: skip
    cases = [("exact", 512, 512), ("exact", 832, 480), ("exact", 1280, 720), ("offload", 512, 512)]
    for name, width, height in cases:
        plan = make_plan(networks, Clip(77, height, width), Placement(group_offload=name == "offload"), card)
        step = next(step for step in plan.steps if step.name.startswith("step of chunk 1"))
        seconds, memory = rows[name, f"{width}x{height}"]
        assert step.seconds == pytest.approx(seconds, rel=0.01), (name, width)
        assert step.peak_bytes / 1e9 == pytest.approx(memory, rel=0.03), (name, width)
    steps = {step.name: step for step in make_plan(networks, Clip(77, 512, 512), Placement(), card).steps}
    encoding, decoding = steps["encoding a chunk of the condition map"], steps["decoding a chunk"]
    away = networks.transformer_bytes
    for step, name, held in ((encoding, "encode", 0), (decoding, "decode", away)):
        seconds, memory = rows[f"VAE {name}, float32", "512x512"]
        assert step.seconds == pytest.approx(seconds, rel=0.05), name
        assert (step.peak_bytes - held) / 1e9 == pytest.approx(memory, rel=0.05), name


def test_offload_takes_the_face_adapters_along() -> None:
    """With offload, some blocks and one face adapter are on the card: the plan with a face needs one adapter and the
    two encoders of the face more."""
    plain, face = (Networks(REAL, VAE, WanConfig(sac=False), face=each) for each in (False, True))
    more = resident_bytes(face, Placement(group_offload=True)) - resident_bytes(plain, Placement(group_offload=True))
    assert more == face.transformer_bytes - plain.transformer_bytes - sum(face.face_adapter_bytes[1:])
    assert more / 1e6 == pytest.approx(291, abs=1)


def test_a_face_is_not_split_over_cards(tmp_path: Path) -> None:
    """Context parallel with a face is refused with the setting to change, before anything is measured or loaded."""
    folder = ModelFolder(tmp_path, "animate", "F32", REAL, has_motion_embedding=True, has_face=True)
    run = RunConfig(context_parallel="ulysses")
    with pytest.raises(InputError, match=r"clip with a face cannot be split.*wan_run\.context_parallel=none"):
        plan_for_device(folder, CLIP, WanConfig(), run, "cpu", face=True)


def test_activations_do_not_grow_with_the_blocks() -> None:
    """Two counted blocks hold as much at their worst moment as the real 40, within weights and inputs left out."""
    assert transformer_peak_bytes(REAL, LATER, 512, 512) == transformer_peak_bytes(REAL, LATER, 512, 512, blocks=40)
    per_token = transformer_peak_bytes(REAL, LATER, 512, 512) / (LATER.tokens(512, 512) * 5120 * 2)
    assert 8 < per_token < 14


def test_live_bytes_are_what_python_holds() -> None:
    """Ten kilobytes made and dropped in turn are ten at the peak; made and kept they add up."""
    with LiveBytes([]) as live:
        for _ in range(5):
            kept = torch.empty(2560, device="meta")
    assert live.peak in (10_240, 20_480)
    with LiveBytes([]) as live:
        kept = [torch.empty(2560, device="meta") for _ in range(5)]
    assert live.peak == 51_200
    assert len(kept) == 5


def test_the_vae_s_cost_grows_by_the_frame() -> None:
    """Two short clips foretell operations and memory of a longer one, of the real VAE."""
    for short, long in zip(
        vae_costs({}, 25, 64, 64, torch.float32), _count_vae({}, 25, 64, 64, torch.float32), strict=True
    ):
        assert short.operations == pytest.approx(long.operations, rel=1e-9)
        assert short.peak_bytes == pytest.approx(long.peak_bytes, rel=0.01)


def test_tiles_are_bounded_above() -> None:
    """The peak foretold for tiles is not below the counted one, and far below that of the whole picture."""
    foretold = vae_costs({}, 5, 320, 256, torch.float32, tiling=True)
    counted = _count_vae({}, 5, 320, 256, torch.float32, tiling=True)
    whole = vae_costs({}, 5, 320, 256, torch.float32)
    for ours, true, full in zip(foretold, counted, whole, strict=True):
        assert true.peak_bytes <= ours.peak_bytes < 1.6 * true.peak_bytes
        assert ours.peak_bytes < full.peak_bytes
        assert ours.operations == pytest.approx(true.operations, rel=0.02)


def test_a_plan_names_every_step(networks: Networks) -> None:
    """436 frames are 6 chunks: 20 steps of 21 slots, 100 of 22, 6 decodings, 5 encodings of an overlap; the sum of the
    steps is the plan's time."""
    plan = make_plan(networks, CLIP, Placement(), known_device("NVIDIA H200"))
    steps = {step.name: step for step in plan.steps}
    assert steps["step of chunk 1 (21 slots)"].times == 20
    assert steps["step of a later chunk (22 slots)"].times == 100
    assert steps["decoding a chunk"].times == 6
    assert steps["encoding the overlap for the next chunk"].times == 5
    assert plan.seconds == pytest.approx(sum(step.times * (step.seconds or 0) for step in plan.steps))
    denoising = steps["step of a later chunk (22 slots)"]
    assert denoising.peak_bytes > networks.transformer_bytes + networks.vae_bytes
    assert "UMT5: 0.00 GB, not loaded" in "\n".join(plan.lines())
    assert plan.line().count("\n") == 0
    assert "6 chunks" in plan.line()


def test_guidance_and_no_sac_change_the_plan() -> None:
    """Guidance doubles the passes; without SAC a later chunk has 21 slots."""
    plan = make_plan(Networks(REAL, VAE, WanConfig(guidance_scale=2.0, sac=False)), CLIP, Placement())
    steps = {step.name: step for step in plan.steps}
    assert steps["step of a later chunk (21 slots)"].times == 200
    assert plan.seconds is None
    assert "time unknown" in plan.line()


@pytest.mark.parametrize(
    ("card", "host", "offload", "fp8"),
    [(80, 64, False, False), (24, 64, True, False), (24, 20, False, True), (12, 20, True, True)],
)
def test_the_card_decides_where_the_weights_live(
    networks: Networks, card: float, host: float, offload: bool, fp8: bool
) -> None:
    """80 GB hold all; 24 GB take blocks from host memory where it is large enough, else 8 bits; 12 GB take both."""
    plan = choose_plan(networks, CLIP, RunConfig(vram_gb=card), 0, host * 1e9, known_device("NVIDIA GeForce RTX 4090"))
    assert plan.peak.peak_bytes <= card * 1e9
    assert (plan.placement.group_offload, plan.placement.fp8_storage) == (offload, fp8)


def test_what_does_not_fit_is_one_line(networks: Networks) -> None:
    """Too small a card, or too little host memory, is refused with the number needed and the option to change."""
    with pytest.raises(InputError, match=r"2\.0 GB of memory are not enough.*render-cond --size"):
        choose_plan(networks, CLIP, RunConfig(vram_gb=2), 0, 64e9)
    with pytest.raises(InputError, match=r"not enough.*wan_run\.offload=auto"):
        choose_plan(networks, CLIP, RunConfig(vram_gb=24, offload="none", storage="full"), 0, 64e9)
    with pytest.raises(InputError, match="GB of host memory"):
        choose_plan(networks, CLIP, RunConfig(vram_gb=24, offload="group"), 0, 1e9)


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    """In a container, free memory is what its limit leaves, cached files included; without a limit it is the host's."""
    host = free_host_bytes(tmp_path / "none")
    for name, text in (("max", "2000000"), ("current", "1500000"), ("stat", "anon 5\ninactive_file 300000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert free_host_bytes(tmp_path) == 800_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_host_bytes(tmp_path) == pytest.approx(host, rel=0.5)


def test_cards_are_found_by_name() -> None:
    """An H200 is not an H20, a card may be typed without spaces, an unlisted one has no row, and this machine's own
    rate can be measured."""
    rows = {"NVIDIA H200": "H200", "NVIDIA H20": "H20", "NVIDIA H100 80GB HBM3": "H100", "rtx4090": "RTX 4090",
            "RTXPRO6000": "RTX PRO 6000", "Voodoo 2": None}  # fmt: skip
    assert {name: device.match if (device := known_device(name)) else None for name in rows} == rows
    assert all(device.source for device in DEVICES)
    assert measured_device("cpu", size=256).matmul > 1e8


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        *(({"cache": name}, "is refused") for name in NO_EFFECT),
        ({"cache": "first"}, "expected one of: none, first_block, mag"),
        ({"offload": "cpu"}, "expected one of: auto, none, group"),
        ({"vram_gb": 0.0}, "above 0"),
        ({"cache": "mag"}, "needs mag_ratios"),
        ({"cache_threshold": 1.0}, "between 0 and 1"),
        ({"fp8_compute": True, "storage": "fp8"}, "already stores its weights in 8 bits"),
        ({"fp8_compute": True, "offload": "group"}, "keeps its weights on the card"),
        ({"context_parallel": "ring", "cache": "first_block"}, "does not work with"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(changes: dict[str, Any], expected: str) -> None:
    """What has no effect on Wan, or cannot go together, is one line with the reason."""
    with pytest.raises(InputError, match=expected):
        RunConfig(**changes)
