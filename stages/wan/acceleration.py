"""Shortcuts and faster kernels, each an option, put on a loaded transformer with diffusers' own parts.

The order matters and is fixed here: adapters are folded into the weights before anything reads the weights directly,
attention is chosen before it is split over cards, and what is compiled is the finished block. Caches keep state
between steps; `denoise` empties it before every chunk, since a later chunk has one slot more.
"""

from __future__ import annotations

import ast
import contextlib
import io
from collections.abc import Callable
from typing import Any

import torch

from stages.errors import InputError
from stages.wan import context_parallel
from stages.wan.layout import IMAGE_TOKENS, LATENT_CHANNELS, SPATIAL_FACTOR, TEXT_TOKENS, Layout
from stages.wan.run_config import RunConfig


def speed_up(transformer: Any, run: RunConfig, num_inference_steps: int, device: torch.device | str) -> list[str]:
    """Put every chosen option on the transformer; returns what was done, in words.

    Raises InputError for what cannot run here.
    """
    device, done = torch.device(device), []
    if run.fuse_qkv or run.fp8_compute or run.compile:
        done += fold_adapters(transformer)
    if run.fuse_qkv:
        transformer.fuse_qkv_projections()
        done.append("query, key and value in one product")
    if run.fp8_compute:
        done.append(f"{_fp8(transformer, device)} linears in 8 bits")
    if run.attention != "native":
        _attention(transformer, run.attention)
        done.append(f"attention by {run.attention}")
    if run.context_parallel != "none":
        done.append(_parallel(transformer, run.context_parallel))
    if run.cache != "none":
        transformer.enable_cache(cache_config(run, num_inference_steps))
        done.append(f"{run.cache} cache, threshold {run.cache_threshold:g}")
    if run.compile:
        transformer.compile_repeated_blocks(fullgraph=run.cache == "none")
        done.append("blocks compiled")
    return done


def check_runnable(run: RunConfig, num_inference_steps: int, heads: int, device: torch.device | str) -> None:
    """Refuse, before any weight loads, what cannot run here: 8-bit products, attention, a split over processes that
    are not there, processes without a split, and ratios of another number of steps. `heads` is the transformer's
    number of attention heads.
    """
    if run.fp8_compute:
        _check_fp8(torch.device(device))
    if run.attention != "native":
        _attention(_stand_in(), run.attention)
    if run.context_parallel != "none":
        _processes(run.context_parallel, heads)
    elif context_parallel.world() > 1:
        raise InputError(
            f"torchrun started {context_parallel.world()} processes, which only share a clip with "
            "--set wan_run.context_parallel=ulysses; add it, or start one process"
        )
    if run.cache != "none":
        cache_config(run, num_inference_steps)


def fold_adapters(transformer: Any) -> list[str]:
    """Add every LoRA at work to the weights and take its layers off: fused and quantised products would pass it by."""
    if not getattr(transformer, "peft_config", None):
        return []
    names = list(transformer.peft_config)
    transformer.fuse_lora(adapter_names=list(transformer.active_adapters()))
    transformer.unload_lora()
    return [f"adapters folded in: {', '.join(names)}"]


def cache_config(run: RunConfig, num_inference_steps: int) -> Any:
    """diffusers' configuration of the chosen cache. Raises InputError for ratios of another number of steps."""
    from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
    from diffusers.hooks.mag_cache import MagCacheConfig

    if run.cache == "first_block":
        return FirstBlockCacheConfig(threshold=run.cache_threshold)
    if len(run.mag_ratios) != num_inference_steps:
        raise InputError(
            f"mag_ratios has {len(run.mag_ratios)} numbers for {num_inference_steps} steps; "
            "measure them again: python -m benchmarks.gpu_generate --calibrate"
        )
    ratios = torch.tensor(run.mag_ratios)
    return MagCacheConfig(threshold=run.cache_threshold, num_inference_steps=num_inference_steps, mag_ratios=ratios)


def calibrate(transformer: Any, num_inference_steps: int, draw: Callable[[], object]) -> tuple[float, ...]:
    """MagCache's ratios of this model and scheduler: `draw` denoises one chunk, exactly, while they are taken.

    diffusers prints them and gives them in no other way.
    """
    from diffusers.hooks.mag_cache import MagCacheConfig

    transformer.enable_cache(MagCacheConfig(calibrate=True, num_inference_steps=num_inference_steps))
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            draw()
    finally:
        transformer.disable_cache()
    line = next(line for line in said.getvalue().splitlines() if line.startswith("[") and line[-1] == "]")
    return tuple(round(float(ratio), 5) for ratio in ast.literal_eval(line))


def warm(
    transformer: Any,
    layouts: tuple[Layout, ...],
    height: int,
    width: int,
    device: torch.device | str,
    image_tokens: int = IMAGE_TOKENS,
) -> None:
    """One pass at each length, so that compiling is done before the first chunk and not again at the second."""
    dtype, config = transformer.dtype, transformer.config
    h, w = height // SPATIAL_FACTOR, width // SPATIAL_FACTOR

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    for slots in layouts:
        transformer._reset_stateful_cache()
        with torch.no_grad(), transformer.cache_context("warm"):
            transformer(
                hidden_states=zeros(1, config.in_channels, slots.slots, h, w),
                timestep=torch.zeros(1, device=device),
                encoder_hidden_states=zeros(1, TEXT_TOKENS if image_tokens else 1, config.text_dim),
                encoder_hidden_states_image=zeros(1, image_tokens, config.image_dim or 0),
                motion_hidden_states=zeros(1, LATENT_CHANNELS, slots.video, h, w),
                return_dict=False,
            )
    transformer._reset_stateful_cache()


def _fp8(transformer: Any, device: torch.device) -> int:
    from stages.wan.fp8_linear import replace_linears

    _check_fp8(device)
    return replace_linears(transformer.blocks)


def _check_fp8(device: torch.device) -> None:
    from stages.wan.fp8_linear import LEAST_CAPABILITY

    if device.type == "cuda" and torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        name = torch.cuda.get_device_name(device)
        raise InputError(f"{name} does not multiply in 8 bits; set wan_run.fp8_compute=false or storage=fp8")


def _stand_in() -> Any:
    """The least transformer of the kind, without memory: what can run depends on the kind, not on the size."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.device("meta"):
        return WanTransformer3DModel(num_attention_heads=1, attention_head_dim=12, ffn_dim=8, num_layers=1)


def _attention(transformer: Any, name: str) -> None:
    from stages.wan.loading import silenced

    try:
        with silenced():
            transformer.set_attention_backend(name)
    except (ValueError, RuntimeError, ImportError, NotImplementedError) as error:
        first = " ".join(str(error).split())[:200]
        raise InputError(f"attention {name} cannot be used here: {first}; set wan_run.attention=native") from error


def _parallel(transformer: Any, kind: str) -> str:
    """Split the tokens over the processes of torchrun, by diffusers' own plan for Wan."""
    from diffusers.models._modeling_parallel import ContextParallelConfig

    world, ulysses = _processes(kind, transformer.config.num_attention_heads), kind == "ulysses"
    parallel = ContextParallelConfig(ulysses_degree=world if ulysses else 1, ring_degree=1 if ulysses else world)
    transformer.enable_parallelism(config=parallel)
    return f"tokens over {world} cards ({kind})"


def _processes(kind: str, heads: int) -> int:
    """How many share the tokens. Raises InputError where they cannot."""
    world = context_parallel.world()
    if world < 2:
        raise InputError(
            f"context_parallel {kind} needs several processes: torchrun --nproc-per-node 2 -m emosh_cli ..."
        )
    if torch.accelerator.device_count() < 1:
        raise InputError(f"context_parallel {kind} needs a GPU for each process")
    if kind == "ulysses" and heads % world:
        raise InputError(f"{heads} attention heads do not divide by {world} processes; use ring, or 2, 4, 5 or 8")
    return world
