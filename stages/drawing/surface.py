"""The body's surface without colour: depth, normals, and a neutral mesh under one light.

Depth and normals follow the maps that depth- and normal-driven models were trained on: the nearest point of the clip is
white and the background black; a normal's red points right, green up and blue towards the camera.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.drawing.drawings import DrawingOptions, Painter
from stages.drawing.frames import ROWS_AT_ONCE, PosedFrame, View
from stages.raster.rasterizer import rasterizer
from stages.raster.shading import interpolate_averaged, vertex_normals

FARTHEST_GREY = 0.2
"""Brightness of the clip's farthest point, so that no part of the body is as black as the background."""
AMBIENT, DIFFUSE = 0.25, 0.65
LIGHT = np.array([-0.3, -0.5, -0.81], np.float32)
"""Direction towards the light in the camera frame: from above the camera, a little from its left."""


def depth_painter(motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
    """Brightness falls linearly with distance, over one range for the whole clip, so that it does not flicker."""
    near, far = _range(motion, body)

    def values(frame: PosedFrame) -> np.ndarray:
        share = np.clip((frame.vertices[:, 2:] - near) / max(far - near, 1e-3), 0, 1)
        return np.repeat(1 - (1 - FARTHEST_GREY) * share, 3, 1)

    return _painter(body, view, options, values)


def normal_painter(motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
    """Each axis of the unit normal from -1..1 to 0..1; y and z turned from the camera's down and forward."""

    def values(frame: PosedFrame) -> np.ndarray:
        return 0.5 + 0.5 * vertex_normals(frame.vertices, body.faces) * np.array([1, -1, -1], np.float32)

    return _painter(body, view, options, values)


def shaded_painter(motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
    """A grey mesh on black."""

    def values(frame: PosedFrame) -> np.ndarray:
        lit = np.maximum(vertex_normals(frame.vertices, body.faces) @ LIGHT, 0)[:, None]
        return np.repeat(AMBIENT + DIFFUSE * lit, 3, 1)

    return _painter(body, view, options, values)


def _painter(body: Body, view: View, options: DrawingOptions, values) -> Painter:
    """A painter of vertex colours in [0, 1] on black."""
    draw, factor = rasterizer(options.rasterizer), options.supersample

    def paint(frame: PosedFrame) -> UInt8[np.ndarray, "height width 3"]:
        fine = frame.screen * np.array([factor, factor, 1], np.float32)
        fragments = draw(fine, body.faces, view.width * factor, view.height * factor)
        picture = interpolate_averaged(fragments, body.faces, values(frame).astype(np.float32), factor)
        return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)

    return paint


def _range(motion: Motion, body: Body) -> tuple[float, float]:
    """Metres from the camera to the nearest and the farthest vertex of the rows that show somebody."""
    rows = np.flatnonzero(motion.valid[:, 0])
    near, far = np.inf, -np.inf
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[first : first + ROWS_AT_ONCE]
        depth = pose_motion(body, motion, some).vertices[..., 2]
        near, far = min(near, float(depth.min())), max(far, float(depth.max()))
    return (near, far) if far > near else (0.0, 1.0)
