"""What each shortcut of the diffusion model costs in error and saves in work, on the CPU with a small random model.

    python -m benchmarks.generate_options                   three minutes of one core
    python -m benchmarks.generate_options --steps 6 --blocks 2 [--write]

The error is that of a denoised chunk's latents, relative (root mean square) to the plain float32 run, the worse of a
first and a later chunk. Work is the share of blocks that really ran, seconds those of the CPU beside the plain run's:
they hold for `fuse_qkv`, `compile` and the caches, not for what only changes where weights lie or multiplies in 8 bits,
which a CPU emulates. Random weights keep a step near the one before, so caches skip more and lose less than on real
ones. Not shown, since only a GPU can: seconds there, other attentions, context parallel, offload's and 8 bits' speed
(`python -m benchmarks.gpu_generate`); nor, since only the published VAE can, what tiles and bf16 do to its pictures.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.card import TINY
from benchmarks.gpu_generate import Job, Size, inputs
from benchmarks.record import Column, Recorder, arguments
from emosh_cli.settings import resolve
from stages.wan.acceleration import calibrate_mag_cache, change_weights, speed_up, warm_up
from stages.wan.config import WanConfig
from stages.wan.cost import stays_float32
from stages.wan.denoise import denoise
from stages.wan.layout import Layout
from stages.wan.offload import apply_placement
from stages.wan.placement import Placement
from stages.wan.run_config import RunConfig
from stages.wan.transformer import EmoshTransformer3DModel

SEEMS = "random weights"
EMULATED = "a CPU's seconds say nothing"
OPTIONS: tuple[tuple[str, RunConfig, str], ...] = (
    ("fuse_qkv", RunConfig(fuse_qkv=True), ""),
    ("compile", RunConfig(compile=True), "inductor, both lengths warmed"),
    ("fp8_compute", RunConfig(fp8_compute=True), EMULATED),
    *(
        (f"cache=first_block {each:g}", RunConfig(cache="first_block", cache_threshold=each), SEEMS)
        for each in (0.05, 0.1)
    ),
)
PLACES = (
    ("offload=group", Placement(group_offload=True), EMULATED),
    ("storage=fp8", Placement(fp8_storage=True), EMULATED),
)
PRESETS = ("exact", "fast")
COLUMNS = (
    Column("option", "option"), Column("error", "error", "relative"), Column("work", "blocks that ran", "share", 2),
    Column("seconds", "CPU time", "share of the plain run's", 2), Column("note", "remark"),
)  # fmt: skip


def main() -> None:
    """Print and record a row per option."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    width = {"num_attention_heads": 4, "attention_head_dim": 64, "ffn_dim": 1024, "added_kv_proj_dim": 256}
    shape = {**TINY, **width, "num_layers": options.blocks}
    job = Job(torch.device("cpu"), (Size(128, 128, options.steps),), 17, shape, {}, 257, None, torch.float32)
    torch.manual_seed(0)
    plain = EmoshTransformer3DModel(**job.model).requires_grad_(False).eval()
    exact, seconds, _ = drawn(job, plain)
    what = "What each option of the diffusion model costs in error and saves in work, on a CPU with random weights."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for name, model, note in arms(job, plain):
            latents, took, blocks = drawn(job, model)
            error = max(relative(one, other) for one, other in zip(latents, exact, strict=True))
            share = blocks / (options.blocks * options.steps * 2) if blocks else None  # not counted where compiled
            found.row(
                option=name, error=f"{error:.1e}" if error else "0", work=share, seconds=took / seconds, note=note
            )
        found.note(f"{options.blocks} blocks of width 256, {options.steps} steps, a first and a later chunk: "
                   f"{seconds:.1f} CPU seconds plain.")  # fmt: skip
        found.note("Error is that of the denoised latents, relative to the plain float32 run.")
        found.note("Random weights keep a step near the one before, so a cache skips more and loses less than on real "
                   "ones.")  # fmt: skip


def arms(job: Job, plain: EmoshTransformer3DModel) -> Iterator[tuple[str, EmoshTransformer3DModel, str]]:
    """Name, model and remark of every option."""
    for name, run, note in OPTIONS:
        yield name, sped(job, plain, run), note
    ratios = calibrate_mag_cache(plain, job.sizes[0].steps, lambda: denoised(job, plain, job.slots))
    for threshold in (0.03, 0.06):
        run = RunConfig(cache="mag", cache_threshold=threshold, mag_ratios=ratios)
        yield f"cache=mag {threshold:g}, calibrated", sped(job, plain, run), SEEMS
    for name, placement, note in PLACES:
        model = copy.deepcopy(plain)
        apply_placement(model, nn.Identity(), placement, "cpu", torch.float32)
        yield name, model, note
    for dtype in (torch.bfloat16, torch.float16):
        yield f"dtype={str(dtype).removeprefix('torch.')}", stored(plain, dtype), EMULATED
    for preset in PRESETS:
        run = resolve(("wan_run",), [preset], [], {})["wan_run"]
        yield f"--config {preset}", sped(job, plain, run), SEEMS if run.cache != "none" else ""


def sped(job: Job, plain: EmoshTransformer3DModel, run: RunConfig) -> EmoshTransformer3DModel:
    """A copy with the option on, compiled where that was asked for."""
    model = copy.deepcopy(plain)
    torch._dynamo.reset()
    size = job.sizes[0]
    change_weights(model, run, "cpu")
    speed_up(model, run, size.steps)
    if run.compile:
        warm_up(model, (job.slots, job.anchored), size.height, size.width, "cpu", job.image_tokens)
    return model


def stored(plain: EmoshTransformer3DModel, dtype: torch.dtype) -> EmoshTransformer3DModel:
    """A copy in that type, with what diffusers keeps in float32."""
    model = copy.deepcopy(plain)
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data if stays_float32(name) else parameter.data.to(dtype)
    return model


def drawn(job: Job, model: EmoshTransformer3DModel) -> tuple[list[torch.Tensor], float, int]:
    """(latents of a first and a later chunk, CPU seconds, blocks that ran; 0 where they are compiled)."""
    calls: list[int] = []
    compiled = any(getattr(block, "_compiled_call_impl", None) is not None for block in model.blocks)
    watched = [] if compiled else model.blocks
    hooks = [block.norm2.register_forward_hook(lambda *_: calls.append(1)) for block in watched]
    began = time.process_time()
    latents = [denoised(job, model, slots) for slots in (job.slots, job.anchored)]
    seconds = time.process_time() - began
    for hook in hooks:
        hook.remove()
    return latents, seconds, len(calls)


def denoised(job: Job, model: Any, slots: Layout) -> torch.Tensor:
    """One chunk of fixed noise, conditions and motion."""
    size = job.sizes[0]
    given = inputs(job, size, slots)
    return denoise(model, *given, WanConfig(num_inference_steps=size.steps), slots.lead)


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Root-mean-square difference over root mean square."""
    return float((found - exact).norm() / exact.norm())


if __name__ == "__main__":
    main()
