"""A motion as Wan-Animate's input folder, like its preprocess: `src_pose.mp4`, `src_face.mp4`, `src_ref.png`.

The folder is for the animation mode (Wan-Video/Wan2.2, `preprocess_data.py` without --replace_flag), so that
`generate.py --task animate-14B --src_root_path FOLDER` reads it. Sizes and the choice of frames follow that code. All
pictures have the reference's aspect ratio and at most the given area. With framing `drive` the pose is drawn at the
driving video's size and padded to the size of the pictures. With framing `ref` (--retarget_flag there) it is drawn
where the photo shows the person, on the photo as generate.py pads it. Each frame takes the row nearest in time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.leftovers import made_folder
from stages.artifacts.motion import Motion, expected_notes
from stages.artifacts.provenance import Provenance, sha256_file, source_notes
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.counted import counted
from stages.drawing.face import FACE_PX, cut_faces, draw_faces
from stages.drawing.frames import PosedFrame, View, posed_frames
from stages.drawing.names import DRIVE, REF
from stages.drawing.skeleton import draw_skeleton
from stages.drawing.tracked_video import check_tracked_video
from stages.drawing.whole_body import point_finder
from stages.errors import InputError
from stages.export import file_names
from stages.export.driving_frames import check_reference, nearest_rows, placed
from stages.progress import Progress, silent
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import read_photo

FPS = 30
POSE, FACE, PHOTO = file_names.WAN_ANIMATE
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
    *,
    video: Path | None = None,
    video_motion: Motion | None = None,
    ref_motion: Motion | None = None,
    framing: str = DRIVE,
    fps: int = FPS,
    area: int = 1280 * 720,
    progress: Progress = silent,
) -> WanAnimateFiles:
    """Write the three files into `folder`, which is created if needed; each file is written atomically.

    `video` is the driving video, and `video_motion` the motion tracked in it, which a retargeted motion needs. With
    them the face is cut out of the video; without, it is drawn from the fitted body. `ref_motion` is the motion of the
    photo, for framing `ref`. Raises InputError for a motion of another body file, a missing motion, one that is not of
    its video or photo, and as `cut_faces` does.
    """
    own = None if video is None else face_motion(motion, video_motion)
    for name, each in (("motion", motion), ("motion of the video", own)):
        if each is not None:
            require_same_body(name, each, body)
    photo = read_photo(ref)
    check_reference(ref_motion, photo, framing, body)
    width, height = picture_size(photo.shape[1], photo.shape[0], area)
    rows = nearest_rows(motion, fps)
    inputs = {"video_motion": own, "ref_motion": ref_motion if framing == REF else None}
    comment = {"comment": _provenance(motion, inputs, body, ref, video, framing, fps, area).to_json()}
    if own is not None and video is not None:
        check_tracked_video(video, own)
    drawn, outside = placed(motion, ref_motion, framing, body), 0
    view, paint = _pose_painter(drawn, body, framing, width, height)
    faces = draw_faces(motion, body, rows) if own is None or video is None else cut_faces(video, own, body, rows)
    with made_folder(folder, whole=True), ExitStack() as open_files:
        face_sink, pose_sink = (  # the last is finished first: a folder that a killed run left is known by it
            open_files.enter_context(VideoSink(folder / name, *size, fps, metadata=comment))  # type: ignore[arg-type]
            for name, size in ((FACE, (FACE_PX, FACE_PX)), (POSE, (width, height)))
        )
        for count, (frame, face) in enumerate(zip(posed_frames(drawn, body, view, rows), faces, strict=True)):
            pose_sink.write(paint(frame))
            face_sink.write(face)
            outside += not face.any()
            progress("drawing Wan-Animate's input", count + 1, len(rows))
        open_files.close()
        write_png(folder / PHOTO, photo)
    return WanAnimateFiles(len(rows), fps, width, height, outside)


def face_motion(motion: Motion, video_motion: Motion | None) -> Motion:
    """The motion whose face has its box in the driving video: `video_motion`, or `motion` if it was not retargeted.

    Raises InputError for a retargeted motion: the box of another head cuts another part of the picture.
    """
    if video_motion is None and motion.provenance.stage == "retarget":
        raise InputError(
            "the motion is retargeted, so its head is not the one in the video; give the motion tracked in the video: "
            "--video-motion NPZ"
        )
    own = motion if video_motion is None else video_motion
    if own.provenance.stage == "retarget":
        raise InputError("--video-motion is retargeted; give the motion that emosh track made of the video")
    if len(own) != len(motion):
        raise InputError(
            f"--video-motion has {counted(len(own), 'row')}, but the motion {len(motion)}; give the one that "
            "was retargeted"
        )
    return own


def _pose_painter(
    motion: Motion, body: Body, framing: str, width: int, height: int
) -> tuple[View, Callable[[PosedFrame], UInt8[np.ndarray, "height width 3"]]]:
    """The picture in which the motion is posed, and what draws its skeleton at the size of the result."""
    view = View.fitted(motion, width, height) if framing == REF else View.own(motion)
    whole = point_finder(body, view)

    def paint(frame: PosedFrame) -> UInt8[np.ndarray, "height width 3"]:
        return letterboxed(draw_skeleton(whole(frame), view.width, view.height), width, height)

    return view, paint


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


def _provenance(
    motion: Motion, others: dict[str, Motion | None], body: Body, ref: Path, video: Path | None, framing: str, fps: int,
    area: int,
) -> Provenance:  # fmt: skip
    inputs = {"motion": motion.provenance.fingerprint(), "ref": sha256_file(ref)}
    inputs |= {role: each.provenance.fingerprint() for role, each in others.items() if each is not None}
    if video is not None:
        inputs["video"] = sha256_file(video)
    face = "drawn from the fitted body" if video is None else "cut out of the driving video"
    return Provenance(
        "export",
        config={"to": "wan-animate", "framing": framing, "fps": fps, "area": area},
        inputs=inputs,
        weights={"body": body.sha256},
        notes={"face": face, "ref": ref.name, **source_notes(motion.provenance), **expected_notes(motion)},
    )
