"""Read videos and photos: one upright RGB frame at a time, each with its own time stamp.

Pixels are uint8 RGB, row 0 at the top of the picture as a player shows it: display matrix (rotation, mirroring),
EXIF orientation and non-square pixels are applied. Times are in seconds from the first frame. Does not know people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError
from stages.video.container import opened_container
from stages.video.decoding import decoded
from stages.video.display import Upright
from stages.video.photo import MAX_SIDE, photo_size, read_photo
from stages.video.timing import PHOTO_FPS, Timing, find_timing, find_timing_by_decoding, refuse_cut

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Frame", "VideoInfo", "decoded", "probe", "read_frames", "read_photo"]

KNOWN_TIMINGS = 64
"""Videos whose timing is remembered, so that it is found once per run."""


@dataclass(frozen=True)
class Frame:
    """One upright picture: `index` counts from 0, `pts_seconds` is the time since the first frame."""

    convert: Callable[[], UInt8[np.ndarray, "height width 3"]]
    """Makes `rgb` from the decoded frame. It is half the work per frame and is not called for skipped frames."""
    index: int
    pts_seconds: float

    @cached_property
    def rgb(self) -> UInt8[np.ndarray, "height width 3"]:
        """The picture, converted on first use."""
        return self.convert()


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a file. `width` and `height` are upright; `rotation_degrees` is the applied clockwise turn.

    `frame_count` counts shown packets, which is exact except for codecs with hidden frames (VP8). `duration_seconds`
    includes the duration of the last frame and is 0 for a photo. `remarks` say what was not as in an ordinary video,
    and what was done about it.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    frame_count: int | None
    duration_seconds: float
    is_photo: bool
    has_audio: bool
    rotation_degrees: int
    is_variable_rate: bool
    remarks: tuple[str, ...] = ()


def probe(path: Path) -> VideoInfo:
    """Describe a photo, GIF or video. Reads every packet but decodes only the first frame, or all where the packets do
    not say when frames are shown.

    Raises InputError for a missing, empty, unreadable or truncated file, and for one without pictures.
    """
    path = _existing(path)
    size = photo_size(path)
    if size is not None:
        return VideoInfo(path, *size, PHOTO_FPS, 1, 0.0, True, False, 0, False)
    timing = video_timing(path)
    with opened(path) as (container, stream):
        first = next(decoded(path, container, stream))
        upright = Upright(first, stream.sample_aspect_ratio)
        _check_side(path, upright)
        has_audio = len(container.streams.audio) > 0
    return VideoInfo(
        path, upright.width, upright.height, timing.fps, timing.count, timing.duration, False, has_audio,
        upright.rotation_degrees, timing.is_variable, timing.remarks,
    )  # fmt: skip


def read_frames(path: Path) -> Iterator[Frame]:
    """Yield every frame in display order, with one frame in memory at a time. A photo yields one frame.

    Times rise strictly. Interlaced frames are deinterlaced. Raises InputError as `probe` does before the first frame;
    later, naming the frame, when a frame cannot be decoded or has another size.
    """
    path = _existing(path)
    if photo_size(path) is not None:
        rgb = read_photo(path)
        yield Frame(lambda: rgb, 0, 0.0)
        return
    timing = video_timing(path)
    with opened(path) as (container, stream):
        yield from upright_frames(path, decoded(path, container, stream), stream, timing)


def upright_frames(
    path: Path,
    frames: Iterable[VideoFrame],
    stream: VideoStream,
    timing: Timing,
    first: int = 0,
    start: float | None = None,
) -> Iterator[Frame]:
    """The decoded frames upright, with their times; the first of them is frame `first` of the video. Time 0 is `start`
    in the file's clock, or the first of the frames.

    Raises InputError for a frame of another size, and for one that is not later than the one before.
    """
    before, upright = -1.0, None
    for index, frame in enumerate(frames, start=first):
        seconds = timing.seconds(index, frame.time)
        start = seconds if start is None else start
        if upright is None:
            upright = Upright(frame, stream.sample_aspect_ratio)
            _check_side(path, upright)
        elif not upright.fits(frame):
            raise InputError(f"{path}: the picture changes its size at frame {index}; convert it with ffmpeg first")
        if seconds - start <= before:
            raise InputError(f"{path}: frame {index} is not later than the one before; convert it with ffmpeg first")
        before = seconds - start
        yield Frame(partial(upright.rgb, frame), index, before)


def _check_side(path: Path, upright: Upright) -> None:
    if not 1 <= min(upright.width, upright.height) <= max(upright.width, upright.height) <= MAX_SIDE:
        size = f"{upright.width}x{upright.height}"
        raise InputError(f"{path} is shown as {size} pixels, expected 1 to {MAX_SIDE}; convert it with ffmpeg first")


def video_timing(path: Path) -> Timing:
    """When the frames of a video are shown. Found once per file and run. Raises InputError as `probe` does."""
    path = Path(path)
    status = path.stat()
    return _timing(path.absolute(), path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=KNOWN_TIMINGS)
def _timing(absolute: Path, path: Path, size: int, changed: int, inode: int) -> Timing:
    with opened(path) as (container, stream):
        _refuse_missing_bytes(path, stream)
        timing = find_timing(path, container, stream)
    if timing is None:
        with opened(path) as (container, stream):
            timing = find_timing_by_decoding(path, container, stream)
    with opened(path) as (container, stream):
        interlaced = any(frame.interlaced_frame for frame in islice(container.decode(stream), 1))
    return replace(timing, remarks=(*timing.remarks, "its frames are deinterlaced")) if interlaced else timing


def _existing(path: Path) -> Path:
    path = require_regular_file(path, "give a video or a photo")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or record it again")
    return path


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container and its video stream: the default one, else the largest. Cover art of a music file is not a
    video."""
    from av.stream import Disposition

    with opened_container(path, "a video or photo") as container:
        if container.format.name == "image2" or container.format.name.endswith("_pipe"):
            raise InputError(f"{path} is not a video or photo that can be read; save or download it again")
        shown = [
            each
            for each in container.streams.video
            if not each.disposition & Disposition.attached_pic and each.codec_context is not None
        ]
        if not shown:
            raise InputError(f"{path} holds no video stream that can be decoded; give a video or a photo")
        chosen = max(shown, key=lambda each: (bool(each.disposition & Disposition.default), each.width * each.height))
        chosen.thread_type = "AUTO"
        yield container, chosen


def _refuse_missing_bytes(path: Path, stream: VideoStream) -> None:
    """Raises InputError for a file shorter than its header states: by mp4's index of frames or avi's RIFF size."""
    kind, size = stream.container.format.name, path.stat().st_size
    if "mp4" in kind:
        ends = [entry.pos + entry.size for entry in stream.index_entries]
        complete = sum(end <= size for end in ends)
        if complete < len(ends):
            refuse_cut(path, f"{len(ends)} frames and {complete} are in the file")
    elif kind == "avi":
        with path.open("rb") as file:
            promised = int.from_bytes(file.read(8)[4:], "little") + 8
        if size < promised < 2**32:
            refuse_cut(path, f"{promised} bytes and {size} are in the file")
