"""A motion as Wan-Animate's input folder, like its preprocess: `src_pose.mp4`, `src_face.mp4`, `src_ref.png`.

The folder is for the animation mode (Wan-Video/Wan2.2, `preprocess_data.py` without --replace_flag), so that
`generate.py --task animate-14B --src_root_path FOLDER` reads it. Sizes and the choice of frames follow that code. All
pictures have the reference's aspect ratio and at most the given area. The pose is drawn at the driving video's size and
padded to the size of the pictures. Each output frame takes the row nearest in time.
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
from stages.drawing.face import FACE_PX, box_of, crop_face, draw_face
from stages.drawing.frames import View, posed_frames
from stages.drawing.skeleton import draw_skeleton
from stages.drawing.whole_body import point_finder
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.raster.rasterizer import rasterizer
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import read_frames, read_photo

FPS = 30
POSE, FACE, REF = "src_pose.mp4", "src_face.mp4", "src_ref.png"
DIVISOR, WIDTH_DIVISOR = 16, 64
"""The preprocess wants sides that are multiples of 16, but it tries only widths that are multiples of 64."""


@dataclass(frozen=True)
class WanAnimateFiles:
    """What was written: number of frames, frames per second, picture size in pixels."""

    frames: int
    fps: int
    width: int
    height: int
    faces_outside: int
    """Frames whose face picture is black, because the face is outside the picture."""


def write_wan_animate(
    folder: Path,
    motion: Motion,
    body: Body,
    ref: Path,
    video: Path | None = None,
    fps: int = FPS,
    area: int = 1280 * 720,
    progress: Progress = silent,
) -> WanAnimateFiles:
    """Write the three files into `folder`, which is created if needed; each file is written atomically.

    `video` is the driving video. With it the face is cropped from its pictures; without it the face is drawn from the
    fitted body. Raises InputError for a motion of another body file, or a video with fewer frames than the motion has
    rows.
    """
    require_same_body("motion", motion, body)
    photo = read_photo(ref)
    width, height = picture_size(photo.shape[1], photo.shape[0], area)
    rows = nearest_rows(motion, fps)
    comment = {"comment": _provenance(motion, body, ref, video, fps, area).to_json()}
    folder.mkdir(exist_ok=True)
    draw, outside = rasterizer("numba"), 0
    faces = _driving_pictures(video, rows, len(motion)) if video is not None else None
    with ExitStack() as open_files:
        pose_sink, face_sink = (
            open_files.enter_context(VideoSink(folder / name, *size, fps, metadata=comment))  # type: ignore[arg-type]
            for name, size in ((POSE, (width, height)), (FACE, (FACE_PX, FACE_PX)))
        )
        view = View.own(motion)
        whole = point_finder(body, view)
        for count, frame in enumerate(posed_frames(motion, body, view, rows)):
            pose_sink.write(letterboxed(draw_skeleton(whole(frame), *motion.image_size), width, height))
            box = box_of(frame, *motion.image_size)
            picture = draw_face(frame, box, body, draw) if faces is None else crop_face(next(faces), box)
            face_sink.write(picture)
            outside += not picture.any()
            progress("drawing Wan-Animate's input", count + 1, len(rows))
        write_png(folder / REF, photo)
    return WanAnimateFiles(len(rows), fps, width, height, outside)


def picture_size(width: int, height: int, area: int) -> tuple[int, int]:
    """(width, height) that the preprocess gives the reference: of the sizes that it tries, the largest up to `area`.

    Heights are multiples of 16, widths are the multiples of 64 next to the ideal width. Of two equal areas the one
    nearer to the aspect ratio is taken.
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


def nearest_rows(motion: Motion, fps: int) -> Int[np.ndarray, "picked"]:
    """The row nearest in time to each frame at `fps`; a tie goes to the even row, as numpy rounds."""
    rate = float(motion.fps)
    count = max(1, int(len(motion) / rate * fps))
    times = motion.pts_seconds - motion.pts_seconds[0]
    place = np.interp(np.arange(count) / fps, times, np.arange(len(motion)))
    return np.clip(np.round(np.round(place, 6)).astype(int), 0, len(motion) - 1)


def letterboxed(rgb: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """The picture resized with its aspect ratio and centred on a black picture of `width` x `height`."""
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
                raise InputError(
                    f"{video} has {index + 1} frames but the motion has {count} rows; "
                    "give the video that the motion was tracked in"
                )
            index, rgb = frame.index, frame.rgb
        yield rgb


def _provenance(motion: Motion, body: Body, ref: Path, video: Path | None, fps: int, area: int) -> Provenance:
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
