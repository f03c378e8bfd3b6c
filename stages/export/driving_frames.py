"""The frames of a driving video that is made for another model: which rows they show, and in whose camera."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Int, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.counted import counted
from stages.drawing.framing import anchor_motion
from stages.drawing.names import REF
from stages.errors import InputError
from stages.export.config import require_reference


def nearest_rows(motion: Motion, fps: Fraction | int) -> Int[np.ndarray, "picked"]:
    """The row nearest in time to each frame at `fps`; a tie goes to the even row, as numpy rounds."""
    count = max(1, int(len(motion) / motion.fps * fps))
    times = motion.pts_seconds - motion.pts_seconds[0]
    place = np.interp(np.arange(count) / float(fps), times, np.arange(len(motion)))
    return np.clip(np.round(np.round(place, 6)).astype(int), 0, len(motion) - 1)


def check_reference(
    reference: Motion | None, photo: UInt8[np.ndarray, "height width 3"], framing: str, body: Body
) -> None:
    """Raises InputError if `reference` is not the motion of the photo, or if framing `ref` lacks it."""
    require_reference(framing, reference is not None)
    if reference is None:
        return
    require_same_body("motion of the photo", reference, body)
    height, width = photo.shape[:2]
    if len(reference) != 1 or tuple(reference.image_size) != (width, height):
        raise InputError(
            f"--ref-motion has {counted(len(reference), 'row')} of "
            f"{reference.image_size[0]}x{reference.image_size[1]} pixels, "
            f"but the photo is {width}x{height}; give the motion tracked in the photo"
        )


def placed(motion: Motion, reference: Motion | None, framing: str, body: Body) -> Motion:
    """The motion in its own camera (framing `drive`), or in the camera and place of the photo (`ref`)."""
    if framing != REF:
        return motion
    assert reference is not None
    return anchor_motion(motion, reference, body)
