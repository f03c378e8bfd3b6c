"""Step caches, faster kernels and splitting over GPUs: options that diffusers' own parts put on a loaded transformer.

The order matters. LoRAs are folded into the weights before any option reads the weights directly; weights are changed
(`change_weights`) before they are placed, because 8-bit storage and offload take the weights that are there; the
attention backend is set before attention is split over GPUs; compiling comes last. A step cache keeps state between
steps; `denoise` empties it before every chunk, because a later chunk may have one slot more.
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
from stages.wan.layout import IMAGE_TOKENS, LATENT_CHANNELS, SPATIAL_FACTOR, TEXT_TOKENS, Layout, chunk_frames
from stages.wan.run_config import RunConfig


def change_weights(transformer: Any, run: RunConfig, device: torch.device | str) -> list[str]:
    """Fold LoRAs in, fuse projections and store weights for 8-bit products, as chosen; before the weights are placed.

    Returns one description per option. Raises InputError for an option that cannot run here.
    """
    done = []
    if run.fuse_qkv or run.fp8_compute or run.compile:
        done += fold_adapters(transformer)
    if run.fuse_qkv:
        transformer.fuse_qkv_projections()
        _drop_unfused(transformer)
        done.append("query, key and value in one product")
    if run.fp8_compute:
        done.append(f"{_replace_linears(transformer, torch.device(device))} linears in 8 bits")
    return done


def speed_up(transformer: Any, run: RunConfig, num_inference_steps: int) -> list[str]:
    """Apply every other chosen option to the placed transformer. Returns one description per option.

    Raises InputError for an option that cannot run here.
    """
    done = []
    if run.attention != "native":
        _set_attention(transformer, run.attention)
        done.append(f"attention by {run.attention}")
    if run.context_parallel != "none":
        done.append(_split_tokens(transformer, run.context_parallel))
    if run.cache != "none":
        transformer.enable_cache(cache_config(run, num_inference_steps))
        done.append(f"{run.cache} cache, threshold {run.cache_threshold:g}")
    if run.compile:
        transformer.compile_repeated_blocks(fullgraph=run.cache == "none")
        done.append("blocks compiled")
    return done


def check_runnable(run: RunConfig, num_inference_steps: int, heads: int, device: torch.device | str) -> None:
    """Refuse options that cannot run here, before any weight is loaded.

    Checks 8-bit products, the attention backend, the split over processes (too few processes, or processes without
    context_parallel) and the number of mag_ratios. `heads` is the transformer's number of attention heads.
    """
    if run.fp8_compute:
        _check_fp8(torch.device(device))
    if run.attention != "native":
        _set_attention(_smallest_transformer(), run.attention)
    if run.context_parallel != "none":
        _checked_process_count(run.context_parallel, heads)
    elif context_parallel.process_count() > 1:
        raise InputError(
            f"torchrun started {context_parallel.process_count()} processes, but context_parallel is none; "
            "add --set wan_run.context_parallel=ulysses, or start one process"
        )
    if run.cache != "none":
        cache_config(run, num_inference_steps)


def fold_adapters(transformer: Any) -> list[str]:
    """Add every active LoRA to the weights and remove its layers: fused and quantised products would ignore them.

    Returns one description, or none without a LoRA.
    """
    if not getattr(transformer, "peft_config", None):
        return []
    names = list(transformer.peft_config)
    transformer.fuse_lora(adapter_names=list(transformer.active_adapters()))
    transformer.unload_lora()
    return [f"adapters folded in: {', '.join(names)}"]


def cache_config(run: RunConfig, num_inference_steps: int) -> Any:
    """diffusers' configuration of the chosen cache. Raises InputError unless there is one mag_ratio per step."""
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


def calibrate_mag_cache(transformer: Any, num_inference_steps: int, draw: Callable[[], object]) -> tuple[float, ...]:
    """Measure MagCache's ratios for this model and scheduler. `draw` denoises one chunk without a cache meanwhile.

    diffusers only prints the ratios, so they are read from its output.
    """
    from diffusers.hooks.mag_cache import MagCacheConfig

    transformer.enable_cache(MagCacheConfig(calibrate=True, num_inference_steps=num_inference_steps))
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            draw()
    finally:
        transformer.disable_cache()
    line = next(line for line in printed.getvalue().splitlines() if line.startswith("[") and line[-1] == "]")
    return tuple(round(float(ratio), 5) for ratio in ast.literal_eval(line))


def warm_up(
    transformer: Any,
    layouts: tuple[Layout, ...],
    height: int,
    width: int,
    device: torch.device | str,
    image_tokens: int = IMAGE_TOKENS,
    face_features: int = 0,
) -> None:
    """Run one forward pass per layout, so that all compiling is done before the first chunk.

    `height` and `width` are in pixels. `face_features`: numbers per face, 0 for a clip without faces.
    """
    dtype, config = transformer.dtype, transformer.config
    h, w = height // SPATIAL_FACTOR, width // SPATIAL_FACTOR

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    for slots in layouts:
        face = {"face_motion": zeros(1, chunk_frames(slots), face_features)} if face_features else {}
        transformer._reset_stateful_cache()
        with torch.no_grad(), transformer.cache_context("warm"):
            transformer(
                hidden_states=zeros(1, config.in_channels, slots.slots, h, w),
                timestep=torch.zeros(1, device=device),
                encoder_hidden_states=zeros(1, TEXT_TOKENS if image_tokens else 1, config.text_dim),
                encoder_hidden_states_image=zeros(1, image_tokens, config.image_dim or 0),
                motion_hidden_states=zeros(1, LATENT_CHANNELS, slots.video, h, w),
                return_dict=False,
                **face,
            )
    transformer._reset_stateful_cache()


def _drop_unfused(transformer: Any) -> None:
    """Remove the projections that diffusers keeps beside the fused ones: 14.7 GB of the 14B model in bf16.

    The added key and value leave an Identity, because diffusers asks whether they are None.
    """
    for module in transformer.modules():
        if getattr(module, "fused_projections", False):
            for name in ("to_q", "to_k", "to_v") if hasattr(module, "to_qkv") else ("to_k", "to_v"):
                delattr(module, name)
            if hasattr(module, "to_added_kv"):
                module.add_k_proj = module.add_v_proj = torch.nn.Identity()


def _replace_linears(transformer: Any, device: torch.device) -> int:
    from stages.wan.fp8_linear import replace_linears

    _check_fp8(device)
    return replace_linears(transformer.blocks)


def _check_fp8(device: torch.device) -> None:
    """Multiply once. Raises InputError where this torch or this card cannot multiply in 8 bits with a scale per row."""
    from stages.wan.fp8_linear import Fp8Linear

    try:
        Fp8Linear(torch.nn.Linear(16, 16, device=device, dtype=torch.bfloat16))(torch.ones(16, 16, device=device))
    except RuntimeError as error:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"torch {torch.__version__} on the CPU"
        raise InputError(
            f"{name} does not multiply in 8 bits with a scale per row; set wan_run.fp8_compute=false or storage=fp8"
        ) from error


def _smallest_transformer() -> Any:
    """A tiny transformer without memory, to try an attention backend: whether it works does not depend on the size."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.device("meta"):
        return WanTransformer3DModel(num_attention_heads=1, attention_head_dim=12, ffn_dim=8, num_layers=1)


def _set_attention(transformer: Any, name: str) -> None:
    from stages.wan.loading import quiet_libraries

    try:
        with quiet_libraries():
            transformer.set_attention_backend(name)
    except (ValueError, RuntimeError, ImportError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"attention {name} cannot be used here: {reason}; set wan_run.attention=native") from error


def _split_tokens(transformer: Any, kind: str) -> str:
    """Split the tokens over torchrun's processes, by diffusers' own plan for Wan. Returns a description."""
    from diffusers.models._modeling_parallel import ContextParallelConfig

    world, ulysses = _checked_process_count(kind, transformer.config.num_attention_heads), kind == "ulysses"
    parallel = ContextParallelConfig(ulysses_degree=world if ulysses else 1, ring_degree=1 if ulysses else world)
    transformer.enable_parallelism(config=parallel)
    return f"tokens over {world} cards ({kind})"


def _checked_process_count(kind: str, heads: int) -> int:
    """Number of processes that share the tokens. Raises InputError where they cannot."""
    world = context_parallel.process_count()
    if world < 2:
        raise InputError(
            f"context_parallel {kind} needs several processes: torchrun --nproc-per-node 2 -m emosh_cli ..."
        )
    if torch.accelerator.device_count() < 1:
        raise InputError(f"context_parallel {kind} needs a GPU for each process")
    if kind == "ulysses" and heads % world:
        raise InputError(f"{heads} attention heads do not divide by {world} processes; use ring, or 2, 4, 5 or 8")
    return world
