"""Read a stretch of a long video frame by frame, without decoding all frames before it.

Seeking is not reliable in all containers and codecs. Therefore a stretch begins at a `Moment`: the number of a frame,
its time stamp, and a checksum of its pixels. If seeking finds another frame, the video is read from its beginning. The
result is the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError
from stages.video.source import Frame, decoded, opened, read_frames, upright_frames, video_timing

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Moment:
    """One frame of a video: its number from 0, its time stamp in ticks of the stream, the checksum of its picture."""

    index: int
    pts: int | None
    checksum: int


def checksum(frame: VideoFrame) -> int:
    """crc32 of the first plane of the decoded frame, without padding; it differs between neighbouring pictures."""
    import numpy as np

    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[arg-type]
    used = min(plane.line_size, plane.width * -(-frame.format.components[0].bits // 8))
    return zlib.crc32(rows[:, :used].tobytes())


def read_stretch(path: Path, first: Moment, count: int) -> Iterator[Frame]:
    """Yield `count` upright frames from `first` on.

    `index` counts from the start of the video, `pts_seconds` from the first frame of the stretch. Raises InputError as
    `read_frames` does, and when the video ends before the stretch or has changed.
    """
    path, found = Path(path), 0
    timing = video_timing(path)
    with opened(path) as (container, stream):
        frames = _seek(path, container, stream, first) if first.index else None
        if frames is not None:
            stretch = upright_frames(path, islice(frames, count), stream, timing, first.index)
            yield from _counted(path, stretch, first, count)
            return
    with opened(path) as (container, stream):
        frames = islice(decoded(path, container, stream), first.index, first.index + count)
        for frame in _counted(path, upright_frames(path, frames, stream, timing, first.index), first, count):
            yield frame
            found += 1
    if not found:
        raise InputError(f"{path} ends before frame {first.index}; the file has changed, run the command again")


def read_from(path: Path, first: Moment, begin: Moment) -> Iterator[Frame]:
    """Yield the upright frames of a video from `first` on, as `read_frames` does after it has yielded those before.

    `begin` is frame 0. Raises InputError as `read_frames`.
    """
    with opened(path) as (container, stream):
        frames = _seek(path, container, stream, first)
        if frames is not None and stream.time_base is not None and begin.pts is not None:
            timing = video_timing(path)
            start = timing.seconds(0, float(begin.pts * stream.time_base))
            yield from upright_frames(path, frames, stream, timing, first.index, start)
            return
    yield from islice(read_frames(path), first.index, None)


def _seek(path: Path, container: InputContainer, stream: VideoStream, first: Moment) -> Iterator[VideoFrame] | None:
    """The frames from `first` on, or None if seeking does not find exactly that frame."""
    import av.error

    if first.pts is None:
        return None
    try:
        container.seek(first.pts, stream=stream, backward=True)
        frames = decoded(path, container, stream)
        for frame in frames:
            if frame.pts is None or frame.pts > first.pts:
                return None
            if frame.pts == first.pts:
                return chain([frame], frames) if checksum(frame) == first.checksum else None
    except (av.error.FFmpegError, InputError):
        return None
    return None


def _counted(path: Path, frames: Iterator[Frame], first: Moment, count: int) -> Iterator[Frame]:
    """The frames. Raises InputError if there are some, but fewer than `count`."""
    found = 0
    for frame in frames:
        yield frame
        found += 1
    if 0 < found < count:
        raise InputError(f"{path} ends at frame {first.index + found}; the file has changed, run the command again")
