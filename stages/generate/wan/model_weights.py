"""The weights that a clip is drawn with, refused early or opened late."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.errors import InputError
from stages.generate.wan.draw import Models
from stages.progress import Progress, silent
from stages.wan.config import WanConfig
from stages.wan.digests import file_digests, folder_digests
from stages.wan.folder import ModelFolder
from stages.wan.layout import Layout
from stages.wan.placement import Placement
from stages.wan.run_config import RunConfig

PARTS = ("transformer", "vae")
"""Components of the folder that drawing needs."""


@dataclass(frozen=True)
class Source:
    """A checked model folder, our adapter on top of it, and the sha256 of all that is loaded, by role."""

    folder: ModelFolder
    adapter: Path | None
    weights: dict[str, str]


@dataclass(frozen=True)
class Running:
    """How the weights are run: the settings, and where the plan puts them."""

    config: RunConfig = field(default_factory=RunConfig)
    placement: Placement = field(default_factory=Placement)

    def deciding(self) -> dict[str, Any]:
        """What of it can change a bit of the result; where weights wait does not."""
        kept = ("attention", "fuse_qkv", "compile", "fp8_compute", "cache", "context_parallel")
        chosen = {key: value for key, value in asdict(self.config).items() if key in kept}
        if self.config.cache != "none":
            chosen |= {"cache_threshold": self.config.cache_threshold, "mag_ratios": list(self.config.mag_ratios)}
        return {**chosen, "fp8_storage": self.placement.fp8_storage, "vae_tiling": self.placement.vae_tiling}


def described(
    folder: ModelFolder, adapter: Path | None, config: WanConfig, cache: Path | None = None, progress: Progress = silent
) -> Source:
    """Hash what will be loaded; `cache` remembers. Raises InputError as `check_source` does."""
    check_source(Source(folder, adapter, {}), config)
    weights = folder_digests(folder, PARTS, cache, progress)
    extra = {"adapter": adapter} if adapter is not None else {}
    extra |= {f"lora_{number}": path for number, (path, _) in enumerate(_loras(config))}
    digests = file_digests(list(extra.values()), cache, progress)
    return Source(folder, adapter, weights | {role: digests[path] for role, path in extra.items()})


def check_source(source: Source, config: WanConfig) -> None:
    """Refuse, by headers alone, weights that do not fit each other."""
    from stages.wan.adapter import check_adapter
    from stages.wan.lora_check import check_lora
    from stages.wan.part_check import check_vae

    check_vae(source.folder.part("vae"))
    if source.adapter is not None:
        check_adapter(source.adapter, source.folder.config)
    elif not source.folder.has_motion_embedding:
        raise InputError(
            f"{source.folder.path} has no motion embedding, so the motion would have no effect; "
            "give EMOSH's own training with --adapter, or use Wan2.2-Animate-14B as the base"
        )
    for path, _ in _loras(config):
        check_lora(path, source.folder.config)


def opened(source: Source, config: WanConfig, device: str, running: Running | None = None) -> Models:
    """Load the transformer with its adapters, and the VAE, each to where the plan puts it.

    Raises InputError where the weights cannot be read, or an option cannot run here.
    """
    import torch

    from stages.wan import context_parallel
    from stages.wan.acceleration import check_runnable, fold_adapters, speed_up
    from stages.wan.adapter import load_adapter, stack_lora
    from stages.wan.loading import DTYPES, load_transformer, load_vae
    from stages.wan.offload import memory_sentences, place

    running = running or Running()
    if not context_parallel.is_helper():
        heads = source.folder.config["num_attention_heads"]
        check_runnable(running.config, config.num_inference_steps, heads, device)
        context_parallel.announce(source, config, running, torch.device(device).type)
    placement, dtype = running.placement, DTYPES[config.dtype]
    waits = placement.group_offload or placement.fp8_storage
    with memory_sentences(placement, "loading the model"):
        transformer = load_transformer(source.folder, dtype, "cpu" if waits else device)
        if source.adapter is not None:
            load_adapter(transformer, source.adapter, config.adapter_scale)
        for path, scale in _loras(config):
            stack_lora(transformer, path, scale)
        if waits:
            fold_adapters(transformer)
        vae = load_vae(source.folder, DTYPES[config.vae_dtype], device)
        if not placement.group_offload:
            speed_up(transformer, running.config, config.num_inference_steps, device)
        place(transformer, vae, placement, device, dtype)
        if placement.group_offload:
            speed_up(transformer, uncompiled(running.config), config.num_inference_steps, device)
    if context_parallel.world() > 1 and not context_parallel.is_helper():
        context_parallel.lead(transformer)
    return Models(transformer, vae, torch.device(device))


def help_out() -> None:
    """In every process of torchrun's but the first: load what that one loads, and help with its transformer."""
    import os

    from stages.wan import context_parallel

    told = context_parallel.told()
    if told is None:
        return
    source, config, running, kind = told
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind
    context_parallel.follow(opened(source, config, device, running).transformer, device)


def uncompiled(run: RunConfig) -> RunConfig:
    """The settings for blocks that come and go: what is compiled must stay where it is."""
    from dataclasses import replace

    return replace(run, compile=False)


def warmed(
    models: Models, running: Running, layouts: tuple[Layout, ...], height: int, width: int, image_tokens: int
) -> None:
    """Compile for every length that the clip has, before the first chunk."""
    from stages.wan.acceleration import warm

    if running.config.compile and not running.placement.group_offload:
        warm(models.transformer, layouts, height, width, models.device, image_tokens)


def left_out(config: WanConfig) -> dict[str, list[str]]:
    """LoRA files, and the names in each that diffusers drops."""
    from stages.wan import lora_check

    found = {str(path): lora_check.left_out(path) for path, _ in _loras(config)}
    return {path: names for path, names in found.items() if names}


def _loras(config: WanConfig) -> list[tuple[Path, float]]:
    from stages.wan.adapter import parsed_lora

    return [parsed_lora(text) for text in config.loras]
