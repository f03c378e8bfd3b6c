"""Read videos and photos: one upright RGB frame at a time, each with its own time stamp.

Pixels are uint8 RGB, row 0 at the top of the picture as a player shows it: display matrix (rotation, mirroring),
EXIF orientation and non-square pixels are applied. Times are in seconds from the first frame. Does not know people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from jaxtyping import UInt8

from stages.errors import InputError
from stages.video.container import open_container
from stages.video.display import Upright
from stages.video.photo import photo_size, read_photo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Frame", "VideoInfo", "probe", "read_frames", "read_photo"]

PHOTO_FPS = Fraction(30)
"""Nominal rate of a photo: motion files need one, and Blender's importer refuses less than 30."""
SHORTFALL_SECONDS = 0.25
"""A file counts as cut short if it ends earlier than its stated duration by more than this plus two frames."""


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
    includes the duration of the last frame and is 0 for a photo.
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


def probe(path: Path) -> VideoInfo:
    """Describe a photo, GIF or video. Reads every packet but decodes only the first frame.

    Raises InputError for a missing, empty, unreadable or truncated file, and for one without pictures.
    """
    path = _existing(path)
    size = photo_size(path)
    if size is not None:
        return VideoInfo(path, *size, PHOTO_FPS, 1, 0.0, True, False, 0, False)
    with opened(path) as (container, stream):
        _refuse_missing_bytes(path, stream)
        times = _packet_times(path, container, stream)
    with opened(path) as (container, stream):
        first = next(decoded(path, container, stream))
        upright = Upright(first, stream.sample_aspect_ratio)
        has_audio = len(container.streams.audio) > 0
    return VideoInfo(
        path, upright.width, upright.height, times.fps, times.count, times.duration, False, has_audio,
        upright.rotation_degrees, times.is_variable,
    )  # fmt: skip


def read_frames(path: Path) -> Iterator[Frame]:
    """Yield every frame in display order, with one frame in memory at a time. A photo yields one frame.

    Raises InputError as `probe` does before the first frame; later, naming the frame, when a frame cannot be decoded or
    has another size.
    """
    path = _existing(path)
    if photo_size(path) is not None:
        rgb = read_photo(path)
        yield Frame(lambda: rgb, 0, 0.0)
        return
    with opened(path) as (container, stream):
        _refuse_missing_bytes(path, stream)
        if "mp4" not in container.format.name:
            _packet_times(path, container, stream)  # refuses a file that ends early
    with opened(path) as (container, stream):
        yield from _upright_frames(path, container, stream)


def _upright_frames(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[Frame]:
    rate = float(stream.guessed_rate or PHOTO_FPS)
    start, upright = 0.0, None
    for index, frame in enumerate(decoded(path, container, stream)):
        seconds = index / rate if frame.time is None else frame.time
        if upright is None:
            start, upright = seconds, Upright(frame, stream.sample_aspect_ratio)
        elif not upright.fits(frame):
            raise InputError(f"{path}: the picture changes its size at frame {index}; convert it with ffmpeg first")
        yield Frame(partial(upright.rgb, frame), index, max(0.0, seconds - start))


def decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decoded frames, not yet upright. Raises InputError if there is none, or naming the one that cannot be decoded."""
    import av.error

    count = 0
    try:
        for frame in container.decode(stream):
            yield frame
            count += 1
    except (av.error.FFmpegError, EOFError) as error:
        raise InputError(
            f"{path} is damaged at frame {count} ({_reason(error)}); convert it with ffmpeg first"
        ) from error
    if count == 0:
        raise InputError(f"{path} holds no frame that can be decoded; convert it with ffmpeg first")


def _existing(path: Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a video or a photo")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or record it again")
    return path


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container and its video stream; cover art of a music file is not a video."""
    import av.error
    from av.stream import Disposition

    try:
        container = open_container(path)
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path} is not a video or photo that can be read, or is cut off ({_reason(error)}); save or copy it again"
        ) from error
    with container:
        if container.format.name == "image2" or container.format.name.endswith("_pipe"):
            raise InputError(f"{path} is not a video or photo that can be read; save or download it again")
        shown = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
        if not shown or shown[0].codec_context is None:
            raise InputError(f"{path} holds no video stream that can be decoded; give a video or a photo")
        shown[0].thread_type = "AUTO"
        yield container, shown[0]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _refuse_missing_bytes(path: Path, stream: VideoStream) -> None:
    """Raises InputError for a file shorter than its header states: by mp4's index of frames or avi's RIFF size."""
    kind, size = stream.container.format.name, path.stat().st_size
    if "mp4" in kind:
        ends = [entry.pos + entry.size for entry in stream.index_entries]
        complete = sum(end <= size for end in ends)
        if complete < len(ends):
            _refuse_cut(path, f"{len(ends)} frames and {complete} are in the file")
    elif kind == "avi":
        with path.open("rb") as file:
            promised = int.from_bytes(file.read(8)[4:], "little") + 8
        if size < promised < 2**32:
            _refuse_cut(path, f"{promised} bytes and {size} are in the file")


def _refuse_cut(path: Path, promise: str) -> NoReturn:
    raise InputError(
        f"{path} is cut short: its header promises {promise}; "
        f"copy it again, or keep the part that is there with: ffmpeg -i {path.name} -c copy whole{path.suffix}"
    )


@dataclass(frozen=True)
class _Times:
    count: int
    duration: float
    fps: Fraction
    is_variable: bool


def _packet_times(path: Path, container: InputContainer, stream: VideoStream) -> _Times:
    """Frame count, duration and rate from packet time stamps. Raises InputError for a file that ends early."""
    shown, ends_all = [], [0.0]
    for packet in _demuxed(path, container):
        if packet.pts is None or packet.is_discard or packet.time_base is None:
            continue
        start, duration = float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base)
        ends_all.append(start + duration)
        if packet.stream_index == stream.index:
            shown.append((start, duration))
    if not shown:
        raise InputError(f"{path} holds no frames, or is cut off before the first; copy or record it again")
    shown.sort()
    starts = np.array([start for start, _ in shown])
    intervals = np.diff(starts)
    nominal = stream.guessed_rate or stream.average_rate or PHOTO_FPS
    last = shown[-1][1] or (float(np.median(intervals)) if len(intervals) else 1 / float(nominal))
    duration = float(starts[-1] - starts[0] + last)
    _refuse_early_end(path, container, max(ends_all), last, len(shown))
    tolerance = max(0.1 * duration / len(shown), 0.0021)  # times stored in milliseconds are off by up to one each
    steady = bool(np.all(np.abs(intervals - np.mean(intervals)) <= tolerance)) if len(intervals) else True
    agrees = abs(float(nominal) * duration - len(shown)) <= 0.01 * len(shown) + 0.5
    fps = nominal if steady and agrees else Fraction(len(shown) / duration).limit_denominator(1001)
    return _Times(len(shown), duration, fps, not steady)


def _demuxed(path: Path, container: InputContainer):
    import av.error

    try:
        yield from container.demux()
    except (av.error.FFmpegError, EOFError) as error:
        raise InputError(f"{path} is damaged ({_reason(error)}); copy it again, or convert it with ffmpeg") from error


def _refuse_early_end(path: Path, container: InputContainer, end: float, frame_seconds: float, frames: int) -> None:
    """Raises InputError for a file that ends before its stated duration; for containers without an index of frames."""
    import av

    if container.duration is None or "mp4" in container.format.name:
        return
    promised = container.duration / av.time_base
    begin = (container.start_time or 0) / av.time_base
    if end - begin < promised - SHORTFALL_SECONDS - 2 * frame_seconds:
        _refuse_cut(path, f"{promised:.2f} s and {end - begin:.2f} s ({frames} frames) are in the file")
