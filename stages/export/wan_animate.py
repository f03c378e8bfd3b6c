"""A motion as Wan-Animate's input folder, as its preprocess leaves it: `src_pose.mp4`, `src_face.mp4`, `src_ref.png`.

Made for its animation mode (Wan-Video/Wan2.2, `preprocess_data.py` without --replace_flag), so that `generate.py
--task animate-14B --src_root_path FOLDER` reads it. Sizes and the choice of frames follow that code: the reference's
shape at the area asked for, the pose drawn at the driving video's size and padded into it, the nearest row to each
tick of the frame rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance, sha256_file
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.drawing.face import FACE_PX, box_of, cut_face, draw_face
from stages.drawing.frames import View, posed_frames
from stages.drawing.skeleton import draw_skeleton
from stages.drawing.whole_body import looked_up
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.raster.rasterizer import rasterizer
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import read_frames, read_photo

FPS = 30
POSE, FACE, REF = "src_pose.mp4", "src_face.mp4", "src_ref.png"
DIVISOR, WIDTH_DIVISOR = 16, 64
"""The preprocess asks for sides that 16 divides, but only ever tries widths that 64 divides."""


@dataclass(frozen=True)
class Written:
    """What was made."""

    frames: int
    fps: int
    width: int
    height: int
    faces_outside: int
    """Frames whose face picture is black, since the face is outside the picture."""


def write_wan_animate(
    folder: Path,
    motion: Motion,
    body: Body,
    ref: Path,
    video: Path | None = None,
    fps: int = FPS,
    area: int = 1280 * 720,
    progress: Progress = silent,
) -> Written:
    """Write the three files into `folder`, which is made if needed; each appears whole or not at all.

    `video` is the driving video: with it the face is cut out of its pictures, without it drawn from the fitted body.
    Raises InputError for a motion of another body file, or a video with fewer frames than the motion has rows.
    """
    require_same_body("motion", motion, body)
    photo = read_photo(ref)
    width, height = picture_size(photo.shape[1], photo.shape[0], area)
    rows = picked_rows(motion, fps)
    comment = {"comment": _record(motion, body, ref, video, fps, area).to_json()}
    folder.mkdir(exist_ok=True)
    draw, outside = rasterizer("numba"), 0
    faces = _driving_pictures(video, rows, len(motion)) if video is not None else None
    with ExitStack() as open_files:
        pose_sink, face_sink = (
            open_files.enter_context(VideoSink(folder / name, *size, fps, metadata=comment))  # type: ignore[arg-type]
            for name, size in ((POSE, (width, height)), (FACE, (FACE_PX, FACE_PX)))
        )
        view = View.own(motion)
        whole = looked_up(body, view)
        for count, frame in enumerate(posed_frames(motion, body, view, rows)):
            pose_sink.write(padded(draw_skeleton(whole(frame), *motion.image_size), width, height))
            box = box_of(frame, *motion.image_size)
            picture = draw_face(frame, box, body, draw) if faces is None else cut_face(next(faces), box)
            face_sink.write(picture)
            outside += not picture.any()
            progress("drawing Wan-Animate's input", count + 1, len(rows))
        write_png(folder / REF, photo)
    return Written(len(rows), fps, width, height, outside)


def picture_size(width: int, height: int, area: int) -> tuple[int, int]:
    """The size that the preprocess gives the reference: the largest area up to `area` whose sides it tries.

    Heights are multiples of 16, widths the multiples of 64 next to the ideal one; of equal areas the truest shape wins.
    """
    ratio = width / height
    ideal_height = int(np.sqrt(area / ratio))
    tallest = DIVISOR * -(-ideal_height // DIVISOR)
    found = []
    for tall in range(DIVISOR, tallest + DIVISOR, DIVISOR):
        ideal = tall * ratio
        for steps in (ideal // WIDTH_DIVISOR, (ideal + WIDTH_DIVISOR - 1) // WIDTH_DIVISOR):
            wide = WIDTH_DIVISOR * int(steps)
            if wide > 0 and wide * tall <= area:
                found.append((wide, tall))
    if not found:
        tall = np.sqrt(area / ratio)
        return int(area / tall // DIVISOR * DIVISOR), int(tall // DIVISOR * DIVISOR)
    return min(found, key=lambda size: (-size[0] * size[1], abs(size[0] / size[1] - ratio)))


def picked_rows(motion: Motion, fps: int) -> Int[np.ndarray, "picked"]:
    """The row nearest to each tick of `fps`, by the rows' own times; a tie goes to the even row, as numpy rounds."""
    rate = float(motion.fps)
    count = max(1, int(len(motion) / rate * fps))
    times = motion.pts_seconds - motion.pts_seconds[0]
    place = np.interp(np.arange(count) / fps, times, np.arange(len(motion)))
    return np.clip(np.round(np.round(place, 6)).astype(int), 0, len(motion) - 1)


def padded(rgb: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """The picture resized into the middle of a black one of the size asked for, its shape kept."""
    import cv2

    tall, wide = rgb.shape[:2]
    taller = tall / wide > height / width
    inner = (int(height / tall * wide), height) if taller else (width, int(width / wide * tall))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(rgb, inner, interpolation=cv2.INTER_LINEAR)
    return canvas


def _driving_pictures(video: Path, rows: Int[np.ndarray, "picked"], count: int) -> Iterator[np.ndarray]:
    """The driving video's pictures of the picked rows, one in memory at a time."""
    frames = read_frames(video)
    index, rgb = -1, np.zeros((0, 0, 3), np.uint8)
    for row in rows.tolist():
        while index < row:
            frame = next(frames, None)
            if frame is None:
                raise InputError(f"{video} has {index + 1} frames, but the motion {count} rows; give its own video")
            index, rgb = frame.index, frame.rgb
        yield rgb


def _record(motion: Motion, body: Body, ref: Path, video: Path | None, fps: int, area: int) -> Provenance:
    inputs = {"motion": motion.provenance.fingerprint(), "ref": sha256_file(ref)}
    if video is not None:
        inputs["video"] = sha256_file(video)
    face = "drawn from the fitted body" if video is None else "cut out of the driving video"
    notes = {"face": face, "source": motion.provenance.notes.get("source"), "ref": str(ref)}
    return Provenance(
        "export",
        config={"to": "wan-animate", "fps": fps, "area": area},
        inputs=inputs,
        weights={"body": body.sha256},
        notes=notes,
    )
