"""What training needs of several stages: a manifest's clips drawn and encoded, and validation clips judged."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli import diffusion
from emosh_cli.diffusion import Diffusion
from emosh_cli.outputs import CACHE, need, settle_folder
from emosh_cli.pipeline import code_digest
from emosh_cli.run import Run
from stages.artifacts.provenance import Provenance, config_dict, sha256_file
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.manifest import ClipLine
    from stages.wan.config import WanConfig

WORKING = ".drawing"
"""Folder in a cache for the condition map at work."""


def encode_manifest(run: Run, manifest: Path, out: Path | None, model: str | None, device: str, body: str) -> None:
    """`emosh encode --manifest`: every usable clip drawn, encoded and kept; what is there already is not made again."""
    from stages.artifacts.manifest import read_manifest

    need(manifest, "a manifest .jsonl")
    target = settle_folder(out, CACHE, [manifest], run.force, manifest, "-cache", "common.safetensors")
    configs = run.configured_all(("encode", "cache", "render_cond"))
    used = [clip for clip in read_manifest(manifest) if clip.reason is None]
    if not used:
        raise InputError(f"{manifest}: every clip is rejected; there is nothing to encode")
    opened = diffusion.opened(model, "none", device, run.console, adapted=False)
    if run.dry_run:
        run.planned([f"encode {len(used)} clips of {manifest} -> {target}"], output=str(target))
        return
    making = _Making(run, target, configs, opened, body)
    made = making.clips(used)
    skipped = len(used) - len(made)
    if not made:
        raise InputError(f"{manifest}: none of its {len(used)} clips could be encoded")
    windows = making.finish(made, skipped)
    said = f"{windows} windows of {len(made)} clips, {making.cached} of them there already"
    run.done(target, said + (f"; {skipped} skipped" if skipped else ""), windows=windows, skipped=skipped)


class _Making:
    """A cache at work."""

    def __init__(self, run: Run, target: Path, configs: dict[str, Any], opened: Diffusion, body: str) -> None:
        from stages.body.store import open_body

        self.run, self.target, self.configs, self.opened = run, target, configs, opened
        self.body = open_body(body, progress=run.console.progress)
        self.weights = {**opened.encode_weights(), "body": self.body.sha256, "code": code_digest()}
        self.cached = 0
        self._encoders: Any = None
        target.mkdir(exist_ok=True)
        shutil.rmtree(target / WORKING, ignore_errors=True)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides a clip's file."""
        return {name: config_dict(config) for name, config in self.configs.items()}

    def clips(self, used: list[ClipLine]) -> list[str]:
        """Names of the files of all clips that could be encoded."""
        made = []
        for number, clip in enumerate(used):
            try:
                made.append(self._clip(clip))
            except InputError as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self.run.console.note(f"skipped: {error}")
            self.run.console.progress("clips", number + 1, len(used))
        return list(dict.fromkeys(made))

    def finish(self, made: list[str], skipped: int) -> int:
        """Write what all clips share, and the index; how many windows there are."""
        from stages.artifacts.training_cache import COMMON_FILE, CacheIndex, is_clip, windows_of
        from stages.encode.training import encode_common
        from stages.wan.layout import LAYOUT_VERSION

        encode, size = self.configs["encode"], self.configs["render_cond"]
        record = Provenance("encode", {"encode": config_dict(encode), "size": [size.width, size.height]},
                            weights=self.weights)  # fmt: skip
        if not is_clip(self.target / COMMON_FILE, record.fingerprint()):
            encode_common(self.opened.folder, self.encoders, self.target, (size.width, size.height), encode, record,
                          device=self.opened.device, cache=self.opened.cache)  # fmt: skip
        clips = tuple((name, windows_of(self.target / name)) for name in sorted(made))
        whole = Provenance("encode", self.settings, {name: "clip" for name, _ in clips}, self.weights)
        CacheIndex(
            size.width, size.height, encode.chunk_frames, encode.overlap_frames, LAYOUT_VERSION, clips, skipped,
            whole.fingerprint(),
        ).write(self.target)  # fmt: skip
        return sum(count for _, count in clips)

    @property
    def encoders(self) -> Any:
        """VAE and CLIP, loaded when first needed."""
        from stages.encode.training import load_encoders

        if self._encoders is None:
            self._encoders = load_encoders(self.opened.folder, self.configs["encode"], self.opened.device)
        return self._encoders

    def _clip(self, clip: ClipLine) -> str:
        from stages.artifacts.training_cache import is_clip
        from stages.encode.training import encode_clip

        assert clip.motion is not None
        need(clip.video, "a clip's video")
        need(clip.motion, "a clip's motion .npz")
        place = {"first_frame": clip.first_frame, "frames": clip.frames}
        inputs = {"video": sha256_file(clip.video), "motion": sha256_file(clip.motion)}
        notes = {"video": clip.video.name}
        record = Provenance("encode", {**self.settings, **place}, inputs, self.weights, notes=notes)
        name = f"clip-{record.fingerprint()[:24]}.safetensors"
        if is_clip(self.target / name, record.fingerprint()):
            self.cached += 1
            return name
        cond = self.target / WORKING / "cond.mp4"
        cond.parent.mkdir(exist_ok=True)
        try:
            self._draw(clip.motion, cond)
            encode_clip(clip, cond, self.encoders, self.target / name, self.configs["encode"], self.configs["cache"],
                        record, self.run.console.progress)  # fmt: skip
        finally:
            shutil.rmtree(cond.parent, ignore_errors=True)
        return name

    def _draw(self, motion: Path, cond: Path) -> None:
        from stages.artifacts.motion import load_motion
        from stages.render_cond.render import write_condition

        write_condition(load_motion(motion), self.body, self.configs["render_cond"], cond, self.run.console.progress)


def validation_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(latents, true video) of every NAME.safetensors with NAME.mp4. Raises InputError where one lacks the other."""
    latents = sorted(folder.glob("*.safetensors"))
    if not latents:
        raise InputError(f"{folder} holds no latents to validate on; make some with: emosh encode --ref --cond")
    for path in latents:
        need(path.with_suffix(".mp4"), f"the real video beside {path.name}")
    return [(path, path.with_suffix(".mp4")) for path in latents]


def validator(pairs: list[tuple[Path, Path]], opened: Diffusion, config: WanConfig, out: Path) -> Callable:
    """What training calls to have its clips drawn with the model as it is, and scored with evaluate's functions."""

    def validate(model: Any, adapter: Path, step: int) -> dict[str, float]:
        import torch

        from stages.evaluate.evaluate import evaluate_paired
        from stages.generate.wan.draw import Models
        from stages.generate.wan.generate import generate
        from stages.generate.wan.source import Source
        from stages.wan.loading import DTYPES, load_vae

        device = next(model.parameters()).device
        models = Models(model, load_vae(opened.folder, DTYPES[config.vae_dtype], device), torch.device(device))
        source = Source(opened.folder, adapter, {"adapter": sha256_file(adapter)})
        place = out / "validation" / f"step-{step:06d}"
        place.mkdir(parents=True, exist_ok=True)
        found: dict[str, list[float]] = {}
        for latents, truth in pairs:
            result = place / f"{latents.stem}.mp4"
            generate(latents, source, config, result, place / f"{latents.stem}.chunks", device=str(device),
                     code=code_digest(), models=models)  # fmt: skip
            section = evaluate_paired(result, truth)
            for key in ("psnr", "ssim", "l1"):
                found.setdefault(key, []).append(section[key]["mean"])
        return {key: sum(values) / len(values) for key, values in found.items()}

    return validate
