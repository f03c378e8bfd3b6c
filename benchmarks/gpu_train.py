"""Training on a GPU: what the 14B recipe costs, and a small model learned from nothing with a VAE of the real class.

    python -m benchmarks.gpu_train recipe [--arm NAME] [--out JSON]   seconds a sample and peak memory, beside the plan
    python -m benchmarks.gpu_train learn WORK         synthetic people, VAE, cache, transformer, held-out figures
    ... --tiny        every line of either on the CPU, in seconds
    ... --write       keep the table in benchmarks/results, for the page

`recipe` builds the real shapes with random bf16 weights on the card, and trains on random latents of a 77-frame clip of
512x512: a chunk, a later one, one with an auxiliary frame, one sample per step. Random weights cost what real ones do.
It ran on one H200 with bf16 weights: 7.70 s per sample where 4.99 were planned (the plan was corrected), 54.8 GB where
55.9 were planned. Its arm with weights in 8 bits has not been run.

`learn` is sized for half an hour on one H100, and does what benchmarks.learning does on two cores, at 64x64 too and
judged by the same code, but with more clips, a transformer of over 100 million numbers, and in place of the fixed codec
diffusers' `AutoencoderKLWan`, trained here first. Each part is skipped where it is done; all but the VAE go on where
they were stopped. It has not been run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import learning
from benchmarks.card import TINY as TINY_MODEL
from benchmarks.card import Clock, allocated_gb, device_name, fresh_memory, made, median, release
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.manifest import read_manifest
from stages.artifacts.motion import load_motion, select_rows
from stages.artifacts.provenance import Provenance
from stages.artifacts.streamed_safetensors import Declared, write_streamed
from stages.artifacts.training_cache import (
    CLIP,
    COMMON,
    COMMON_FILE,
    CacheIndex,
    TrainingCache,
    cache_metadata,
    declare_clip,
)
from stages.train import loop
from stages.train.config import TrainConfig
from stages.train.model import make_trainable, tuned_parameters
from stages.train.plan import Hardware, TrainingData, make_plan
from stages.train.training_set import TrainingSet
from stages.wan.device_speeds import measured_device
from stages.wan.layout import LAYOUT_VERSION
from stages.wan.machine import DEFAULTS
from stages.wan.transformer import EmoshTransformer3DModel

ARMS: dict[str, dict[str, Any]] = {
    "bf16": {},
    "fp8, inputs in host memory": {"storage": "fp8", "offload_activations": True},
}
KINDS = {"first chunk": (0.0, 0.0), "later chunk": (1.0, 0.0), "with auxiliary": (1.0, 1.0)}
"""(temporal_probability, auxiliary_probability)."""
COLUMNS = (
    Column("arm", "arm"), *(Column(kind, kind, "s per sample", 2) for kind in KINDS),
    Column("seconds", "mixed as in training", "s per sample", 2),
    Column("planned_seconds", "planned", "s per sample", 2),
    Column("peak_gb", "peak memory", "GB"), Column("planned_gb", "planned", "GB"),
)  # fmt: skip
TIMED = 3
"""Steps of each kind, after one that warms up."""
VAE: dict[str, Any] = {
    "z_dim": 16, "dim_mult": [1, 2, 2], "num_res_blocks": 1, "temperal_downsample": [True, True], "is_residual": True,
    "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 8, "scale_factor_temporal": 4,
}  # fmt: skip
"""The training probe's better layout: 8x8 and 4 frames to a latent, as Wan2.1's, residual as Wan2.2's."""
KL = 1e-4
WINDOW = 17


@dataclass(frozen=True)
class Scale:
    """How much `learn` does."""

    clips: int
    vae_clips: int
    vae_base: int
    vae_steps: int
    layers: int
    heads: int
    steps: int
    batch: int
    held: int


FULL = Scale(6000, 1200, 48, 8000, 12, 12, 20_000, 64, 24)
TINY = Scale(2, 2, 4, 4, 1, 1, 2, 2, 1)


@dataclass(frozen=True)
class Job:
    """The clips of the recipe, `size` pixels on each side, and how large the model is."""

    device: torch.device
    size: int
    frames: int
    model: dict[str, Any]
    image_tokens: int


# ---- the 14B recipe
def recipe(tiny: bool, out: Path | None, keep: argparse.Namespace) -> None:
    """Print and write a row per arm."""
    device = torch.device("cpu" if tiny else "cuda")
    job = Job(device, 64, 9, TINY_MODEL, 17) if tiny else Job(device, 512, 77, DEFAULTS, 257)
    card = 16e9 if tiny else torch.cuda.get_device_properties(device).total_memory
    hardware = Hardware(1, measured_device(device, 256 if tiny else 8192), card)
    found: dict[str, Any] = {"device": device_name(device), "torch": torch.__version__, "arms": {}}
    with tempfile.TemporaryDirectory() as place:
        cache = random_cache(Path(place), job)
        for name in keep.arm or ARMS:
            changed = ARMS[name]
            config = TrainConfig(batch_size=1, tracker="none", **changed)
            plan = make_plan(job.model, TrainingData(job.size, job.size, job.frames), config, hardware)
            try:
                row = {**timed(job, cache, config, Path(place)), "planned_seconds": plan.step_seconds,
                       "planned_gb": plan.peak_bytes / 1e9}  # fmt: skip
            except RuntimeError as error:  # out of memory too: the other arm may fit
                row = {"not measured": " ".join(str(error).split())[:200]}
            release(device)
            found["arms"][name] = row
            print(f"{name}: " + ", ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key}: {value}"
                                          for key, value in row.items()), flush=True)  # fmt: skip
            if out is not None:
                out.write_text(json.dumps(found, indent=1) + "\n")
    record(job, found["arms"], keep)


def record(job: Job, arms: dict[str, dict[str, Any]], keep: argparse.Namespace) -> None:
    """The arms as a table for the page."""
    what = "The 14B recipe on a GPU: seconds per sample of each kind and peak memory, beside what the plan says."
    with Recorder(what, *COLUMNS, keep=keep) as table:
        for name, row in arms.items():
            if "not measured" in row:
                table.note(f"{name} was not measured: {row['not measured']}")
            else:
                table.row(arm=name, **row)
        table.note(f"{job.size}x{job.size}, {job.frames} frames, random weights, one sample per step.")


def timed(job: Job, cache: TrainingCache, config: TrainConfig, place: Path) -> dict[str, float]:
    """Median seconds of a sample's whole step by kind, their mean as training mixes them, and the peak."""
    accelerator = loop.make_accelerator(config, place, cpu=job.device.type == "cpu")
    model = make_trainable(made(job.device, torch.bfloat16, lambda: EmoshTransformer3DModel(**job.model)), config)
    optimizer = torch.optim.Adam([parameter for _, parameter in tuned_parameters(model)], lr=config.learning_rate)
    model, optimizer = accelerator.prepare(model.to(job.device), optimizer)
    record = Provenance("train")
    clock, row = Clock(job.device), {}
    fresh_memory(job.device)
    for kind, (temporal, auxiliary) in KINDS.items():
        drawn = replace(config, temporal_probability=temporal, auxiliary_probability=auxiliary)
        data = TrainingSet.of([cache], drawn.shares)
        run = loop.TrainingRun(accelerator, model, optimizer, data, drawn, place, record, None, None)
        clock.lap()
        laps = []
        for step in range(1 + TIMED):
            loop.take_step(run, step)
            laps.append(clock.lap())
        row[kind] = median(laps[1:])
    later, auxiliary = config.temporal_probability, config.auxiliary_probability
    mixed = (1 - later) * row["first chunk"] + later * (
        (1 - auxiliary) * row["later chunk"] + auxiliary * row["with auxiliary"]
    )
    return {**row, "seconds": mixed, "peak_gb": allocated_gb(job.device)}


def random_cache(place: Path, job: Job) -> TrainingCache:
    """One clip of one window and two candidates, of random numbers."""
    random, side, span = np.random.default_rng(0), job.size // 8, (job.frames - 1) // 4 + 1
    tensors = declare_clip(1, 2, (side, side), span, (job.image_tokens, job.model["image_dim"]), "F16")
    common = {
        "prompt_embeds": Declared("F32", (512, job.model["text_dim"])),
        "grey_latents": Declared("F32", (16, span, side, side)),
    }
    record = Provenance("encode")
    for name, schema, declared in (("clip-0.safetensors", CLIP, tensors), (COMMON_FILE, COMMON, common)):
        with write_streamed(place / name, declared, cache_metadata(schema, record)) as file:
            for key, each in declared.items():
                whole = each.dtype.startswith("I")
                file.write(key, np.zeros(each.shape, np.int64) if whole else random.standard_normal(each.shape))
    CacheIndex(job.size, job.size, job.frames, 5, LAYOUT_VERSION, (("clip-0.safetensors", 1),), 0, "random").write(
        place
    )
    return TrainingCache(place)


# ---- a small model from nothing
def learn(work: Path, scale: Scale, device: torch.device, keep: argparse.Namespace) -> None:
    """Synthetic people, a VAE, a random transformer, the cache, training, figures."""
    work.mkdir(parents=True, exist_ok=True)
    clips, base, run = work / "clips", work / "base", work / "run"
    began, alone = time.perf_counter(), ("--workers", "1") if scale.clips < 10 else ()
    if not (clips / "manifest.jsonl").is_file() or len(read_manifest(clips / "manifest.jsonl")) < scale.clips:
        emosh("curate", "--synthetic", scale.clips, "-o", clips, "--config", "people-64", *alone)
    told("clips", began)
    if not base.is_dir():
        new_base(base, material(clips, scale.vae_clips), scale, device)
    told("VAE", began)
    small = ("--model", base, "--config", "small", "--device", device.type)
    emosh("encode", "--manifest", clips / "manifest.jsonl", "-o", work / "cache", *small, *alone)
    told("cache", began)
    settings = {"steps": scale.steps, "batch_size": scale.batch, "samples_at_once": scale.batch, "save_every": 500}
    emosh("train", work / "cache", "-o", run, *small,
          *(word for key, value in settings.items() for word in ("--set", f"train.{key}={value}")))  # fmt: skip
    told("training", began)
    arms = {"whole method": (run / "model", set[str]())}
    learning.report(arms, scale.held, work / "scored", keep)
    told("figures", began)


def material(clips: Path, count: int) -> Tensor:
    """(windows 3 17 64 64) uint8: the first window of each clip, and of its condition map; the VAE must code both."""
    from stages.body.store import open_body
    from stages.render_cond.config import RenderCondConfig
    from stages.render_cond.render import render_frames
    from stages.video.source import read_frames

    body, found = open_body(), []
    for line in read_manifest(clips / "manifest.jsonl")[:count]:
        assert line.motion is not None
        frames = [frame.rgb for _, frame in zip(range(WINDOW), read_frames(line.video), strict=False)]
        rows = select_rows(load_motion(line.motion), slice(0, WINDOW))
        found += [np.stack(frames), np.stack(list(render_frames(rows, body, RenderCondConfig(width=64, height=64))))]
    return torch.from_numpy(np.stack(found)).permute(0, 4, 1, 2, 3).contiguous()


def new_base(folder: Path, windows: Tensor, scale: Scale, device: torch.device) -> None:
    """Write the trained VAE and a transformer of random weights, whole or not at all."""
    from stages.wan.small_model import new_small_model

    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    new_small_model(part, trained_vae(windows, scale, device), layers=scale.layers, heads=scale.heads)
    part.replace(folder)


def trained_vae(windows: Tensor, scale: Scale, device: torch.device) -> Any:
    """diffusers' Wan VAE, its latents' mean and deviation measured and kept in its config, on the CPU."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=scale.vae_base, **VAE).to(device)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=scale.vae_steps, pct_start=0.05)
    chosen = torch.Generator().manual_seed(0)
    for step in range(scale.vae_steps):
        rows = torch.randint(len(windows), (min(16, len(windows)),), generator=chosen)
        pixels = windows[rows].to(device).float() / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16):
            latents = vae.encode(pixels).latent_dist
            shown = vae.decode(latents.sample()).sample
        spread = (latents.mean.square() + latents.var - 1 - latents.logvar).float().mean() / 2
        error = (shown.float() - pixels).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        (error + KL * spread).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if step % 200 == 0 or step == scale.vae_steps - 1:
            print(f"VAE step {step}: mean error {error.item():.4f}", flush=True)
    with torch.no_grad():
        coded = torch.cat([
            vae.encode(each[None].to(device).float() / 127.5 - 1).latent_dist.mode().cpu() for each in windows[:200]
        ])  # fmt: skip
    mean, std = coded.mean((0, 2, 3, 4)), coded.std((0, 2, 3, 4))
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.clamp(min=1e-3).tolist())
    return vae.cpu().eval()


def emosh(*words: object) -> None:
    """`emosh WORDS...` in this process. Ends this run where that fails."""
    from emosh_cli.app import main as run

    kept, sys.argv = sys.argv, ["emosh", *map(str, words)]
    try:
        run()
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.argv = kept


def told(what: str, began: float) -> None:
    """Where the time goes."""
    print(f"{what} ready {time.perf_counter() - began:.0f} s after the start", flush=True)


def main() -> None:
    """Run either."""
    parser = arguments(__doc__)
    parser.add_argument("what", choices=("recipe", "learn"))
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--arm", choices=tuple(ARMS), action="append", help="recipe: this one alone")
    parser.add_argument("--tiny", action="store_true", help="all of it on the CPU, in seconds")
    parser.add_argument("--out", type=Path, metavar="JSON", help="recipe: write the figures here")
    for name, value in asdict(FULL).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"learn: instead of {value}")
    chosen = parser.parse_args()
    if not chosen.tiny and not torch.cuda.is_available():
        sys.exit("no GPU is here: this benchmark needs one, recipe with about 60 GB free; --tiny runs it on the CPU")
    if chosen.what == "recipe":
        recipe(chosen.tiny, chosen.out, chosen)
        return
    if chosen.work is None:
        parser.error("learn: name the folder to work in")
    chosen.name = chosen.name or "gpu_train_learning"
    given = {name: getattr(chosen, name) for name in asdict(FULL) if getattr(chosen, name) is not None}
    scale = replace(TINY if chosen.tiny else FULL, **given) if given else TINY if chosen.tiny else FULL
    learn(chosen.work, scale, torch.device("cpu" if chosen.tiny else "cuda"), chosen)


if __name__ == "__main__":
    main()
