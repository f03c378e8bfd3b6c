"""Validation during training: draws clips with the current model and measures them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import require_file
from stages.artifacts.provenance import code_digest, sha256_file
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.diffusion_model import DiffusionModel
    from stages.wan.config import WanConfig


def validation_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(latents, real video) for every NAME.safetensors and NAME.mp4.

    Raises InputError for a missing or damaged file, which would otherwise fail after hours of training.
    """
    from stages.artifacts.latents import Latents
    from stages.video.source import probe

    latents = sorted(folder.glob("*.safetensors"))
    if not latents:
        raise InputError(f"{folder} holds no latents to validate on; make some with: emosh encode --ref --cond")
    for path in latents:
        Latents(path)
        probe(require_file(path.with_suffix(".mp4"), f"the real video beside {path.name}"))
    return [(path, path.with_suffix(".mp4")) for path in latents]


def validator(pairs: list[tuple[Path, Path]], opened: DiffusionModel, config: WanConfig, out: Path) -> Callable:
    """The function that training calls: it draws the clips with the current model and measures PSNR, SSIM and L1."""

    def validate(model: Any, adapter: Path, step: int) -> dict[str, float]:
        import torch

        from stages.evaluate.evaluate import evaluate_paired
        from stages.generate.wan.draw import Models
        from stages.generate.wan.generate import generate
        from stages.generate.wan.kept_models import KeptModels
        from stages.generate.wan.model_weights import Source
        from stages.wan.loading import DTYPES, load_vae

        device = next(model.parameters()).device
        vae = load_vae(opened.folder, DTYPES[config.vae_dtype], device)
        kept = KeptModels(Models(model, vae, torch.device(device)))
        source = Source(opened.folder, adapter, {"adapter": sha256_file(adapter)})
        place = out / "validation" / f"step-{step:06d}"
        place.mkdir(parents=True, exist_ok=True)
        found: dict[str, list[float]] = {}
        for latents, truth in pairs:
            result = place / f"{latents.stem}.mp4"
            generate(latents, source, config, result, place / f"{latents.stem}.chunks", device=str(device),
                     code=code_digest(), kept=kept)  # fmt: skip
            section = evaluate_paired(result, truth)
            for key in ("psnr", "ssim", "l1"):
                found.setdefault(key, []).append(section[key]["mean"])
        return {key: sum(values) / len(values) for key, values in found.items()}

    return validate
