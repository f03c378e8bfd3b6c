"""Wan-Animate on a GPU, with skeleton and face: seconds per step and chunk, share of the card's matrix rate, memory.

    python -m benchmarks.gpu_generate                       the real 14B shapes, random bf16 weights made on the card
    python -m benchmarks.gpu_generate --weights FOLDER      the same with real weights (for --calibrate)
    python -m benchmarks.gpu_generate --calibrate           one ratio per step for [wan_run] cache = "mag"
    python -m benchmarks.gpu_generate --tiny                every line of this script on the CPU, in seconds
    python -m benchmarks.gpu_generate --write               keep the rows in benchmarks/results, for the page

One chunk of 77 frames at 512x512, 832x480 and 1280x720, one arrangement after another: diffusers' `WanAnimatePipeline`
on the same tensors, the preset `exact`, the VAE, the preset `fast`, weights in host memory, and the paper's later chunk
(no face, SAC). Each row is printed and written (--out) as it is measured; what does not fit, and what would begin after
--limit seconds, is said and left out. Larger sizes run fewer steps: a chunk is 20 times the mean step.

The card's rate is timed first (8192 x 8192 bf16); the floor is all operations at that rate. Memory is the card's, with
the driver's share, beside what the plan says. Aims, at 512x512: `exact` within 1.25 of the floor and of 23.0 s, and 1.5
times as fast as the pipeline; memory within 5 % of the plan. Random weights cost what real ones cost, except under a
cache, whose skips depend on them: that row says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmarks.card import TINY, Clock, device_name, fresh_memory, made, median, release, taken_gb
from benchmarks.record import Column, Recorder, arguments
from emosh_cli.settings import resolve
from stages.errors import InputError
from stages.wan import vae as codec
from stages.wan.acceleration import calibrate_mag_cache, change_weights, speed_up, warm_up
from stages.wan.config import WanConfig
from stages.wan.cost import transformer_operations
from stages.wan.denoise import Embeddings, FaceMotion, denoise, noise
from stages.wan.device_speeds import measured_device
from stages.wan.face_modules import AnimateTransformer3DModel, with_defaults
from stages.wan.layout import Layout, chunk_frames, condition, layout
from stages.wan.machine import DEFAULTS
from stages.wan.offload import apply_placement
from stages.wan.placement import Placement
from stages.wan.plan import Clip, Networks, make_plan
from stages.wan.run_config import RunConfig

FLOOR_AIM, PIPELINE_AIM, MEMORY_AIM = 1.25, 1.5, 0.05
STATED_RATE = 790e12
"""Operations per second that the aim of 23.0 s was stated at, for a chunk without a face."""
CHUNK_STEPS, PIPELINE_STEPS = 20, 6
LIMIT_S = 420
"""No arrangement begins later: on an H100 the whole run then stays below 8 minutes."""
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
    Column("name", "arrangement"), Column("size", "size"), Column("steps", "steps timed", digits=0),
    Column("step", "step", "s", 3), Column("chunk", f"chunk of {CHUNK_STEPS} steps", "s", 2),
    Column("share", "share of the matrix rate", "%", 0), Column("memory_gb", "memory", "GB"),
    Column("planned_gb", "planned", "GB"), Column("said", "remark"),
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """A picture size in pixels, and how many steps are timed at it."""

    width: int
    height: int
    steps: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Job:
    """What is drawn, and how large the model is. The first size is that of the aims."""

    device: torch.device
    sizes: tuple[Size, ...]
    frames: int
    model: dict[str, Any]
    vae: dict[str, Any]
    image_tokens: int
    weights: Path | None
    dtype: torch.dtype = torch.bfloat16

    @property
    def slots(self) -> Layout:
        """Of every chunk with a face: without SAC, later chunks are as long as the first."""
        return layout(self.frames, 5, True, False)

    @property
    def anchored(self) -> Layout:
        """Of the paper's later chunk."""
        return layout(self.frames, 5, False, True)


@dataclass(frozen=True)
class Row:
    """One arrangement at one size. Seconds of a step are the median's, those of a chunk CHUNK_STEPS times the mean."""

    name: str
    size: str
    steps: int
    step: float
    chunk: float
    share: float
    memory_gb: float
    planned_gb: float | None
    said: str


def main() -> None:
    """Print a row per arrangement and size, and write them as JSON if asked."""
    parser = arguments(__doc__)
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="a diffusers folder instead of random weights")
    parser.add_argument("--only", nargs="+", choices=tuple(ARMS), metavar="NAME")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S", help="begin nothing after S seconds")
    parser.add_argument("--calibrate", action="store_true", help="print mag_ratios and stop")
    parser.add_argument("--out", type=Path, metavar="JSON")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        sys.exit("no GPU is here: this benchmark needs one with about 50 GB free; --tiny runs all of it on the CPU")
    job = described(options)
    if options.calibrate:
        print("mag_ratios =", list(calibrated(job)))
        return
    record(job, report(job, options.only or tuple(ARMS), options.out, options.limit), options)


def described(options: argparse.Namespace) -> Job:
    """The real job, or the tiny one."""
    if options.tiny:
        sizes = Size(64, 64, 3), Size(96, 64, 2)
        return Job(torch.device("cpu"), sizes, 9, {**TINY, **TINY_FACE}, TINY_VAE, 17, options.weights)
    sizes = Size(512, 512, CHUNK_STEPS), Size(832, 480, 4), Size(1280, 720, 3)
    return Job(torch.device("cuda"), sizes, 77, DEFAULTS, {}, 257, options.weights)


def report(job: Job, names: tuple[str, ...], out: Path | None, limit: float = LIMIT_S) -> dict[str, Any]:
    """Run what was asked for, one after another, and compare; all that was measured."""
    began = time.perf_counter()
    lab = Lab(job, measured_device(job.device, 256 if job.device.type == "cpu" else 8192, 20).matmul)
    print(
        f"device: {device_name(job.device)}, {lab.rate / 1e12:.1f} TFLOP/s in a matrix product, "
        f"torch {torch.__version__}"
    )
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name in (name for name in ARMS if name in names):
        try:
            if time.perf_counter() - began > limit:
                raise RuntimeError(f"it would have begun after {limit:g} seconds")
            for row in ARMS[name](lab):
                rows.append(row)
                print(told(row), flush=True)
                write(out, lab, rows, failed)
        except (RuntimeError, InputError) as error:  # out of memory too: the other arrangements may fit
            failed[name] = " ".join(str(error).split())[:200] or type(error).__name__
            print(f"{name}: not measured: {failed[name]}", flush=True)
        release(job.device)  # only here has the error let go of what it held
    for line in compared(job, rows, lab.rate):
        print(line)
    return write(out, lab, rows, failed)


def write(out: Path | None, lab: Lab, rows: list[Row], failed: dict[str, str]) -> dict[str, Any]:
    """All that was measured so far; after every row, so that a run that is stopped leaves what it measured."""
    found = {
        "device": device_name(lab.job.device), "rate": lab.rate, "rows": [asdict(row) for row in rows],
        "not_measured": failed,
    }  # fmt: skip
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")
    return found


def record(job: Job, found: dict[str, Any], keep: argparse.Namespace) -> None:
    """The rows as a table for the page."""
    what = "Wan-Animate on a GPU: seconds per step and chunk, share of the card's matrix rate, memory beside the plan."
    with Recorder(what, *COLUMNS, keep=keep) as table:
        for row in found["rows"]:
            table.row(**{**row, "share": 100 * row["share"]})
        weights = "random weights made on the card" if job.weights is None else "real weights"
        table.note(f"One chunk of {job.frames} frames, {weights}.")
        table.note(f"The card multiplies bf16 matrices at {found['rate'] / 1e12:.1f} TFLOP/s.")
        for line in compared(job, [Row(**row) for row in found["rows"]], found["rate"]):
            table.note(line)
        for name, why in found["not_measured"].items():
            table.note(f"{name} was not measured: {why}")


def told(row: Row) -> str:
    """A row as people read it."""
    planned = "" if row.planned_gb is None else f", planned {row.planned_gb:.1f}"
    return (
        f"{row.name} {row.size}: {row.step:.3f} s per step, {row.chunk:.2f} s per chunk, "
        f"{row.share:.0%} of the matrix rate; {row.memory_gb:.1f} GB{planned}{f' ({row.said})' if row.said else ''}"
    )


def compared(job: Job, rows: list[Row], rate: float) -> Iterator[str]:
    """The aims, of what was measured."""
    by = {(row.name, row.size): row for row in rows}
    for size in job.sizes:
        ours, theirs = by.get(("exact", str(size))), by.get(("WanAnimatePipeline", str(size)))
        if ours is not None:
            yield f"exact {size} / floor: {1 / ours.share:.2f} (aim at {job.sizes[0]}: at most {FLOOR_AIM})"
        if ours is not None and theirs is not None:
            yield f"WanAnimatePipeline / exact {size}: {theirs.chunk / ours.chunk:.2f} (aim: at least {PIPELINE_AIM})"
    first = by.get(("exact", str(job.sizes[0])))
    if first is not None:
        size = job.sizes[0]
        stated = CHUNK_STEPS * transformer_operations(job.model, job.slots, size.height, size.width).total / STATED_RATE
        yield (
            f"exact {size} / {stated:.3g} s, the floor without a face at 790 TFLOP/s: {first.chunk / stated:.2f} "
            f"(aim: at most {FLOOR_AIM})"
        )
    for row in rows:
        if row.planned_gb is not None and row.memory_gb:
            off = row.memory_gb / row.planned_gb - 1
            yield f"{row.name} {row.size}: memory is {off:+.1%} of the plan (aim: within {MEMORY_AIM:.0%})"


# ---- the arrangements
class Lab:
    """The networks on the card. `model` is made when it is asked for, and again after an arrangement changed it."""

    def __init__(self, job: Job, rate: float) -> None:
        self.job, self.rate = job, rate
        self._model: AnimateTransformer3DModel | None = None

    @cached_property
    def vae(self) -> Any:
        """The VAE in float32, as Wan's own code runs it."""
        return autoencoder(self.job)

    @property
    def model(self) -> AnimateTransformer3DModel:
        """The transformer with its face modules, as it is loaded."""
        if self._model is None:
            self._model = transformer(self.job)
        return self._model

    def taken(self) -> AnimateTransformer3DModel:
        """The transformer for an arrangement that changes it; the next one gets another."""
        model, self._model = self.model, None
        return model

    def row(
        self, name: str, size: Size, slots: Layout, times: list[float], planned: float | None, said: list[str],
        face: bool = True,
    ) -> Row:  # fmt: skip
        """The row of these seconds of a step."""
        operations = transformer_operations(self.job.model, slots, size.height, size.width, face).total
        mean = sum(times) / len(times)
        return Row(
            name, str(size), len(times), median(times), CHUNK_STEPS * mean, operations / mean / self.rate,
            taken_gb(self.job.device), planned, "; ".join(said),
        )  # fmt: skip


def pipeline(lab: Lab) -> Iterator[Row]:
    """diffusers' own pipeline on the same tensors; its step is the loop's alone."""
    model = theirs(lab)
    for size in lab.job.sizes:
        times = pipeline_steps(lab, model, replace(size, steps=min(size.steps, PIPELINE_STEPS)))
        yield lab.row("WanAnimatePipeline", size, lab.job.slots, times, None, ["the loop alone"])


def exact(lab: Lab) -> Iterator[Row]:
    """The preset `exact` at every size."""
    job, (model, said) = lab.job, arranged(lab, preset("exact", lab.job.device))
    for size in job.sizes:
        warm_up(model, (job.slots,), size.height, size.width, job.device, job.image_tokens, features(job))
        times = steps_of(lab, model, size, job.slots)
        yield lab.row("exact", size, job.slots, times, planned_gb(job, size, Placement()), said)


def fast(lab: Lab) -> Iterator[Row]:
    """The preset `fast` at the first size."""
    job, size = lab.job, lab.job.sizes[0]
    model, said = arranged(lab, preset("fast", job.device))
    warm_up(model, (job.slots,), size.height, size.width, job.device, job.image_tokens, features(job))
    steps_of(lab, model, replace(size, steps=min(size.steps, 6)), job.slots)  # compiles what skipping a step needs
    if job.weights is None:
        said.append("random weights: a real model skips other steps")
    yield lab.row("fast", size, job.slots, steps_of(lab, model, size, job.slots), None, said)


def offload(lab: Lab) -> Iterator[Row]:
    """The blocks in host memory, each brought in for its turn, at the first size."""
    job, size = lab.job, replace(lab.job.sizes[0], steps=3)
    placement = Placement(group_offload=True)
    model = lab.taken().to("cpu")
    release(job.device)
    apply_placement(model, lab.vae, placement, job.device, job.dtype)
    steps_of(lab, model, replace(size, steps=1), job.slots)
    times = steps_of(lab, model, size, job.slots)
    yield lab.row("offload", size, job.slots, times, planned_gb(job, size, placement), [placement.text()])


def anchored(lab: Lab) -> Iterator[Row]:
    """The paper's later chunk under `exact`: no face, one slot more for SAC."""
    job, size = lab.job, replace(lab.job.sizes[0], steps=min(4, lab.job.sizes[0].steps))
    model, said = arranged(lab, preset("exact", job.device))
    warm_up(model, (job.anchored,), size.height, size.width, job.device, job.image_tokens)
    times = steps_of(lab, model, size, job.anchored, face=False)
    yield lab.row("exact, SAC, no face", size, job.anchored, times, None, said, face=False)


def vae(lab: Lab) -> Iterator[Row]:
    """Encoding and decoding a chunk at the first size, after a first pass."""
    job, size, clock = lab.job, lab.job.sizes[0], Clock(lab.job.device)
    pixels = torch.zeros(1, 3, job.frames, size.height, size.width, device=job.device)
    for kind in (torch.float32, torch.bfloat16) if job.device.type == "cuda" else (torch.float32,):
        network = lab.vae.to(kind)
        latents = codec.encode(network, pixels)
        codec.decode(network, latents)
        for name, run, given in (("encode", codec.encode, pixels), ("decode", codec.decode, latents)):
            fresh_memory(job.device)
            clock.lap()
            run(network, given)
            seconds, said = clock.lap(), str(kind).removeprefix("torch.")
            yield Row(f"VAE {name}, {said}", str(size), 1, seconds, seconds, 0.0, taken_gb(job.device), None, "")
    lab.vae.to(torch.float32)


ARMS: dict[str, Callable[[Lab], Iterator[Row]]] = {
    "pipeline": pipeline, "exact": exact, "vae": vae, "fast": fast, "offload": offload, "anchored": anchored,
}  # fmt: skip
"""In order of worth: a run that is stopped has answered the first questions."""


# ---- ours
def preset(name: str, device: torch.device) -> RunConfig:
    """The settings of a preset; nothing is compiled on the CPU."""
    run: RunConfig = resolve(("wan_run",), [name], [], {})["wan_run"]
    return replace(run, compile=False) if device.type == "cpu" else run


def arranged(lab: Lab, run: RunConfig) -> tuple[AnimateTransformer3DModel, list[str]]:
    """The transformer with these options, and what they are."""
    assert lab.vae is not None  # on the card, as it is while a clip is drawn
    model = lab.taken()
    said = change_weights(model, run, lab.job.device)
    return model, said + speed_up(model, run, lab.job.sizes[0].steps)


def steps_of(lab: Lab, model: Any, size: Size, slots: Layout, face: bool = True) -> list[float]:
    """Seconds of each step of one chunk, on random latents."""
    times: list[float] = []
    clock = Clock(lab.job.device)

    def told(label: str, done: int, total: int | None) -> None:
        times.append(clock.lap())

    given = inputs(lab.job, size, slots)
    fresh_memory(lab.job.device)
    clock.lap()
    config = WanConfig(num_inference_steps=size.steps)
    denoise(model, *given, config, slots.lead, told, faces=faces(lab.job, slots) if face else None)
    return times


def inputs(job: Job, size: Size, slots: Layout) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Embeddings]:
    """Noise, conditions, motion and embeddings of the right sizes."""
    seeded, plane = torch.Generator().manual_seed(0), (size.height // 8, size.width // 8)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=seeded).to(job.device)

    anchor = random(1, 16, 1, *plane) if slots.anchor else None
    known = condition(slots, random(1, 16, 1, *plane), anchor, random(1, 16, slots.video, *plane))
    guide = Embeddings(random(1, 512, job.model["text_dim"]), random(1, job.image_tokens, job.model["image_dim"]))
    return noise(slots, *plane, seeded, job.device), known, random(1, 16, slots.video, *plane), guide


def faces(job: Job, slots: Layout) -> FaceMotion:
    """Random numbers of a face per frame."""
    seeded = torch.Generator().manual_seed(1)
    return FaceMotion(*(torch.randn(1, count, features(job), generator=seeded) for count in (chunk_frames(slots), 1)))


def features(job: Job) -> int:
    """Numbers per face."""
    return with_defaults(job.model)["motion_encoder_dim"]


def transformer(job: Job) -> AnimateTransformer3DModel:
    """Random weights made on the device, or the folder's."""
    if job.weights is not None:
        from stages.wan.folder import open_folder
        from stages.wan.loading import load_transformer

        model = load_transformer(open_folder(job.weights), job.dtype, job.device, face=True)
        assert isinstance(model, AnimateTransformer3DModel)
        return model
    return made(job.device, job.dtype, lambda: AnimateTransformer3DModel(**job.model))


def calibrated(job: Job) -> tuple[float, ...]:
    """MagCache's ratios of a chunk at the first size."""
    model, size = transformer(job), job.sizes[0]
    given, config = inputs(job, size, job.slots), WanConfig(num_inference_steps=size.steps)
    face = faces(job, job.slots)
    return calibrate_mag_cache(model, size.steps, lambda: denoise(model, *given, config, faces=face))


def planned_gb(job: Job, size: Size, placement: Placement) -> float:
    """The plan's memory of one step with a face."""
    networks = Networks(job.model, job.vae, WanConfig(), face=True)
    plan = make_plan(networks, Clip(job.frames, size.height, size.width, job.frames), placement)
    return next(step.peak_bytes for step in plan.steps if step.name.startswith("step of chunk 1")) / 1e9


# ---- beside it
class TimedError(Exception):
    """Ends the pipeline after its steps, before it decodes."""


def theirs(lab: Lab) -> Any:
    """diffusers' transformer, which holds the very tensors of ours."""
    from accelerate import init_empty_weights
    from diffusers import WanAnimateTransformer3DModel

    with init_empty_weights(include_buffers=False):
        model = WanAnimateTransformer3DModel(**lab.job.model)
    model.load_state_dict(lab.model.state_dict(), assign=True)
    return model.to(lab.job.device).requires_grad_(False).eval()


def pipeline_steps(lab: Lab, model: Any, size: Size) -> list[float]:
    """Seconds of each step after the first, which also holds what is encoded before."""
    import numpy as np
    from diffusers import UniPCMultistepScheduler, WanAnimatePipeline
    from PIL import Image

    job, seeded = lab.job, torch.Generator().manual_seed(0)
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    pipe = WanAnimatePipeline(
        tokenizer=None, text_encoder=None, vae=lab.vae.to(job.dtype), scheduler=scheduler, image_processor=None,
        image_encoder=None, transformer=model,
    )  # fmt: skip
    photo = torch.randn(1, job.image_tokens, job.model["image_dim"], generator=seeded)
    pipe.encode_image = lambda image, device: photo.to(device)  # no CLIP: its tokens cost nothing in the loop
    pipe.set_progress_bar_config(disable=True)
    times: list[float] = []
    clock = Clock(job.device)

    def told(pipe: Any, step: int, timestep: Any, given: dict) -> dict:
        times.append(clock.lap())
        if len(times) == 1:
            fresh_memory(job.device)
        if len(times) == size.steps:
            raise TimedError
        return given

    picture = Image.fromarray(np.full((size.height, size.width, 3), 127, np.uint8))
    side = with_defaults(job.model)["motion_encoder_size"]
    with suppress(TimedError):
        pipe(
            image=picture, pose_video=[picture] * job.frames, face_video=[picture.resize((side, side))] * job.frames,
            height=size.height, width=size.width, segment_frame_length=job.frames, num_inference_steps=size.steps,
            guidance_scale=1.0, callback_on_step_end=told,
            prompt_embeds=torch.randn(1, 512, job.model["text_dim"], generator=seeded).to(job.device, job.dtype),
        )  # fmt: skip
    lab.vae.to(torch.float32)
    return times[1:]


def autoencoder(job: Job) -> Any:
    """Wan's VAE with random weights."""
    from diffusers import AutoencoderKLWan

    with torch.device(job.device):
        return AutoencoderKLWan(**job.vae).requires_grad_(False).eval()


if __name__ == "__main__":
    main()
