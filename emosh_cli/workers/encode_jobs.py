"""The clips of a training set, drawn and encoded one a job. A job does nothing where its file is there, so it may be
done again, by anyone, at any time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from emosh_cli.workers.curate_jobs import refuse_full_disk, worded

if TYPE_CHECKING:
    from stages.artifacts.manifest import ClipLine
    from stages.body.model import Body
    from stages.encode.cache_config import CacheConfig
    from stages.encode.config import EncodeConfig
    from stages.encode.training_clips import Encoders
    from stages.render_cond.config import RenderCondConfig

WORKING = ".drawing"
"""Folder in a cache for the condition maps at work."""


@dataclass(frozen=True)
class CacheSettings:
    """What all clips of a cache share, and what decides their bytes."""

    encode: EncodeConfig
    cache: CacheConfig
    render_cond: RenderCondConfig
    weights: dict[str, str]
    """What networks, body and code hash to."""


@dataclass(frozen=True)
class EncodeJob:
    """Draw and encode one clip into the folder `out`; its map at work is called after `number`."""

    number: int
    clip: ClipLine
    settings: CacheSettings
    out: Path
    model: Path
    body: Path
    device: str


@dataclass(frozen=True)
class Encoded:
    """A clip's file in the cache, and whether it was there before; or why there is none."""

    file: str = ""
    was_there: bool = False
    error: str | None = None


def encode_one(job: EncodeJob) -> Encoded:
    """The clip's file, which lies in its place. Raises InputError for a full disk or card, with which no clip fits."""
    try:
        return _encoded(job)
    except Exception as error:
        refuse_full_disk(error)
        if type(error).__name__ == "OutOfMemoryError":
            from stages.wan.offload import explained_out_of_memory

            with explained_out_of_memory(None, "encoding"):
                raise
        return Encoded(error=worded(error))


def _encoded(job: EncodeJob) -> Encoded:
    from emosh_cli.outputs import need
    from stages.artifacts.motion import load_motion
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file
    from stages.artifacts.training_cache import is_encoded_clip
    from stages.encode.training_clips import encode_clip
    from stages.render_cond.render import write_condition

    clip, own = job.clip, job.settings
    assert clip.motion is not None
    inputs = {
        "video": sha256_file(need(clip.video, "a clip's video")),
        "motion": sha256_file(need(clip.motion, "a clip's motion .npz")),
    }
    configs = {name: config_dict(getattr(own, name)) for name in ("encode", "cache", "render_cond")}
    place = {"first_frame": clip.first_frame, "frames": clip.frames}
    record = Provenance("encode", {**configs, **place}, inputs, own.weights, notes={"video": clip.video.name})
    name = f"clip-{record.fingerprint()[:24]}.safetensors"
    if is_encoded_clip(job.out / name, record.fingerprint()):
        return Encoded(name, True)
    cond = job.out / WORKING / f"{job.number}.mp4"
    cond.parent.mkdir(exist_ok=True)
    try:
        write_condition(load_motion(clip.motion), _body(job.body), own.render_cond, cond)
        encoders = encoders_of(job.model, own.encode, job.device)
        encode_clip(clip, cond, encoders, job.out / name, own.encode, own.cache, record)
    finally:
        cond.unlink(missing_ok=True)
    return Encoded(name)


@lru_cache(1)
def encoders_of(model: Path, config: EncodeConfig, device: str) -> Encoders:
    """VAE and CLIP, which a process loads once."""
    from stages.encode.training_clips import load_encoders
    from stages.wan.folder import open_folder

    return load_encoders(open_folder(model), config, device)


@cache
def _body(path: Path) -> Body:
    from stages.body.store import open_body

    return open_body(str(path))
