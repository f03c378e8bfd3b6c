"""The jobs of `emosh evaluate --table`: each measures one clip of one method in its own process, and keeps the record.

A clip's fingerprint is computed from its inputs. The record file is named after it, and is written atomically after the
clip's features. A stopped run therefore continues with the missing clips.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.artifacts.names import checked_name
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

FEATURES = ("fid", "fvd", "truth_fid", "truth_fvd")
"""Arrays of a clip's features, and of its truth's."""

if TYPE_CHECKING:
    import numpy as np

    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.evaluate.config import EvaluateConfig
    from stages.evaluate.shape_section import TrackPicture
    from stages.track.config import TrackConfig


@dataclass(frozen=True)
class ClipJob:
    """Everything that a worker needs. It can be pickled. `where` is the name of the set."""

    method: str
    where: str
    clip: str
    result: Path
    truth: Path | None
    photo: Path | None
    sizes: tuple[tuple[int, int], ...]
    size_note: str
    config: EvaluateConfig
    track: TrackConfig
    body: str
    shape: bool
    cache: Path
    code: str
    networks: tuple[tuple[str, str], ...]
    remeasure: bool = False
    """Measure the clip again even if a record exists."""

    def describe(self) -> str:
        """Method, set and clip, for a message."""
        return f"{self.method}, set {self.where}, clip {self.clip}"


def measure_quietly(job: ClipJob) -> tuple[dict[str, Any], bool]:
    """`measure_clip` without the output of libraries. Raises InputError that names the clip."""
    from stages.quiet import quiet

    try:
        with quiet():
            return measure_clip(job)
    except InputError as error:
        raise InputError(f"{job.describe()}: {error}") from error


def measure_clip(job: ClipJob) -> tuple[dict[str, Any], bool]:
    """The clip's record, and whether it existed before."""
    fingerprint = _fingerprint(job)
    place = job.cache / f"{fingerprint[:32]}.json"
    known = None if job.remeasure else _load_record(place, fingerprint)
    if known is not None:
        return known, True
    _check_size(job)
    record = {
        "fingerprint": fingerprint,
        "method": job.method,
        "set": job.where,
        "clip": job.clip,
        **_measure_all(job, place),
    }
    _write(place, lambda part: part.write_text(json.dumps(record, allow_nan=False), encoding="utf-8"))
    return record, False


def load_features(cache: Path, record: dict[str, Any]) -> dict[str, np.ndarray]:
    """A record's features: fid, fvd of the result; truth_fid, truth_fvd of the real video. Absent ones are left out."""
    from stages.artifacts.npz import read_npz

    found: dict[str, np.ndarray] = {}
    for name in record["features"]:
        found |= read_npz(cache / name, FEATURES)
    return found


def _fingerprint(job: ClipJob) -> str:
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    files = {"result": job.result, "truth": job.truth, "photo": job.photo}
    inputs = {role: sha256_file(path) for role, path in files.items() if path is not None}
    config = {"evaluate": config_dict(job.config), "shape": job.shape, "sizes": [list(size) for size in job.sizes]}
    if job.shape:
        config |= {"track": config_dict(job.track), "body": job.body}
    return Provenance("evaluate-clip", config, inputs, {**dict(job.networks), "code": job.code}).fingerprint()


def _load_record(place: Path, fingerprint: str) -> dict[str, Any] | None:
    try:
        record = read_json_object(place, "")
    except InputError:
        return None
    if record.get("fingerprint") != fingerprint or not isinstance(record.get("features"), list):
        return None
    files = [place.parent / checked_name(name, str(place)) for name in record["features"]]
    return record if all(file.is_file() for file in files) else None


def _check_size(job: ClipJob) -> None:
    """Raise InputError if the file does not have the size that the method's own code writes."""
    from stages.video.source import probe

    info = probe(job.result)
    if job.sizes and (info.width, info.height) not in job.sizes:
        sizes = " or ".join(f"{width}x{height}" for width, height in job.sizes)
        note = f" ({job.size_note})" if job.size_note else ""
        raise InputError(
            f"{job.result} is {info.width}x{info.height}, its preset says {sizes}"
            f"{note}; if this size is right, set size = [{info.width}, {info.height}]"
        )


def _measure_all(job: ClipJob, place: Path) -> dict[str, Any]:
    """Figures by the keys of the tables, frame counts, and the names of the feature files."""
    figures: dict[str, float] = {}
    record: dict[str, Any] = {"figures": figures, "features": [], "frames": 0, "lossy": []}
    if job.truth is not None:
        _measure_pictures(job, place, record)
    record["curves"] = _colour_curves(job)
    if job.photo is not None:
        record["curves"] |= _measure_identity(job, figures)
        if job.shape:
            _measure_shape(job, figures)
    return record


def _measure_pictures(job: ClipJob, place: Path, record: dict[str, Any]) -> None:
    from stages.evaluate.distribution import FeatureCollector
    from stages.evaluate.evaluate import evaluate_paired
    from stages.evaluate.networks import chosen

    assert job.truth is not None
    used = chosen.paired_metrics(job.config)
    extract = chosen.feature_networks(job.config)
    ours, theirs = (FeatureCollector(*extract, job.config.fvd_frames) for _ in range(2))
    truth_place = job.cache / f"truth-{_truth_fingerprint(job)[:32]}.npz"
    known = truth_place.is_file() and not job.remeasure

    def watch(result: np.ndarray, truth: np.ndarray) -> None:
        ours.add(result)
        if not known:
            theirs.add(truth)

    section = evaluate_paired(job.result, job.truth, job.config, networks=used.metrics, watch=watch)
    for key in ("psnr", "psnr_uint8", "ssim", "l1", "lpips_alex", "lpips_vgg"):
        if key in section:
            record["figures"][key] = section[key]["mean"]
            if section[key]["mean_without_frame_0"] is not None:
                record["figures"][f"{key}_without_frame_0"] = section[key]["mean_without_frame_0"]
    record |= {"frames": section["frames"], "lossy": section["lossy"], "files": section["files"]}
    rows = ours.rows()
    if rows:
        own = place.with_suffix(".npz")
        _save(own, rows)
        if not known:
            _save(truth_place, {f"truth_{name}": values for name, values in theirs.rows().items()})
        record["features"] = [own.name, truth_place.name]


def _truth_fingerprint(job: ClipJob) -> str:
    """The fingerprint of the real video's features, which do not depend on the result."""
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    assert job.truth is not None
    config = {key: value for key, value in config_dict(job.config).items() if key != "fit"}
    weights = {**dict(job.networks), "code": job.code}
    return Provenance("evaluate-truth", config, {"truth": sha256_file(job.truth)}, weights).fingerprint()


def _colour_curves(job: ClipJob) -> dict[str, Any]:
    """Colour over time: figure -> times and values."""
    from stages.evaluate.colour import colour_over_time

    section = colour_over_time(job.result, job.truth, job.config)
    return {
        f"colour {figure}": [section["seconds"], section[figure]["per_frame"]]
        for figure in ("from_start", "from_truth")
        if figure in section
    }


def _measure_identity(job: ClipJob, figures: dict[str, float]) -> dict[str, Any]:
    """Add the identity figures. Returns a curve for each installed face network."""
    from stages.evaluate.identity import identity_sections

    assert job.photo is not None
    sections, _ = identity_sections(job.result, job.photo)
    curves = {}
    for name, figure, key in (("identity", "cosine", "ips"), ("face_distance", "distance", "face_distance")):
        if name in sections:
            section = sections[name]
            figures["detection_rate"] = section["detection_rate"]
            if section[figure]["mean"] is not None:
                figures[key] = section[figure]["mean"]
            curves[name] = [section["seconds"], section[figure]["per_frame"]]
    if "identity" in sections:
        figures["ips_misses_as_zero"] = sections["identity"]["misses_as_zero"]["mean"]
    return curves


def _measure_shape(job: ClipJob, figures: dict[str, float]) -> None:
    from stages.artifacts.provenance import config_dict
    from stages.body.store import open_body
    from stages.evaluate.shape_section import PhotoMotions, shape_section

    assert job.photo is not None
    body = open_body(job.body)
    section = shape_section(
        job.result, job.photo, job.config.shape_frames, body, picture_tracker(body, job.track),
        kept=PhotoMotions(job.cache / "photos-tracked", config_dict(replace(job.track, person=0))),
    )  # fmt: skip
    ours, own = section["to_reference"], section["repeat"]
    figures |= {
        "shape_cosine": ours["betas_cosine"],
        "shape_sizeless": ours["sizeless_cosine"],
        "shape_height_cm": ours["difference_cm"]["height"],
    }
    if own is not None:
        figures["shape_repeat"] = own["betas_cosine"]


def picture_tracker(body: Body, config: TrackConfig) -> TrackPicture:
    """A function that tracks the largest person in a picture: path -> motion, or None if nobody is in it."""
    from stages.track.track import track

    alone = replace(config, person=0)

    def tracked(path: Path) -> Motion | None:
        try:
            return track(path, body, alone)
        except InputError:
            return None

    return tracked


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import numpy as np

    _write(path, lambda part: np.savez(part, **arrays))  # type: ignore[arg-type]


def _write(path: Path, write: Callable[[Path], object]) -> None:
    from stages.artifacts.atomic import atomic_path

    with atomic_path(path) as part:
        write(part)


def job_notes(job: ClipJob) -> dict[str, Any]:
    """The names of the job's files and of what it measures, for the report."""
    kept = ("method", "where", "clip", "result", "truth", "photo")
    values = {key: value for key, value in asdict(job).items() if key in kept and value is not None}
    return {key: value.name if isinstance(value, Path) else value for key, value in values.items()}
