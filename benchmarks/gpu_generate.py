"""The diffusion model on a GPU: seconds per step and per chunk, share of the card's own matrix rate, peak memory.

    python -m benchmarks.gpu_generate                       the real 14B shapes, random bf16 weights made on the card
    python -m benchmarks.gpu_generate --weights FOLDER      the same with real weights (for --calibrate)
    python -m benchmarks.gpu_generate --calibrate           one ratio per step for [wan_run] cache = "mag"
    python -m benchmarks.gpu_generate --tiny                every line of this script on the CPU, in seconds
    python -m benchmarks.gpu_generate --write               keep the rows in benchmarks/results, for the page

512x512, 77 frames, 20 steps, in one run and one after another, each row printed and written (--out) as it is measured:
the preset `exact`, diffusers' `WanAnimatePipeline`, the preset `fast`, the VAE. What does not fit is said and left out.
The card's rate is timed first (8192 x 8192 bf16), so that shares are of what it really does. Aims: `exact` within 1.25
of the floor (all operations at that rate), and 1.5 times as fast as the pipeline. Random weights cost what real ones
cost, except under a cache, whose skips depend on them: those rows say so.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import Column, Recorder, arguments
from emosh_cli.settings import resolve
from stages.errors import InputError
from stages.wan import vae as codec
from stages.wan.acceleration import calibrate_mag_cache, speed_up, warm_up
from stages.wan.config import WanConfig
from stages.wan.cost import transformer_operations
from stages.wan.denoise import Embeddings, denoise, noise
from stages.wan.device_speeds import measured_device
from stages.wan.layout import Layout, condition, layout
from stages.wan.machine import DEFAULTS
from stages.wan.run_config import RunConfig
from stages.wan.transformer import EmoshTransformer3DModel

FLOOR_AIM, PIPELINE_AIM = 1.25, 1.5
STATED_RATE = 790e12
"""Operations per second that the aim of 23.0 s was stated at."""
ARMS = ("exact", "pipeline", "fast", "vae")
"""In order of worth: a run that is stopped has answered the first questions."""
TRANSFORMER: dict[str, Any] = DEFAULTS
"""The 14B model's."""
TINY: dict[str, Any] = {
    **TRANSFORMER, "num_attention_heads": 2, "attention_head_dim": 16, "text_dim": 32, "freq_dim": 32, "ffn_dim": 64,
    "num_layers": 2, "image_dim": 32, "added_kv_proj_dim": 32,
}  # fmt: skip
TINY_FACE: dict[str, Any] = {
    "motion_encoder_channel_sizes": {"4": 16, "8": 16, "16": 16}, "motion_encoder_size": 16, "motion_style_dim": 16,
    "motion_dim": 4, "motion_encoder_dim": 16, "face_encoder_hidden_dim": 16, "face_encoder_num_heads": 2,
    "inject_face_latents_blocks": 1,
}  # fmt: skip
TINY_VAE: dict[str, Any] = {
    "base_dim": 3, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}  # fmt: skip


COLUMNS = (
    Column("name", "arrangement"), Column("step_1", "step of chunk 1", "s", 3), Column("chunk_1", "chunk 1", "s", 2),
    Column("step_later", "step of a later chunk", "s", 3), Column("chunk_later", "a later chunk", "s", 2),
    Column("share", "share of the matrix rate", "%", 0), Column("peak_gb", "peak memory", "GB"),
    Column("said", "remark"),
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What is drawn, and how large the model is."""

    device: torch.device
    dtype: torch.dtype
    size: int
    frames: int
    steps: int
    model: dict[str, Any]
    face: dict[str, Any]
    vae: dict[str, Any]
    image_tokens: int
    weights: Path | None

    @property
    def layouts(self) -> tuple[Layout, Layout]:
        """Of the first and of a later chunk."""
        return layout(self.frames, 5, True, True), layout(self.frames, 5, False, True)


@dataclass(frozen=True)
class Row:
    """One arrangement. Seconds of a step are the median's; those of a chunk are all steps'."""

    name: str
    step_1: float
    chunk_1: float
    step_later: float | None
    chunk_later: float | None
    share: float
    peak_gb: float
    said: str


def main() -> None:
    """Print a row per arrangement, and write them as JSON if asked."""
    parser = arguments(__doc__)
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="a diffusers folder instead of random weights")
    parser.add_argument("--only", nargs="+", choices=ARMS, metavar="NAME")
    parser.add_argument("--calibrate", action="store_true", help="print mag_ratios and stop")
    parser.add_argument("--out", type=Path, metavar="JSON")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        sys.exit("no GPU is here: this benchmark needs one with about 45 GB free; --tiny runs all of it on the CPU")
    job = described(options)
    if options.calibrate:
        print("mag_ratios =", list(calibrated(job)))
        return
    record(job, report(job, options.only or ARMS, options.out), options)


def described(options: argparse.Namespace) -> Job:
    """The real job, or the tiny one."""
    if options.tiny:
        model, face, vae = TINY, TINY_FACE, TINY_VAE
        return Job(torch.device("cpu"), torch.bfloat16, 64, 9, 2, model, face, vae, 17, options.weights)
    return Job(torch.device("cuda"), torch.bfloat16, 512, 77, options.steps, TRANSFORMER, {}, {}, 257, options.weights)


def report(job: Job, names: tuple[str, ...], out: Path | None) -> dict[str, Any]:
    """Run what was asked for, one after another, and compare; all that was measured."""
    rate = measured_device(job.device, 256 if job.device.type == "cpu" else 8192, 20).matmul
    first, later = (transformer_operations(job.model, slots, job.size, job.size).total for slots in job.layouts)
    print(
        f"device: {device_name(job.device)}, {rate / 1e12:.1f} TFLOP/s in a matrix product, torch {torch.__version__}"
    )
    floor = job.steps * first / rate
    print(f"floor of chunk 1: {job.steps} steps x {first / 1e12:.4g} TFLOP = {floor:.3g} s; later {later / 1e12:.4g}")
    whole: dict[str, Any] = {"device": device_name(job.device), "rate": rate, "floor": floor}
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name in (name for name in ARMS if name in names):
        try:
            found = measure(job, name, rate, (first, later))
        except (RuntimeError, InputError) as error:  # out of memory too: the other arms may fit
            failed[name] = " ".join(str(error).split())[:200] or type(error).__name__
            print(f"{name}: not measured: {failed[name]}", flush=True)
            found = {}
        release(job.device)  # only here has the error let go of what it held
        if isinstance(found, Row):
            rows.append(found)
            print(told(found), flush=True)
        else:
            whole |= {"vae": found} if found else {}
            for what, seconds in found.items():
                print(f"VAE {what}: {seconds:.3f} s per chunk", flush=True)
        whole |= {"rows": [asdict(row) for row in rows], "not_measured": failed}
        if out is not None:  # after every arm, so that a run that is stopped leaves what it measured
            out.write_text(json.dumps(whole, indent=1) + "\n")
    compare(rows, floor, job.steps * first / STATED_RATE)
    return whole


def record(job: Job, found: dict[str, Any], keep: argparse.Namespace) -> None:
    """The rows as a table for the page."""
    what = "The diffusion model on a GPU: seconds per step and per chunk, share of the card's matrix rate, peak memory."
    with Recorder(what, *COLUMNS, keep=keep) as table:
        for row in found["rows"]:
            table.row(**{**row, "share": 100 * row["share"]})
        for name, seconds in found.get("vae", {}).items():
            table.row(name=f"VAE {name}", chunk_1=seconds)
        weights = "random weights made on the card" if job.weights is None else "real weights"
        table.note(f"{job.size}x{job.size}, {job.frames} frames, {job.steps} steps, {weights}.")
        table.note(f"The card multiplies bf16 matrices at {found['rate'] / 1e12:.1f} TFLOP/s.")
        table.note(f"Floor of chunk 1, all operations at that rate: {found['floor']:.3g} s.")
        for name, why in found["not_measured"].items():
            table.note(f"{name} was not measured: {why}")


def measure(job: Job, name: str, rate: float, operations: tuple[float, float]) -> Row | dict[str, float]:
    """One arm: a row, or the VAE's seconds."""
    if name == "vae":
        return vae_times(job)
    return pipeline(job, rate, operations[0]) if name == "pipeline" else arranged(job, name, rate, operations)


def told(row: Row) -> str:
    """A row as people read it."""
    later = "" if row.step_later is None else f"; later chunk {row.step_later:.3f} s per step, {row.chunk_later:.2f} s"
    return (
        f"{row.name}: chunk 1 {row.step_1:.3f} s per step, {row.chunk_1:.2f} s{later}; "
        f"{row.share:.0%} of the matrix rate; peak {row.peak_gb:.1f} GB{' (' + row.said + ')' if row.said else ''}"
    )


def compare(rows: list[Row], floor: float, stated: float) -> None:
    """The two aims, of what was measured; `stated` is the floor at 790 TFLOP/s, 23.0 s at full size."""
    by = {row.name: row for row in rows}
    if "exact" in by:
        print(f"exact / floor: {by['exact'].chunk_1 / floor:.2f} (aim: at most {FLOOR_AIM})")
        print(f"exact / {stated:.3g} s, the floor at 790 TFLOP/s: {by['exact'].chunk_1 / stated:.2f}")
    if "exact" in by and "WanAnimatePipeline" in by:
        times = by["WanAnimatePipeline"].chunk_1 / by["exact"].chunk_1
        print(f"WanAnimatePipeline / exact, chunk 1: {times:.2f} (aim: at least {PIPELINE_AIM})")
    if "exact" in by and "fast" in by:
        print(f"exact / fast, chunk 1: {by['exact'].chunk_1 / by['fast'].chunk_1:.2f}")


# ---- ours
def arranged(job: Job, preset: str, rate: float, operations: tuple[float, float]) -> Row:
    """The chunk loop's denoising under one preset."""
    run: RunConfig = resolve(("wan_run",), [preset], [], {})["wan_run"]
    if job.device.type == "cpu":
        run = replace(run, compile=False)
    model = transformer(job)
    said = speed_up(model, run, job.steps, job.device)
    warm_up(model, job.layouts, job.size, job.size, job.device, job.image_tokens)
    fresh_memory(job.device)
    times = [steps_of(job, model, slots) for slots in job.layouts]
    if run.cache != "none" and job.weights is None:
        said.append("random weights: a real model skips other steps")
    totals = [sum(each) for each in times]
    share = sum(operations) * job.steps / sum(totals) / rate
    row = Row(
        preset, median(times[0]), totals[0], median(times[1]), totals[1], share, peak(job.device), "; ".join(said)
    )
    return row


def steps_of(job: Job, model: Any, slots: Layout) -> list[float]:
    """Seconds of each step of one chunk, on random latents."""
    times: list[float] = []
    clock = Clock(job.device)

    def told(label: str, done: int, total: int | None) -> None:
        times.append(clock.lap())

    start, known, motion, guide = inputs(job, slots)
    config = WanConfig(num_inference_steps=job.steps)
    clock.lap()
    denoise(model, start, known, motion, guide, config, slots.lead, told)
    return times


def inputs(job: Job, slots: Layout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Embeddings]:
    """Noise, conditions, motion and embeddings of the right sizes."""
    seeded, side = torch.Generator().manual_seed(0), job.size // 8

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=seeded).to(job.device)

    anchor = random(1, 16, 1, side, side) if slots.anchor else None
    known = condition(slots, random(1, 16, 1, side, side), anchor, random(1, 16, slots.video, side, side))
    guide = Embeddings(random(1, 512, job.model["text_dim"]), random(1, job.image_tokens, job.model["image_dim"]))
    return noise(slots, side, side, seeded, job.device), known, random(1, 16, slots.video, side, side), guide


def transformer(job: Job) -> EmoshTransformer3DModel:
    """Random weights made on the device, or the folder's."""
    if job.weights is not None:
        from stages.wan.folder import open_folder
        from stages.wan.loading import load_transformer

        return load_transformer(open_folder(job.weights), job.dtype, job.device)
    return made(job, lambda: EmoshTransformer3DModel(**job.model))


def made(job: Job, build: Callable[[], Any]) -> Any:
    """A module built where it will live, in its own type, with what diffusers keeps in float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(job.dtype)
    try:
        with torch.device(job.device):
            model = build()
    finally:
        torch.set_default_dtype(before)
    kept = set(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, parameter in model.named_parameters():
        if kept & set(name.split(".")):
            parameter.data = parameter.data.float()
    return model.requires_grad_(False).eval()


def calibrated(job: Job) -> tuple[float, ...]:
    """MagCache's ratios of the first chunk."""
    model = transformer(job)
    start, known, motion, guide = inputs(job, job.layouts[0])
    config = WanConfig(num_inference_steps=job.steps)
    return calibrate_mag_cache(model, job.steps, lambda: denoise(model, start, known, motion, guide, config, 1))


# ---- beside it
def pipeline(job: Job, rate: float, operations: float) -> Row:
    """diffusers' own pipeline on one segment of the same size and steps; its step is the loop's alone."""
    import numpy as np
    from diffusers import UniPCMultistepScheduler, WanAnimatePipeline, WanAnimateTransformer3DModel
    from PIL import Image

    model = made(job, lambda: WanAnimateTransformer3DModel(**job.model, **job.face))
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    encoder, processor = clip(job)
    pipe = WanAnimatePipeline(
        tokenizer=None, text_encoder=None, vae=autoencoder(job), scheduler=scheduler, image_processor=processor,
        image_encoder=encoder, transformer=model,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    picture = Image.fromarray(np.full((job.size, job.size, 3), 127, np.uint8))
    times: list[float] = []
    clock = Clock(job.device)

    def told(pipe: Any, step: int, timestep: Any, given: dict) -> dict:
        times.append(clock.lap())
        return given

    seeded = torch.Generator().manual_seed(0)
    text = job.model["text_dim"]
    fresh_memory(job.device)
    pipe(
        image=picture, pose_video=[picture] * job.frames, face_video=[picture] * job.frames, height=job.size,
        width=job.size, segment_frame_length=job.frames, num_inference_steps=job.steps, guidance_scale=1.0,
        prompt_embeds=torch.randn(1, 512, text, generator=seeded).to(job.device, job.dtype),
        callback_on_step_end=told, output_type="latent",
    )  # fmt: skip
    steps = times[1:] or times  # the first also holds what is encoded before
    total = median(steps) * job.steps
    return Row(
        "WanAnimatePipeline", median(steps), total, None, None, operations * job.steps / total / rate, peak(job.device),
        "face branch included; steps only, as ours",
    )  # fmt: skip


def clip(job: Job) -> tuple[Any, Any]:
    """An image encoder of the size that the transformer reads, and its processor."""
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    width = job.model["image_dim"]
    side, patch = (224, 14) if width == 1280 else (32, 8)
    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=32 if width == 1280 else 3,
        num_attention_heads=16 if width == 1280 else 4, image_size=side, patch_size=patch,
    )  # fmt: skip
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return CLIPVisionModel(config).to(job.device).eval(), processor  # type: ignore[arg-type]


def autoencoder(job: Job) -> Any:
    """The VAE in float32, as Wan's own code runs it."""
    from diffusers import AutoencoderKLWan

    with torch.device(job.device):
        return AutoencoderKLWan(**job.vae).requires_grad_(False).eval()


def vae_times(job: Job) -> dict[str, float]:
    """Seconds of encoding and decoding one chunk, after a first pass."""
    vae, clock, times = autoencoder(job), Clock(job.device), {}
    pixels = torch.zeros(1, 3, job.frames, job.size, job.size, device=job.device)
    for kind in (torch.float32, torch.bfloat16) if job.device.type == "cuda" else (torch.float32,):
        vae.to(kind)
        latents = codec.encode(vae, pixels)
        codec.decode(vae, latents)
        clock.lap()
        codec.encode(vae, pixels)
        times[f"encode, {str(kind).removeprefix('torch.')}"] = clock.lap()
        codec.decode(vae, latents)
        times[f"decode, {str(kind).removeprefix('torch.')}"] = clock.lap()
    return times


# ---- the device
class Clock:
    """Seconds since the last lap, after everything queued is done."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._last = device, time.perf_counter()

    def lap(self) -> float:
        """Since the lap before."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


def fresh_memory(device: torch.device) -> None:
    """Begin to watch the peak."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> float:
    """GB at the worst moment, as torch allocated it; 0 on the CPU."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0


def release(device: torch.device) -> None:
    """Give back what the last arrangement held."""
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def device_name(device: torch.device) -> str:
    """As torch reports it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def median(values: list[float]) -> float:
    """The middle one."""
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
