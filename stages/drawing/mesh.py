"""The paper's condition map: the mesh in semantic colours, and key lines over it (paper 3.2, eq. 2)."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.drawings import DrawingOptions, Painter
from stages.drawing.frames import PosedFrame, View
from stages.drawing.key_lines import Canvas, draw_key_lines
from stages.drawing.semantic import semantic_rgb, shade
from stages.raster.rasterizer import rasterizer
from stages.raster.shading import interpolate_averaged, vertex_normals


def painter(motion: Motion, body: Body, view: View, options: DrawingOptions) -> Painter:
    """Draws a frame's mesh, and with `options.hybrid` its key lines."""
    draw, rgb, factor = rasterizer(options.rasterizer), semantic_rgb(body), options.supersample

    def paint(frame: PosedFrame) -> UInt8[np.ndarray, "height width 3"]:
        fine = frame.screen * np.array([factor, factor, 1], np.float32)
        fragments = draw(fine, body.faces, view.width * factor, view.height * factor)
        colours = shade(rgb, vertex_normals(frame.vertices, body.faces))
        picture = interpolate_averaged(fragments, body.faces, colours, factor)
        picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        if options.hybrid:
            centre = np.s_[factor // 2 :: factor, factor // 2 :: factor]
            face = fragments.face[centre]
            part = np.where(face < 0, -1, body.part[body.faces[np.maximum(face, 0), 0]])
            canvas = Canvas(picture, np.ascontiguousarray(fragments.depth[centre]), part)
            draw_key_lines(canvas, frame.joints, frame.keypoints)
        return picture

    return paint
