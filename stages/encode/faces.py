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
from stages.drawing.face import FACE_PX, box_of, crop_face, draw_face
from stages.drawing.frames import View, posed_frames
from stages.encode.config import BODY, DRIVER
from stages.errors import InputError
from stages.raster.rasterizer import rasterizer
from stages.video.source import probe, read_frames

Picture = UInt8[np.ndarray, "512 512 3"]


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

    Raises InputError for a motion without a face and a video of another size; as the pictures are read, for a video
    with another number of frames than the motion has rows.
    """
    require_same_body("face", motion, body)
    info, (width, height) = probe(video), motion.image_size
    if (info.width, info.height) != (width, height):
        raise InputError(
            f"{video} is {info.width}x{info.height}, the motion was tracked in {width}x{height}; give the video that "
            "it was tracked from"
        )
    if not motion.valid_part("face").any():
        raise InputError(f"no frame of {video} shows a face; use --face body")

    def pictures() -> Iterator[Picture]:
        frames = read_frames(video)
        view = View.own(motion)
        for frame in posed_frames(motion, body, view):
            picture = next(frames, None)
            if picture is None:
                raise InputError(
                    f"{video} has {frame.row} frames, but the motion {len(motion)} rows; give the video that it was "
                    "tracked from"
                )
            seen = frame.seen["body"]
            yield crop_face(picture.rgb, box_of(frame, width, height)) if seen else blank()
        if next(frames, None) is not None:
            raise InputError(
                f"{video} has more frames than the motion has rows; give the video that it was tracked from"
            )

    inputs = {"face_video": sha256_file(video), "face_motion": motion.provenance.fingerprint()}
    return Faces(DRIVER, len(motion), str(video), pictures, inputs)


def body_faces(motion: Motion, body: Body) -> Faces:
    """Drawn from the fitted body: expression and gaze, and nothing of the driver's likeness."""
    require_same_body("face", motion, body)

    def pictures() -> Iterator[Picture]:
        draw = rasterizer("numba")
        width, height = motion.image_size
        for frame in posed_frames(motion, body, View.own(motion)):
            seen = frame.seen["body"]
            yield draw_face(frame, box_of(frame, width, height), body, draw) if seen else blank()

    return Faces(BODY, len(motion), "the motion", pictures, {"face_motion": motion.provenance.fingerprint()})


def blank() -> Picture:
    """No face: black, as Wan-Animate's own preprocess leaves it."""
    return np.zeros((FACE_PX, FACE_PX, 3), np.uint8)


def resized_face(rgb: UInt8[np.ndarray, "side side 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The picture at the size that the motion encoder reads."""
    import cv2

    return rgb if rgb.shape[0] == size else cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)
