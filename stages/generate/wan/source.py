"""The weights that a clip is drawn with, refused early or opened late."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.errors import InputError
from stages.generate.wan.draw import Models
from stages.progress import Progress, silent
from stages.wan.config import WanConfig
from stages.wan.digests import file_digests, folder_digests
from stages.wan.folder import ModelFolder

PARTS = ("transformer", "vae")
"""Components of the folder that drawing needs."""


@dataclass(frozen=True)
class Source:
    """A checked model folder, our adapter on top of it, and the sha256 of all that is loaded, by role."""

    folder: ModelFolder
    adapter: Path | None
    weights: dict[str, str]


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
    from stages.wan.adapter import check_adapter, check_lora

    source.folder.part("vae")
    if source.adapter is not None:
        check_adapter(source.adapter, source.folder.config)
    elif not source.folder.has_motion_embedding:
        raise InputError(
            f"{source.folder.path} has no motion embedding, so the motion would have no effect; "
            "give EMOSH's own training with --adapter, or use Wan2.2-Animate-14B as the base"
        )
    for path, _ in _loras(config):
        check_lora(path)


def opened(source: Source, config: WanConfig, device: str) -> Models:
    """Load the transformer with its adapters, and the VAE. Raises InputError where the weights cannot be read."""
    import torch

    from stages.wan.adapter import load_adapter, stack_lora
    from stages.wan.loading import DTYPES, load_transformer, load_vae

    transformer = load_transformer(source.folder, DTYPES[config.dtype], device)
    if source.adapter is not None:
        load_adapter(transformer, source.adapter, config.adapter_scale)
    for path, scale in _loras(config):
        stack_lora(transformer, path, scale)
    return Models(transformer, load_vae(source.folder, DTYPES[config.vae_dtype], device), torch.device(device))


def _loras(config: WanConfig) -> list[tuple[Path, float]]:
    from stages.wan.adapter import parsed_lora

    return [parsed_lora(text) for text in config.loras]
