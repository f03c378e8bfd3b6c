"""The `track` stage as functions: a video or photo becomes one motion, or one per person: detection, then the fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import sha256_file
from stages.body.model import Body
from stages.camera.world import with_world
from stages.cores import meanwhile
from stages.detect.config import DetectConfig
from stages.detect.detectors import check_files, detector, weights_of
from stages.detect.gates import BODY_RULES, GateConfig, check_gates, gate
from stages.detect.keypoint_file import read_keypoints, with_keypoints
from stages.detect.observations import Observations
from stages.errors import InputError
from stages.priors.prior import align_to_clip, merge, share_known
from stages.priors.readers import read_prior
from stages.progress import Progress, silent
from stages.track.config import TrackConfig
from stages.track.summary import summarize
from stages.track.terms import check_terms
from stages.video.lens import metadata_focal_px


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
    If nothing of person 0 can be tracked, the next person is.
    Raises InputError as `stages.video.source` does, when nobody is found in any frame, and for a file of unknown
    layout or of another clip.
    """
    check_settings(config)
    read = [(path, read_prior(path)) for path in priors]
    points = None if keypoints is None else read_keypoints(keypoints)
    with meanwhile(partial(_prepare_fit, body, config)):
        observations = _observe(source, config, progress)
    from stages.track.fit_shots import fit_shots

    inputs, notes = {}, {}
    if points is not None and keypoints is not None:
        observations = with_keypoints(observations, points, str(keypoints))
        inputs["keypoints"] = _path_sha256(keypoints)
    prior = merge([align_to_clip(each, observations, str(path)) for path, each in read]) if read else None
    for number, (path, each) in enumerate(read):
        inputs[f"prior {number}"] = _path_sha256(path)
        notes[f"prior {number}"] = {"file": path.name, "format": each.format}
    if prior is not None:
        notes["prior_share"] = share_known(prior)
    stated = metadata_focal_px(source, observations.image_size, observations.is_photo)
    motion = fit_shots(observations, body, config, progress, prior, stated)
    if not motion.valid[:, :2].any():
        raise nothing_tracked(source, observations, motion)
    motion = with_world(motion, body, observations.background)
    return _described(motion, source, observations, config, inputs, notes)


def track_everyone(
    source: Path, body: Body, config: TrackConfig = TrackConfig(), progress: Progress = silent
) -> Iterator[Motion]:
    """Track everyone in a video or a photo; yields a motion per person, largest first, with `config.person` recorded.

    The file is read as often as for one person. Frames and shots without the person are invalid. People of whom nothing
    is valid are left out. Raises InputError as `track` does, also when nobody is left.
    """
    check_settings(config)
    detect = DetectConfig(everyone=True, cut_score=config.cut_score)
    failed: list[InputError] = []
    with meanwhile(partial(_prepare_fit, body, config)):
        people = detector(config.detector)(source, detect, progress)
    from stages.track.fit_shots import fit_shots

    stated = metadata_focal_px(source, people[0].image_size, people[0].is_photo)
    for number, observations in enumerate(people):
        own = replace(config, person=number)
        motion = fit_shots(observations, body, own, progress, metadata_px=stated)
        if motion.valid[:, :2].any():
            motion = with_world(motion, body, observations.background)
            yield _described(motion, source, observations, own, {}, {})
        else:
            failed.append(nothing_tracked(source, observations, motion))
    if len(failed) == len(people):
        raise failed[0]


def _observe(source: Path, config: TrackConfig, progress: Progress) -> Observations:
    """What is seen of the person `config.person`. If nothing of person 0 passes the gates, the next person of whom
    something does."""
    observe = detector(config.detector)
    detect = DetectConfig(person=config.person, cut_score=config.cut_score)
    first = observations = observe(source, detect, progress)[0]
    others = range(1, 1 + first.other_people) if config.person == 0 else []
    for number in others:
        if gate(observations, GateConfig(off=config.gates_off)).valid[:, :2].any():
            return observations
        observations = observe(source, replace(detect, person=number), progress)[0]
    return observations


def _prepare_fit(body: Body, config: TrackConfig) -> None:
    """Load the fit and its compiled code, which takes 0.3 s."""
    from stages.track.fit import prepare

    prepare(body, config)


def nothing_tracked(source: Path, observations: Observations, motion: Motion) -> InputError:
    """The error of a file in which nothing of a person is valid: what was found, and why it was not believed."""
    people = observations.other_people + int((observations.identity >= 0).any())
    if not people:
        return InputError(
            f"no person found in {source}: neither a face nor a body; give a file that shows at least the head of one "
            "person, larger or in better light"
        )
    rejected = {} if motion.gates is None else dict(zip(motion.gate_names, motion.gates.T, strict=True))
    counts = {name: int((rejected[name] > 0).sum()) for name in BODY_RULES if name in rejected}
    unread = int((~observations.found[:, 0]).sum())
    reasons = [f"no body found at the head in {unread}"] * bool(unread)
    reasons += [f"{name} in {count}" for name, count in counts.items() if count]
    seen = "a person is seen" if people == 1 else f"{people} people are seen"
    return InputError(
        f"{seen} in {source}, but none can be tracked ({', '.join(reasons)} of {len(observations)} frames); crop the "
        "picture around one person, or give one that shows more of the person"
    )


def check_settings(config: TrackConfig) -> None:
    """Raises InputError for names of terms or gates that do not exist, and for files that a detector lacks."""
    check_terms(config.terms_off)
    check_gates(config.gates_off)
    check_files(config.detector)


def _described(
    motion: Motion, source: Path, observations: Observations, config: TrackConfig, inputs: dict[str, str],
    notes: dict[str, Any],
) -> Motion:  # fmt: skip
    """The motion with the record of how it was made."""
    record = motion.provenance
    notes = {
        "source": source.name,
        "other_people": int(observations.other_people),
        "summary": asdict(summarize(motion)),
        "shots": _shots(observations),
        **record.notes,
        **notes,
    }
    inputs = {"photo" if observations.is_photo else "video": sha256_file(source), **inputs}
    weights = {**record.weights, **weights_of(config.detector)}
    return replace(motion, provenance=replace(record, inputs=inputs, weights=weights, notes=notes))


def _shots(observations: Observations) -> list[dict[str, float | int]]:
    """First frame and time of each shot, and the number of the person who is followed in it; -1 for nobody."""
    return [
        {
            "frame": int(observations.frame_index[rows.start]),
            "seconds": round(float(observations.pts_seconds[rows.start]), 3),
            "person": int(observations.identity[rows.start]),
        }
        for rows in observations.shots
    ]


def _path_sha256(path: Path) -> str:
    """sha256 of a file, or of the names and contents of the files of a folder, in order of names."""
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(f"{file.name} {sha256_file(file)}\n".encode())
    return digest.hexdigest()
