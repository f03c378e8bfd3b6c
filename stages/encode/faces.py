"""The face in each frame as Wan-Animate reads it: cut out of the driving video, or drawn from the fitted body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import sha256_file
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.drawing.face import Picture, cut_faces, draw_faces
from stages.drawing.tracked_video import check_tracked_video
from stages.encode.config import BODY, DRIVER
from stages.errors import InputError


@dataclass(frozen=True)
class Faces:
    """Pictures of a clip's face, one per frame. `kind` is driver or body; `source` names them in messages."""

    kind: str
    count: int
    source: str
    pictures: Callable[[], Iterator[Picture]]
    inputs: dict[str, str] = field(default_factory=dict)
    """sha256 or fingerprint of what they are made from, by role."""


def driver_faces(video: Path, motion: Motion, body: Body) -> Faces:
    """Cut from the driving video around the face of its own motion (drive.npz, not the retargeted one).

    Raises InputError for a motion without a face, and for a video of another size or length than the motion; for a
    video with more frames, after they are read.
    """
    require_same_body("face", motion, body)
    check_tracked_video(video, motion)
    if not motion.valid_part("face").any():
        raise InputError(f"no frame of {video} shows a face; use --face body")

    inputs = {"face_video": sha256_file(video), "face_motion": motion.provenance.fingerprint()}
    return Faces(DRIVER, len(motion), str(video), lambda: cut_faces(video, motion, body), inputs)


def body_faces(motion: Motion, body: Body) -> Faces:
    """Drawn from the fitted body: expression and gaze, and nothing of the driver's likeness."""
    require_same_body("face", motion, body)

    inputs = {"face_motion": motion.provenance.fingerprint()}
    return Faces(BODY, len(motion), "the motion", lambda: draw_faces(motion, body), inputs)


def resized_face(rgb: UInt8[np.ndarray, "side side 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The picture at the size that the motion encoder reads."""
    import cv2

    return rgb if rgb.shape[0] == size else cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)
