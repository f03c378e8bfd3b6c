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
from stages.body.camera import project
from stages.body.model import Body, Posed, keypoints_from, motion_template, pose_body
from stages.body.same_body import require_same_body
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.raster.rasterizer import Rasterizer, rasterizer
from stages.raster.shading import interpolate_averaged, vertex_normals
from stages.render_cond.colours import semantic_rgb, shade
from stages.render_cond.config import RenderCondConfig
from stages.render_cond.key_lines import Canvas, draw_key_lines
from stages.render_cond.palette import VERSION

ROWS_AT_ONCE = 8


def write_condition(
    motion: Motion, body: Body, config: RenderCondConfig, out: Path, progress: Progress = silent
) -> None:
    """Write the map as a lossless mp4 with the frame times of the motion. Raises InputError as `render_frames` does."""
    from stages.video.sink import VideoSink

    provenance = Provenance(
        "render-cond",
        config=config_dict(config),
        inputs={"motion": motion.provenance.fingerprint()},
        weights={"body": body.sha256},
        notes={"kind": "condition-map", "colours": VERSION, **source_notes(motion.provenance)},
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


def render_frames(
    motion: Motion, body: Body, config: RenderCondConfig
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Yield one picture per motion row; rows without a person are black.

    The whole source picture is fitted into `width` x `height` and centred. Raises InputError for a motion of another
    body file, or for settings that cannot be drawn.
    """
    _check_drawable(motion, body, config)
    draw = rasterizer(config.rasterizer)
    template, rgb = motion_template(body, motion), semantic_rgb(body)
    K = fitted_intrinsics(motion, config)
    trans = motion.trans + _zoom_shift(motion, config.zoom)
    for start in range(0, len(motion), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        posed = pose_body(body, template, motion.poses[rows], trans[rows], motion.expression[rows], motion.head_scale)
        for row, has_person in enumerate(motion.valid[rows, 0]):
            if not has_person:
                yield np.zeros((config.height, config.width, 3), np.uint8)
                continue
            one = Posed(posed.vertices[row : row + 1], posed.joints[row : row + 1], posed.transforms[row : row + 1])
            yield _draw_frame(body, template, one, K[start + row], rgb, config, draw)


def _draw_frame(
    body: Body,
    template: Float[np.ndarray, "vertices 3"],
    posed: Posed,
    K: Float[np.ndarray, "3 3"],
    rgb: Float[np.ndarray, "vertices 3"],
    config: RenderCondConfig,
    draw: Rasterizer,
) -> UInt8[np.ndarray, "height width 3"]:
    factor = config.supersample
    pixels = project(posed.vertices[0], K)
    enlarged = pixels * np.array([factor, factor, 1], np.float32)
    fragments = draw(enlarged, body.faces, config.width * factor, config.height * factor)
    colours = shade(rgb, vertex_normals(posed.vertices[0], body.faces))
    picture = interpolate_averaged(fragments, body.faces, colours, factor)
    picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if config.hybrid:
        centre = np.s_[factor // 2 :: factor, factor // 2 :: factor]
        face = fragments.face[centre]
        part = np.where(face < 0, -1, body.part[body.faces[np.maximum(face, 0), 0]])
        canvas = Canvas(picture, np.ascontiguousarray(fragments.depth[centre]), part)
        draw_key_lines(canvas, body, project(posed.joints[0], K), project(keypoints_from(body, template, posed)[0], K))
    return picture


def _check_drawable(motion: Motion, body: Body, config: RenderCondConfig) -> None:
    """Raises InputError for another body file, a size below 16 pixels, supersample below 1, or a bad zoom."""
    require_same_body("motion", motion, body)
    if min(config.width, config.height) < 16 or config.supersample < 1:
        raise InputError(
            f"cannot draw {config.width}x{config.height} pixels with supersample {config.supersample}; "
            "width and height must be 16 or more, supersample 1 or more"
        )
    _zoom_range(config.zoom)


def fitted_intrinsics(motion: Motion, config: RenderCondConfig) -> Float[np.ndarray, "frames 3 3"]:
    """The camera of the motion, changed so that its whole picture is fitted into the map and centred."""
    width, height = motion.image_size
    scale = min(config.width / width, config.height / height)
    fit = np.array(
        [
            [scale, 0, (config.width - scale * width) / 2],
            [0, scale, (config.height - scale * height) / 2],
            [0, 0, 1],
        ],
        np.float32,
    )
    return fit @ motion.K


def _zoom_range(zoom: str) -> tuple[float, float]:
    """First and last zoom factor. Raises InputError for text that is not a positive factor or a pair of them."""
    try:
        first, *last = (float(factor) for factor in zoom.split(":"))
    except ValueError:
        first, last = 0.0, []
    if first <= 0 or len(last) > 1 or min(last, default=1.0) <= 0:
        raise InputError(f"zoom '{zoom}' is not a positive factor or FROM:TO; write for example 1.5 or 1:1.5")
    return first, last[0] if last else first


def _zoom_shift(motion: Motion, zoom: str) -> Float[np.ndarray, "frames 3"]:
    """Shift along z, metres, that divides the distance of the pelvis by the zoom factor of each frame.

    The factor changes geometrically over the clip.
    """
    first, last = _zoom_range(zoom)
    share = np.linspace(0, 1, len(motion))
    factor = first * (last / first) ** share
    shift = np.zeros((len(motion), 3), np.float32)
    shift[:, 2] = motion.trans[:, 2] * (1 / factor - 1)
    return shift
