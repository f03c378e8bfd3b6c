"""A motion as its condition map: semantic colours with key lines on black, one frame per motion row (paper 3.2, eq. 2).

Takes a motion and a body. Does not know the source video or the model that will read the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance, config_dict, source_notes
from stages.body.head_yaw import frontal_rows
from stages.body.model import Body
from stages.body.moved import with_still_camera
from stages.body.same_body import require_same_body
from stages.drawing.drawings import DrawingOptions, drawing
from stages.drawing.frames import View, posed_frames
from stages.drawing.names import REF, STILL
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.render_cond.config import RenderCondConfig


def write_condition(
    motion: Motion,
    body: Body,
    config: RenderCondConfig,
    out: Path,
    progress: Progress = silent,
    reference: Motion | None = None,
) -> None:
    """Write the map as a lossless mp4 with the frame times of the motion.

    `reference` is the photo's motion, which the framing `ref` needs. Raises InputError as `render_frames` does, and for
    a framing `ref` without the photo's motion.
    The notes say in which frames the head faces the camera (`frontal_rows`), for the choice of an anchor.
    """
    from stages.video.sink import VideoSink

    inputs = {"motion": motion.provenance.fingerprint()}
    if config.camera == STILL:
        require_same_body("motion", motion, body)
        motion = with_still_camera(motion, body)
    if config.framing == REF:
        motion, inputs["reference"] = _in_photo(motion, reference, body)
    provenance = Provenance(
        "render-cond",
        config=config_dict(config),
        inputs=inputs,
        weights={"body": body.sha256},
        notes={
            "kind": "condition-map",
            "drawing": config.drawn,
            "colours": drawing(config.drawn).version,
            "frontal_frames": frontal_rows(motion, body),
            **source_notes(motion.provenance),
        },
    )
    with VideoSink(
        out,
        config.width,
        config.height,
        motion.fps,
        lossless=True,
        metadata={"comment": provenance.to_json()},
        duration_seconds=motion.duration_seconds or None,
    ) as sink:
        for row, rgb in enumerate(render_frames(motion, body, config)):
            sink.write(rgb, float(motion.pts_seconds[row] - motion.pts_seconds[0]))
            progress("drawing the condition map", row + 1, len(motion))


def _in_photo(motion: Motion, reference: Motion | None, body: Body) -> tuple[Motion, str]:
    """(the motion in the photo's camera and place, fingerprint of the photo's motion)."""
    from stages.drawing.framing import anchor_motion

    if reference is None or len(reference) != 1:
        raise InputError("framing ref places the person as in the photo; give the motion of the photo: --ref ref.npz")
    for name, each in (("motion", motion), ("motion of the photo", reference)):
        require_same_body(name, each, body)
    return anchor_motion(motion, reference, body), reference.provenance.fingerprint()


def render_frames(
    motion: Motion, body: Body, config: RenderCondConfig
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Yield one picture per motion row; rows without a person are black.

    The whole source picture is fitted into `width` x `height` and centred. Raises InputError for a motion of another
    body file, or for settings that cannot be drawn.
    """
    _check_drawable(motion, body, config)
    view = View.fitted(motion, config.width, config.height)
    options = DrawingOptions(config.supersample, config.rasterizer, config.hybrid)
    paint = drawing(config.drawn).painter(motion, body, view, options)
    black = np.zeros((config.height, config.width, 3), np.uint8)
    for frame in posed_frames(motion, body, view, shift=_zoom_shift(motion, config.zoom)):
        yield paint(frame) if frame.seen["body"] else black.copy()


def _check_drawable(motion: Motion, body: Body, config: RenderCondConfig) -> None:
    """Raises InputError for another body file, a size below 16 pixels, supersample below 1, or a bad zoom."""
    require_same_body("motion", motion, body)
    if min(config.width, config.height) < 16 or config.supersample < 1:
        raise InputError(
            f"cannot draw {config.width}x{config.height} pixels with supersample {config.supersample}; "
            "width and height must be 16 or more, supersample 1 or more"
        )
    _zoom_factors(config.zoom)
    drawing(config.drawn)


def _zoom_factors(zoom: str) -> list[float]:
    """The zoom factors in order. Raises InputError for text that is not positive factors with colons between them."""
    try:
        factors = [float(factor) for factor in zoom.split(":")]
    except ValueError:
        factors = []
    if not factors or not all(0 < factor < np.inf for factor in factors):
        raise InputError(f"zoom '{zoom}' is not a path of positive factors; write for example 1.5, 1:1.5 or 1:2:1")
    return factors


def _zoom_shift(motion: Motion, zoom: str) -> Float[np.ndarray, "frames 3"]:
    """Shift along z, metres, that divides the distance of the pelvis by the zoom factor of each frame (paper 0.D.4).

    The factors are spread evenly over the clip's time. Between two of them the factor changes geometrically.
    """
    factors = _zoom_factors(zoom)
    seconds = motion.pts_seconds - motion.pts_seconds[0]
    share = seconds / max(float(seconds[-1]), 1e-9)
    factor = np.exp(np.interp(share, np.linspace(0, 1, len(factors)), np.log(factors)))
    shift = np.zeros((len(motion), 3), np.float32)
    shift[:, 2] = motion.trans[:, 2] * (1 / factor - 1)
    return shift
