"""The fitted body drawn over its own video, to check a fit by eye."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import BODY_PARTS, PARTS, Motion
from stages.artifacts.provenance import Provenance
from stages.body.camera import project, resize_intrinsics
from stages.body.model import Body, pose_motion
from stages.body.same_body import require_same_body
from stages.detect.sides import SIDES
from stages.progress import Progress, silent
from stages.raster.rasterizer import rasterizer
from stages.raster.shading import interpolate, vertex_normals

OPACITY = 0.6
SURE_RGB, DOUBTFUL_RGB = np.array([0.62, 0.76, 0.95], np.float32), np.array([1.0, 0.5, 0.15], np.float32)
SURE_MM, DOUBTFUL_MM = 80.0, 200.0
"""The mesh is blue where the expected error is at most the first, orange from the second on, and between them mixed."""
VALID_RGB, INVALID_RGB = (60, 200, 90), (215, 60, 50)
TEXT_RGB, REJECTED_RGB = (235, 235, 235), (255, 140, 120)
GATE_ANGLES = ("face yaw", "face pitch", "face roll")
DOUBTED = "pose points doubted"
"""Gate columns that hold no yes or no: three angles in degrees, and a number of points."""
ROWS_AT_ONCE = 8
LEAST_SIDE_PX = 360
"""Smaller pictures are enlarged by a whole number, so that the text leaves most of them free."""


def write_overlay(source: Path, motion: Motion, body: Body, out: Path, progress: Progress = silent) -> None:
    """Write the source with the mesh drawn over it, as a video or a picture. Each frame shows one square per part
    (green: measured, red: filled in), the angles of the face, every gate that rejected something, and how far each part
    may be off, which also colours the mesh.

    One frame is in memory at a time. A photo and an `out` that ends in .png give a picture. A picture whose shorter
    side is below LEAST_SIDE_PX is enlarged.
    """
    from stages.video.png import write_png
    from stages.video.sink import VideoSink

    frames = overlay_frames(source, motion, body)
    record = Provenance(
        "overlay", inputs={"motion": motion.provenance.fingerprint()}, notes={"kind": "overlay", "source": source.name}
    )
    if motion.is_photo and out.suffix.lower() == ".png":
        write_png(out, next(frames), record.to_json())
        return
    width, height = motion.image_size
    sink = VideoSink(
        out,
        width * enlarged(motion),
        height * enlarged(motion),
        motion.fps,
        metadata={"comment": record.to_json()},
        duration_seconds=motion.duration_seconds or None,
    )
    with sink:
        for row, rgb in enumerate(frames):
            sink.write(rgb, float(motion.pts_seconds[row] - motion.pts_seconds[0]))
            progress("drawing the overlay", row + 1, len(motion))


def overlay_frames(source: Path, motion: Motion, body: Body) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The frames of the source with the mesh drawn over them, `enlarged`."""
    import cv2

    from stages.video.source import read_frames

    require_same_body("motion", motion, body)
    draw, times = rasterizer("numba"), enlarged(motion)
    K = resize_intrinsics(motion.K, times, times)
    vertices: Float[np.ndarray, "rows vertices 3"] = np.empty((0, 0, 3))
    for row, frame in enumerate(read_frames(source)):
        if row % ROWS_AT_ONCE == 0:
            vertices = pose_motion(body, motion, slice(row, row + ROWS_AT_ONCE)).vertices
        picture = cv2.resize(frame.rgb, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)
        if motion.valid[row, 0]:
            colours = mesh_colours(motion, row, body)
            picture = _blend_mesh(picture, vertices[row % ROWS_AT_ONCE], K[row], colours, body, draw)
        _draw_validity_squares(picture, motion.valid[row])
        _draw_lines(picture, [*gate_lines(motion, row), *expected_lines(motion, row)])
        yield picture


def enlarged(motion: Motion) -> int:
    """By how much the overlay is larger than the source, see LEAST_SIDE_PX."""
    return math.ceil(LEAST_SIDE_PX / min(motion.image_size))


def gate_lines(motion: Motion, row: int) -> list[str]:
    """Text lines about one frame: the angles of the face if known, each gate that rejected it, repaired sides, doubted
    pose points."""
    if motion.gates is None:
        return []
    found = dict(zip(motion.gate_names, motion.gates[row].tolist(), strict=True))
    angles = [found.pop(name, 0.0) for name in GATE_ANGLES]
    doubted = round(found.pop(DOUBTED, 0.0))
    repaired = found.pop(SIDES, 0.0)
    lines = ["yaw {:.0f} pitch {:.0f} roll {:.0f}".format(*angles)] if any(angles) else []
    lines += [f"no: {name.replace('_', ' ')}" for name, rejected in found.items() if rejected]
    lines += [f"{SIDES}: repaired"] if repaired else []
    return [*lines, f"{doubted} pose points doubted"] if doubted else lines


def expected_lines(motion: Motion, row: int) -> list[str]:
    """Text lines about one frame with a body: how far each part may be off, mm, left before right."""
    if motion.expected_mm is None or not motion.valid[row, 0] or not np.isfinite(motion.expected_mm[row]).any():
        return []
    numbers = [f"{value:.0f}" if np.isfinite(value) else "?" for value in motion.expected_mm[row]]
    mm: dict[str, str] = dict(zip(BODY_PARTS, numbers, strict=True))
    pairs = [f"{name}s +-{mm[f'left_{name}']} +-{mm[f'right_{name}']}" for name in ("arm", "hand", "leg")]
    return [f"torso +-{mm['torso']} mm, head +-{mm['head']}", *pairs]


def mesh_colours(motion: Motion, row: int, body: Body) -> Float[np.ndarray, "vertices 3"]:
    """Colour of each vertex, 0 to 1, by the expected error of its part in one frame."""
    share = np.zeros(len(BODY_PARTS))
    if motion.expected_mm is not None:
        share = np.clip(
            (np.nan_to_num(motion.expected_mm[row], nan=DOUBTFUL_MM) - SURE_MM) / (DOUBTFUL_MM - SURE_MM), 0, 1
        )
    of_vertex = np.zeros(len(body.part), np.float32)
    for part, value in zip(BODY_PARTS, share, strict=True):
        of_vertex[body.part_vertices(part, part.replace("leg", "foot"))] = value
    return SURE_RGB + of_vertex[:, None] * (DOUBTFUL_RGB - SURE_RGB)


def _blend_mesh(picture, vertices, K, colours, body: Body, draw) -> UInt8[np.ndarray, "height width 3"]:
    height, width = picture.shape[:2]
    fragments = draw(project(vertices, K), body.faces, width, height)
    light = np.abs(vertex_normals(vertices, body.faces)[:, 2:])
    shade = interpolate(fragments, body.faces, (0.25 + 0.75 * light) * colours)
    covered = fragments.face >= 0
    mixed = (1 - OPACITY) * picture[covered] + OPACITY * 255 * shade[covered]
    picture[covered] = np.clip(mixed, 0, 255).astype(np.uint8)
    return picture


def _draw_lines(picture: UInt8[np.ndarray, "height width 3"], lines: list[str]) -> None:
    """Write one text line per entry below the squares, light on a dark strip, readable on any picture."""
    import cv2

    height = picture.shape[0]
    size, line = max(0.35, height / 1100), max(13, height // 34)
    below = 10 + max(8, height // 28)
    for place, text in enumerate(lines):
        (width, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        top = below + place * line
        strip = picture[top : top + line, 4 : 10 + width]
        strip[:] = strip // 4
        colour = REJECTED_RGB if text.startswith("no: ") else TEXT_RGB
        cv2.putText(
            picture, text, (7, top + (line + tall) // 2), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA
        )


def _draw_validity_squares(picture: UInt8[np.ndarray, "height width 3"], valid) -> None:
    """Draw one square with a letter per part in the top left corner: B body, F face, L and R hands."""
    import cv2

    size = max(8, picture.shape[0] // 28)
    for place, (part, good) in enumerate(zip(PARTS, valid, strict=True)):
        left = 4 + place * (size + 4)
        cv2.rectangle(picture, (left, 4), (left + size, 4 + size), VALID_RGB if good else INVALID_RGB, -1)
        letter = part[0].upper()
        cv2.putText(
            picture, letter, (left + size // 5, size), cv2.FONT_HERSHEY_SIMPLEX, size / 30, (0, 0, 0), 1, cv2.LINE_AA
        )
