"""Identity (the paper's IPS): the ArcFace cosine between the face in every frame and the face in the photo.

A mean over found faces rewards hiding the face, so the report also has the detection rate and the mean with misses
counted as zero. A face in profile has a lower cosine because of its pose, so the report also has means by yaw.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.detect.face_angle import face_angles_degrees
from stages.errors import InputError
from stages.evaluate.averages import averages, bootstrap_interval
from stages.evaluate.colour import trend
from stages.evaluate.faces import Face, find_face
from stages.evaluate.networks.chosen import MetricNetworks, face_network
from stages.networks.opened import Networks
from stages.progress import Progress, silent
from stages.video.photo import read_photo
from stages.video.source import probe, read_frames

YAW_BANDS = ((0, 15), (15, 30), (30, 60), (60, 180))
"""Degrees to either side."""
DEFINITION = (
    "cosine of ArcFace embeddings, frame against photo; of the largest face, found by MediaPipe's detectors and face "
    "mesh; a similarity transform brings its irises, nose tip and mouth corners onto insightface's 112x112 template; "
    "mean over the frames with a face; misses_as_zero: mean over all frames, a missed face counts as 0"
)
Embed = Callable[[list[np.ndarray]], Float[np.ndarray, "faces features"]]


def identity(result: Path, photo: Path, embed: Embed, progress: Progress = silent) -> dict[str, Any]:
    """IPS of a video. Raises InputError when no face is found in the photo."""
    info = probe(result)
    seconds, cosines, yaws = [], [], []
    networks = Networks()
    reference = find_face(read_photo(photo), networks)
    if reference is None:
        raise InputError(f"no face was found in {photo}; identity needs a photo with a visible face")
    photo_embedding = embed([reference.aligned])[0]
    for frame in read_frames(result):
        face = find_face(frame.rgb, networks)
        seconds.append(frame.pts_seconds)
        cosines.append(None if face is None else float(embed([face.aligned])[0] @ photo_embedding))
        yaws.append(None if face is None else yaw(face))
        progress("identity", len(seconds), info.frame_count)
    return identity_figures(seconds, cosines, yaws, float(info.fps))


def identity_section(
    result: Path, photo: Path, progress: Progress = silent
) -> tuple[dict[str, Any] | None, MetricNetworks]:
    """The section `identity` from the installed face network; without one, None and the reason in `left_out`."""
    embed, used = face_network()
    if embed is None:
        return None, used
    return {**identity(result, photo, embed, progress), "networks": used.files}, used


def yaw(face: Face) -> float:
    """Degrees by which the head is turned; positive when the face looks to the picture's right."""
    return float(face_angles_degrees(face.mesh[None])[0, 0])


def identity_figures(
    seconds: list[float], cosines: list[float | None], yaws: list[float | None], fps: float
) -> dict[str, Any]:
    """The section `identity` from one value per frame; None where no face was found."""
    found = np.array([value for value in cosines if value is not None])
    block = max(1, round(fps))
    at = np.array([time for time, value in zip(seconds, cosines, strict=True) if value is not None], float)
    return {
        "definition": DEFINITION,
        "seconds": [round(value, 6) for value in seconds],
        "frames": len(cosines),
        "detection_rate": len(found) / len(cosines),
        "cosine": {
            "mean": float(found.mean()) if len(found) else None,
            "interval_95": bootstrap_interval(found, block),
            "per_frame": [None if value is None else round(value, 6) for value in cosines],
            **trend(at, found),
        },
        "misses_as_zero": averages([value or 0.0 for value in cosines], block),
        "by_yaw": [_band(low, high, cosines, yaws) for low, high in YAW_BANDS],
    }


def _band(low: int, high: int, cosines: list[float | None], yaws: list[float | None]) -> dict[str, Any]:
    inside = [
        cosine
        for cosine, angle in zip(cosines, yaws, strict=True)
        if cosine is not None and angle is not None and low <= abs(angle) < high
    ]
    return {"yaw_degrees": [low, high], "frames": len(inside), "mean": float(np.mean(inside)) if inside else None}
