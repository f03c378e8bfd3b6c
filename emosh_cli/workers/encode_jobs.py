"""The jobs of a training set: each draws and encodes one clip. A job does nothing if its file exists, so any process
may call it again at any time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from emosh_cli.workers.curate_jobs import error_text, raise_if_disk_full

if TYPE_CHECKING:
    from stages.artifacts.manifest import ClipLine
    from stages.body.model import Body
    from stages.encode.cache_config import CacheConfig
    from stages.encode.config import EncodeConfig
    from stages.encode.training_clips import Encoders
    from stages.render_cond.config import RenderCondConfig

MAPS_FOLDER = ".drawing"
"""Folder in a cache for temporary condition maps."""


@dataclass(frozen=True)
class CacheSettings:
    """Settings and weights of a cache. They decide the bytes of every clip."""

    encode: EncodeConfig
    cache: CacheConfig
    render_cond: RenderCondConfig
    weights: dict[str, str]
    """sha256 of networks, body and code."""


@dataclass(frozen=True)
class EncodeJob:
    """Draw and encode one clip into the folder `out`. `number` names its temporary condition map."""

    number: int
    clip: ClipLine
    settings: CacheSettings
    out: Path
    model: Path
    body: Path
    device: str


@dataclass(frozen=True)
class EncodeResult:
    """A clip's file in the cache and whether it existed before, or the error."""

    file: str = ""
    was_there: bool = False
    error: str | None = None


def run_encode_job(job: EncodeJob) -> EncodeResult:
    """Encode the clip, or find its file. Raises for a full disk or GPU, after which no clip can succeed."""
    try:
        return _encode(job)
    except Exception as error:
        raise_if_disk_full(error)
        if type(error).__name__ == "OutOfMemoryError":
            from stages.wan.offload import explained_out_of_memory

            with explained_out_of_memory(None, "encoding"):
                raise
        return EncodeResult(error=error_text(error))


def _encode(job: EncodeJob) -> EncodeResult:
    from emosh_cli.outputs import require_file
    from stages.artifacts.motion import load_motion
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file
    from stages.artifacts.training_cache import is_encoded_clip
    from stages.encode.training_clips import encode_clip
    from stages.render_cond.render import write_condition

    clip, settings = job.clip, job.settings
    assert clip.motion is not None
    inputs = {
        "video": sha256_file(require_file(clip.video, "a clip's video")),
        "motion": sha256_file(require_file(clip.motion, "a clip's motion .npz")),
    }
    configs = {name: config_dict(getattr(settings, name)) for name in ("encode", "cache", "render_cond")}
    place = {"first_frame": clip.first_frame, "frames": clip.frames}
    record = Provenance("encode", {**configs, **place}, inputs, settings.weights, notes={"video": clip.video.name})
    name = f"clip-{record.fingerprint()[:24]}.safetensors"
    if is_encoded_clip(job.out / name, record.fingerprint()):
        return EncodeResult(name, True)
    cond = job.out / MAPS_FOLDER / f"{job.number}.mp4"
    cond.parent.mkdir(exist_ok=True)
    try:
        write_condition(load_motion(clip.motion), _body(job.body), settings.render_cond, cond)
        encoders = encoders_once(job.model, settings.encode, job.device)
        encode_clip(clip, cond, encoders, job.out / name, settings.encode, settings.cache, record)
    finally:
        cond.unlink(missing_ok=True)
    return EncodeResult(name)


@lru_cache(1)
def encoders_once(model: Path, config: EncodeConfig, device: str) -> Encoders:
    """VAE and CLIP, loaded once per process."""
    from stages.encode.training_clips import load_encoders
    from stages.wan.folder import open_folder

    return load_encoders(open_folder(model), config, device)


@cache
def _body(path: Path) -> Body:
    from stages.body.store import open_body

    return open_body(str(path))
