"""The `track` stage as one function: a video or photo becomes a motion by detection, then the fit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import sha256_file
from stages.body.model import Body
from stages.detect.config import DetectConfig
from stages.detect.detectors import check_files, detector, weights_of
from stages.detect.gates import check_gates
from stages.detect.keypoint_file import read_keypoints, with_keypoints
from stages.errors import InputError
from stages.priors.prior import align_to_clip, merge, share_known
from stages.priors.readers import read_prior
from stages.progress import Progress, silent
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.summary import summarize
from stages.track.terms import check_terms


def track(
    source: Path,
    body: Body,
    config: TrackConfig = TrackConfig(),
    progress: Progress = silent,
    *,
    priors: Sequence[Path] = (),
    keypoints: Path | None = None,
) -> Motion:
    """Track one person through a video, or in a photo; one row per source frame.

    priors: results of other trackers on this clip (`stages.priors.readers`). keypoints: 2-D points of another detector
    (`stages.detect.keypoint_file`) that replace the points of the built-in one.
    Raises InputError as `stages.video.source` does, when nobody is found in any frame, and for a file of unknown
    layout or of another clip.
    """
    check_terms(config.terms_off)
    check_gates(config.gates_off)
    check_files(config.detector)
    read = [(path, read_prior(path)) for path in priors]
    points = None if keypoints is None else read_keypoints(keypoints)
    observations = detector(config.detector)(source, DetectConfig(person=config.person), progress)
    if points is not None:
        observations = with_keypoints(observations, points, str(keypoints))
    prior = merge([align_to_clip(each, observations, str(path)) for path, each in read]) if read else None
    motion = fit(observations, body, config, progress, prior)
    if not motion.valid[:, :2].any():
        raise InputError(f"no person found in {source}; give a file that shows at least the head of one person")
    from dataclasses import asdict

    role = "photo" if observations.is_photo else "video"
    notes = {
        "source": source.name,
        "other_people": int(observations.other_people),
        "summary": asdict(summarize(motion)),
        **motion.provenance.notes,
    }
    inputs = {role: sha256_file(source)}
    for number, (path, each) in enumerate(read):
        inputs[f"prior {number}"] = _path_sha256(path)
        notes[f"prior {number}"] = {"file": path.name, "format": each.format}
    if prior is not None:
        notes["prior_share"] = share_known(prior)
    if keypoints is not None:
        inputs["keypoints"] = _path_sha256(keypoints)
    weights = {**motion.provenance.weights, **weights_of(config.detector)}
    return replace(motion, provenance=replace(motion.provenance, inputs=inputs, weights=weights, notes=notes))


def _path_sha256(path: Path) -> str:
    """sha256 of a file, or of the names and contents of the files of a folder, in order of names."""
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(f"{file.name} {sha256_file(file)}\n".encode())
    return digest.hexdigest()
