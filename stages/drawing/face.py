"""The face that Wan-Animate reads, on 512 x 512: cut out of the driving picture, or drawn from the fitted body."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.drawing.frames import PosedFrame, View, posed_frames
from stages.drawing.skin import skin_colours
from stages.drawing.tracked_video import tracked_frames
from stages.raster.rasterizer import Rasterizer, rasterizer
from stages.raster.shading import interpolate_averaged, vertex_normals

FACE_PX = 512
AMBIENT, DIFFUSE = 0.35, 0.65
SUPERSAMPLE = 2
JAW = (127, 234, 93, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 323, 454, 356)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
FACE_POINTS = tuple(f"face_{number:03d}" for number in (*JAW, *BROWS))
"""The outermost of the 68 face points: the jaw from eye to eye and the brows. Only their bounding box is used."""
FACE_AREA = 1.3
"""Area of the face box over that of the points' bounding box; three quarters of the added height are above."""

Picture = UInt8[np.ndarray, "512 512 3"]
FaceBox = tuple[int, int, int, int]
"""left, right, top, bottom in pixels, cut to the picture; empty if the face is outside the picture."""


def cut_faces(
    video: Path, motion: Motion, body: Body, rows: Int[np.ndarray, "picked"] | None = None
) -> Iterator[Picture]:
    """The face in the picked rows of the driving video, in rising order (all without `rows`); black without a person.

    `motion` is the video's own, not a retargeted one: another head has another box. Raises InputError, as the pictures
    are read, for a video with another number of frames than the motion has rows, or of another size.
    """
    frames, row, rgb = enumerate(tracked_frames(video, motion)), -1, blank()
    for posed in posed_frames(motion, body, View.own(motion), rows):
        while row < posed.row:
            row, rgb = next(frames)
        yield crop_face(rgb, box_of(posed, *motion.image_size)) if posed.seen["body"] else blank()
    for _ in frames:
        pass


def draw_faces(motion: Motion, body: Body, rows: Int[np.ndarray, "picked"] | None = None) -> Iterator[Picture]:
    """The fitted body's face in the picked rows (all without `rows`); black without a person."""
    draw = rasterizer("numba")
    for posed in posed_frames(motion, body, View.own(motion), rows):
        yield draw_face(posed, box_of(posed, *motion.image_size), body, draw) if posed.seen["body"] else blank()


def blank() -> Picture:
    """No face: black, as Wan-Animate's own preprocess leaves it."""
    return np.zeros((FACE_PX, FACE_PX, 3), np.uint8)


def box_of(frame: PosedFrame, width: int, height: int) -> FaceBox:
    """The box of a frame's face in a picture of that size."""
    return face_box(np.array([frame.keypoints[name][:2] for name in FACE_POINTS]), width, height)


def face_box(points: Float[np.ndarray, "points 2"], width: int, height: int) -> FaceBox:
    """Wan-Animate's rule (`get_face_bboxes` of its preprocess): FACE_AREA times the points' box, cut to the picture."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    grown = np.sqrt(FACE_AREA) - 1
    sideways, up = (right - left) * grown / 2, (bottom - top) * grown / 4
    return (
        int(max(left - sideways, 0)),
        int(min(right + sideways, width)),
        int(max(top - 3 * up, 0)),
        int(min(bottom + up, height)),
    )


def crop_face(rgb: UInt8[np.ndarray, "h w 3"], box: FaceBox) -> Picture:
    """The picture inside the box, stretched to 512 x 512; black if the face is outside the picture."""
    import cv2

    left, right, top, bottom = box
    if right <= left or bottom <= top:
        return blank()
    return cv2.resize(np.ascontiguousarray(rgb[top:bottom, left:right]), (FACE_PX, FACE_PX))


def draw_face(frame: PosedFrame, box: FaceBox, body: Body, draw: Rasterizer) -> Picture:
    """The fitted body inside the box, lit from the camera: shows expression and gaze, not the driver's looks."""
    left, right, top, bottom = box
    if right <= left or bottom <= top:
        return blank()
    size = SUPERSAMPLE * FACE_PX
    scale = np.array([size / (right - left), size / (bottom - top), 1])
    screen = ((frame.screen - [left, top, 0]) * scale).astype(np.float32)
    fragments = draw(screen, body.faces, size, size)
    facing = np.abs(vertex_normals(frame.vertices, body.faces)[:, 2:])
    light = (AMBIENT + DIFFUSE * facing) * skin_colours(body)[:, :3] / 255
    shaded = interpolate_averaged(fragments, body.faces, light.astype(np.float32), SUPERSAMPLE)
    return (255 * np.clip(shaded, 0, 1) ** (1 / 2.2)).astype(np.uint8)
