"""The weights that a clip is drawn with: check them early, load them late."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.artifacts.provenance import config_dict
from stages.errors import InputError
from stages.generate.wan.draw import Models
from stages.progress import Progress, silent
from stages.wan.config import WanConfig
from stages.wan.digests import file_digests, folder_digests
from stages.wan.folder import ModelFolder
from stages.wan.layout import Layout
from stages.wan.placement import Placement
from stages.wan.run_config import RunConfig, check_face_options, check_pack_options

PARTS = ("transformer", "vae")
"""Components of the model folder that drawing needs."""


@dataclass(frozen=True)
class Source:
    """A checked model folder, emosh's adapter, and role -> sha256 of everything that is loaded.

    `face`: with Wan-Animate's face modules.
    """

    folder: ModelFolder
    adapter: Path | None
    weights: dict[str, str]
    face: bool = False


@dataclass(frozen=True)
class RunPlan:
    """How the weights are run: the settings, and the placement that the plan chose."""

    config: RunConfig = field(default_factory=RunConfig)
    placement: Placement = field(default_factory=Placement)

    def affecting_result(self) -> dict[str, Any]:
        """The settings that can change the result, for the fingerprint. Offload is left out, because it changes
        nothing."""
        kept = ("attention", "fuse_qkv", "compile", "fp8_compute", "cache", "context_parallel")
        settings = {key: value for key, value in asdict(self.config).items() if key in kept}
        if self.config.cache != "none":
            settings |= {"cache_threshold": self.config.cache_threshold, "mag_ratios": list(self.config.mag_ratios)}
        return {**settings, "fp8_storage": self.placement.fp8_storage, "vae_tiling": self.placement.vae_tiling}


def hash_source(
    folder: ModelFolder, adapter: Path | None, config: WanConfig, cache: Path | None = None, progress: Progress = silent
) -> Source:
    """Check and hash everything that will be loaded. `cache` is the folder of cached digests. Raises as
    `check_source`."""
    check_source(Source(folder, adapter, {}), config)
    weights = folder_digests(folder, PARTS if folder.pack is None else ("vae",), cache, progress)
    extra = {} if folder.pack is None else {"transformer": folder.pack.path}
    extra |= {"adapter": adapter} if adapter is not None else {}
    extra |= {f"lora_{number}": path for number, (path, _) in enumerate(_loras(config))}
    digests = file_digests(list(extra.values()), cache, progress)
    return Source(folder, adapter, weights | {role: digests[path] for role, path in extra.items()})


def check_source(source: Source, config: WanConfig) -> None:
    """Refuse weights that do not fit each other. Reads headers only."""
    from stages.wan.adapter import check_adapter
    from stages.wan.lora_check import check_lora
    from stages.wan.part_check import check_vae

    check_vae(source.folder.part("vae"))
    if source.adapter is not None:
        check_adapter(source.adapter, source.folder.config)
    elif not source.folder.has_motion_embedding:
        raise InputError(
            f"{source.folder.path} has no motion embedding, so the motion would have no effect; "
            "give EMOSH's adapter with --adapter, or use Wan2.2-Animate-14B as the base"
        )
    if source.face and not source.folder.has_face:
        from stages.wan.loading import FACE_ADVICE

        raise InputError(f"{source.folder.path} has no face modules, which the skeleton needs; {FACE_ADVICE}")
    for path, _ in _loras(config):
        check_lora(path, source.folder.config)


def load_models(source: Source, config: WanConfig, device: str, run_plan: RunPlan | None = None) -> Models:
    """Load the transformer with its adapters, and the VAE, each to the device of the plan.

    Raises InputError where the weights cannot be read, or an option cannot run on this machine.
    """
    import torch

    from stages.wan import context_parallel
    from stages.wan.acceleration import change_weights, check_runnable, fold_adapters, speed_up
    from stages.wan.adapter import load_adapter, stack_lora
    from stages.wan.loading import DTYPES, load_transformer, load_vae
    from stages.wan.offload import apply_placement, explained_out_of_memory

    run_plan = run_plan or RunPlan()
    if source.face:
        check_face_options(run_plan.config)
    if source.folder.pack is not None:
        check_pack_options(run_plan.config)
    if not context_parallel.is_helper():
        heads = source.folder.config["num_attention_heads"]
        check_runnable(run_plan.config, config.num_inference_steps, heads, device)
        context_parallel.send_setup(source, config, run_plan, torch.device(device).type)
    placement, dtype = run_plan.placement, DTYPES[config.dtype]
    on_cpu_first = placement.group_offload or placement.fp8_storage
    with explained_out_of_memory(placement, "loading the model", source.folder.pack is not None):
        transformer = load_transformer(source.folder, dtype, "cpu" if on_cpu_first else device, source.face)
        if source.adapter is not None:
            load_adapter(transformer, source.adapter, config.adapter_scale)
        for path, scale in _loras(config):
            stack_lora(transformer, path, scale)
        if on_cpu_first and source.folder.pack is None:
            fold_adapters(transformer)
        vae = load_vae(source.folder, DTYPES[config.vae_dtype], device)
        change_weights(transformer, run_plan.config, device)
        apply_placement(transformer, vae, placement, device, dtype)
        run = without_compile(run_plan.config) if placement.group_offload else run_plan.config
        speed_up(transformer, run, config.num_inference_steps)
    if context_parallel.process_count() > 1 and not context_parallel.is_helper():
        context_parallel.share_calls(transformer)
    return Models(transformer, vae, torch.device(device))


def run_helper() -> None:
    """In every process of torchrun except the first: load the same networks and repeat the transformer's calls."""
    import os

    from stages.wan import context_parallel

    setup = context_parallel.receive_setup()
    if setup is None:
        return
    source, config, run_plan, kind = setup
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind
    context_parallel.repeat_calls(load_models(source, config, device, run_plan).transformer, device)


def without_compile(run: RunConfig) -> RunConfig:
    """The settings without compile, for group offload: compiled blocks must stay on their device."""
    from dataclasses import replace

    return replace(run, compile=False)


def compile_models(
    models: Models,
    run_plan: RunPlan,
    layouts: tuple[Layout, ...],
    height: int,
    width: int,
    image_tokens: int,
    face_features: int,
) -> None:
    """Compile the transformer for every chunk length of the clip, before the first chunk."""
    from stages.wan.acceleration import warm_up

    if run_plan.config.compile and not run_plan.placement.group_offload:
        warm_up(models.transformer, layouts, height, width, models.device, image_tokens, face_features)


def recorded_settings(config: WanConfig) -> dict[str, Any]:
    """The settings for a record. LoRAs are named without their folders; their sha256 is among the weights."""
    loras = [f"{path.name}:{scale:g}" for path, scale in _loras(config)]
    return {**config_dict(config), "loras": loras}


def dropped_lora_names(config: WanConfig) -> dict[str, list[str]]:
    """LoRA file -> names of its tensors that diffusers ignores, for files that have any."""
    from stages.wan import lora_check

    found = {str(path): lora_check.dropped_names(path) for path, _ in _loras(config)}
    return {path: names for path, names in found.items() if names}


def _loras(config: WanConfig) -> list[tuple[Path, float]]:
    from stages.body.store import home
    from stages.wan.adapter import parse_lora
    from stages.wan.weights import LORAS, part

    found = []
    for text in config.loras:
        path, scale = parse_lora(text)
        if str(path) in LORAS and not path.exists():
            weights = part(str(path))
            path = weights.installed_path(home())
            if not weights.installed(home()):
                raise InputError(f"loras: {weights.name} is not installed; emosh models fetch {weights.name}")
        found.append((path, scale))
    return found


def lora_bytes(adapter: Path | None, config: WanConfig) -> int:
    """Bytes of the adapter's and the LoRAs' files."""
    files = [path for path, _ in _loras(config)] + ([] if adapter is None else [adapter])
    return sum(path.stat().st_size for path in files)
