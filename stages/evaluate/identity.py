"""Identity (the paper's IPS): how like the face in every frame is to the face in the photo.

ArcFace's cosine is the paper's own figure (`identity`). Its published weights are for non-commercial research only, so
dlib's distance stands beside it (`face_distance`), with weights in the public domain.

A mean over found faces rewards hiding the face, so the report also has the detection rate and the mean of the cosine
with misses counted as zero. A face in profile is less like the photo because of its pose, so there are means by yaw.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stages.detect.face_angle import face_angles_degrees
from stages.errors import InputError
from stages.evaluate.averages import averages, bootstrap_interval
from stages.evaluate.colour import trend
from stages.evaluate.faces import Face, find_face
from stages.evaluate.networks.chosen import FaceNetwork, MetricNetworks, face_networks
from stages.networks.opened import Networks
from stages.progress import Progress, silent
from stages.video.photo import read_photo
from stages.video.source import probe, read_frames

YAW_BANDS = ((0, 15), (15, 30), (30, 60), (60, 180))
"""Degrees to either side."""


def identity(
    result: Path, photo: Path, networks: list[FaceNetwork], progress: Progress = silent
) -> dict[str, dict[str, Any]]:
    """The section of each network for one video. Raises InputError when no face is found in the photo."""
    info, rgb = probe(result), read_photo(photo)
    seconds: list[float] = []
    yaws: list[float | None] = []
    values: list[list[float | None]] = [[] for _ in networks]
    finders = Networks()
    reference = find_face(rgb, finders)
    if reference is None:
        raise InputError(f"no face was found in {photo}; identity needs a photo with a visible face")
    wanted = [network.embed(rgb, reference) for network in networks]
    for frame in read_frames(result):
        face = find_face(frame.rgb, finders)
        seconds.append(frame.pts_seconds)
        yaws.append(None if face is None else yaw(face))
        for network, features, held in zip(networks, wanted, values, strict=True):
            alike = None if face is None else float(network.compare(network.embed(frame.rgb, face), features))
            held.append(alike)
        progress("identity", len(seconds), info.frame_count)
    return {
        network.section: identity_figures(network, seconds, held, yaws, float(info.fps))
        for network, held in zip(networks, values, strict=True)
    }


def identity_sections(
    result: Path, photo: Path, progress: Progress = silent
) -> tuple[dict[str, dict[str, Any]], MetricNetworks]:
    """The sections `identity` and `face_distance` by the installed networks; the others are in `left_out`."""
    networks, used = face_networks()
    if not networks:
        return {}, used
    sections = identity(result, photo, networks, progress)
    return {name: {**section, "networks": {name: used.files[name]}} for name, section in sections.items()}, used


def yaw(face: Face) -> float:
    """Degrees by which the head is turned; positive when the face looks to the picture's right."""
    return float(face_angles_degrees(face.mesh[None])[0, 0])


def identity_figures(
    network: FaceNetwork, seconds: list[float], values: list[float | None], yaws: list[float | None], fps: float
) -> dict[str, Any]:
    """The section of a network from one value per frame; None where no face was found."""
    found = np.array([value for value in values if value is not None])
    block = max(1, round(fps))
    at = np.array([time for time, value in zip(seconds, values, strict=True) if value is not None], float)
    section = {
        "definition": network.definition,
        "seconds": [round(value, 6) for value in seconds],
        "frames": len(values),
        "detection_rate": len(found) / len(values),
        network.figure: {
            "mean": float(found.mean()) if len(found) else None,
            "interval_95": bootstrap_interval(found, block),
            "per_frame": [None if value is None else round(value, 6) for value in values],
            **trend(at, found),
        },
        "by_yaw": [_band(low, high, values, yaws) for low, high in YAW_BANDS],
    }
    if network.section == "identity":
        section["misses_as_zero"] = averages([value or 0.0 for value in values], block)
    return section


def _band(low: int, high: int, values: list[float | None], yaws: list[float | None]) -> dict[str, Any]:
    inside = [
        value
        for value, angle in zip(values, yaws, strict=True)
        if value is not None and angle is not None and low <= abs(angle) < high
    ]
    return {"yaw_degrees": [low, high], "frames": len(inside), "mean": float(np.mean(inside)) if inside else None}
