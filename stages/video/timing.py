"""When the frames of a video are shown: found once, before any frame is used, so that every reader agrees.

The times of packets are enough for an ordinary file. Where they are not (no times, times that do not rise, a beginning
that cannot be decoded, B-frames in a container that stores no times), every frame is decoded once; if the frames' own
times do not rise strictly either, the frames are evenly spaced by the stated rate, and that is said.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from stages.artifacts.limits import MAX_FPS, MAX_FRAMES
from stages.errors import InputError
from stages.video.container import damage_named
from stages.video.decoding import decoded, has_alpha

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

PHOTO_FPS = Fraction(30)
"""Nominal rate of a photo: motion files need one, and Blender's importer refuses less than 30."""
SHORTFALL_SECONDS = 0.25
"""A file counts as cut short if it ends earlier than its stated duration by more than this plus two frames."""


@dataclass(frozen=True)
class Timing:
    """`begin` is the time of the first frame that can be decoded, in the file's own clock; `duration` includes that of
    the last frame. Seconds. `is_counted`: the frames have no usable times and are 1 / fps apart."""

    count: int
    duration: float
    fps: Fraction
    is_variable: bool
    begin: float
    is_counted: bool = False
    remarks: tuple[str, ...] = ()

    def seconds(self, index: int, stated: float | None) -> float:
        """Time of frame `index` in the file's clock; `stated` is what the decoded frame says."""
        if self.is_counted or stated is None:
            return self.begin + float(index / self.fps)
        return stated


def find_timing(path: Path, container: InputContainer, stream: VideoStream) -> Timing | None:
    """The timing by the packets' times; None where only decoding can tell. Raises InputError for a file that ends
    early."""
    shown: list[tuple[float, float]] = []
    ends, starts_with_key, rises, last_decoded = [0.0], None, True, -np.inf
    for packet in _demuxed(path, container):
        if packet.is_discard or packet.time_base is None or (packet.pts is None and packet.size == 0):
            continue
        ours = packet.stream_index == stream.index
        if ours and starts_with_key is None:
            starts_with_key = packet.is_keyframe
        if packet.pts is None:
            if ours:
                return None
            continue
        start, duration = float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base)
        ends.append(start + duration)
        if ours:
            shown.append((start, duration))
            if packet.dts is not None:
                rises, last_decoded = rises and packet.dts > last_decoded, packet.dts
            if len(shown) > MAX_FRAMES:
                raise InputError(f"{path} claims more than {MAX_FRAMES} frames; convert it with ffmpeg first")
    if not shown:
        raise InputError(f"{path} holds no frames, or is cut off before the first; copy or record it again")
    shown.sort()
    starts = np.array([start for start, _ in shown])
    _refuse_early_end(path, container, max(ends), shown[-1][1], len(shown))
    guesses_order = container.format.name == "avi" and stream.codec_context.has_b_frames
    if not starts_with_key or not rises or guesses_order or (np.diff(starts) <= 0).any():
        return None
    return _timing(path, starts, shown[-1][1], _nominal(stream), _remarks(stream))


def find_timing_by_decoding(path: Path, container: InputContainer, stream: VideoStream) -> Timing:
    """The timing by the decoded frames. Raises InputError as `decoded` does."""
    times = [frame.time for frame in decoded(path, container, stream)]
    known = [time for time in times if time is not None]
    nominal, remarks = _nominal(stream), _remarks(stream)
    if len(known) == len(times) and all(before < after for before, after in itertools.pairwise(known)):
        return _timing(path, np.array(known), 0.0, nominal, remarks)
    why = "frames without time stamps" if len(known) < len(times) else "time stamps that do not rise"
    said = f"it has {why}; its {len(times)} frames are taken as {float(nominal):g} per second"
    begin = times[0] if times[0] is not None else 0.0
    return Timing(len(times), float(len(times) / nominal), nominal, False, begin, True, (*remarks, said))


def _timing(path: Path, starts: np.ndarray, last: float, nominal: Fraction, remarks: tuple[str, ...]) -> Timing:
    """`starts`: rising times of all frames; `last`: duration of the last frame, 0 if it is not stated."""
    intervals = np.diff(starts)
    last = last or (float(np.median(intervals)) if len(intervals) else 1 / float(nominal))
    duration = float(starts[-1] - starts[0] + last)
    tolerance = max(0.1 * duration / len(starts), 0.0021)  # times stored in milliseconds are off by up to one each
    steady = bool(np.all(np.abs(intervals - np.mean(intervals)) <= tolerance)) if len(intervals) else True
    agrees = abs(float(nominal) * duration - len(starts)) <= 0.01 * len(starts) + 0.5
    fps = nominal if steady and agrees else Fraction(len(starts) / duration).limit_denominator(1001)
    if not 0 < fps < MAX_FPS:
        fps = Fraction(len(starts) / duration).limit_denominator(10**6)
    if not 0 < fps < MAX_FPS:
        raise InputError(
            f"{path}: its time stamps say {len(starts)} frames in {duration:g} s, which no video has; "
            "convert it with ffmpeg first"
        )
    return Timing(len(starts), duration, fps, not steady, float(starts[0]), False, remarks)


def _nominal(stream: VideoStream) -> Fraction:
    """The rate that the file states, or 30 where it states none that a video has."""
    rates = (stream.guessed_rate, stream.average_rate, PHOTO_FPS)
    return next(rate for rate in rates if rate is not None and 0 < rate < MAX_FPS)


def _remarks(stream: VideoStream) -> tuple[str, ...]:
    return ("its transparent parts are shown on white",) if has_alpha(stream) else ()


def _demuxed(path: Path, container: InputContainer) -> Iterator[Packet]:
    with damage_named(path):
        yield from container.demux()


def _refuse_early_end(path: Path, container: InputContainer, end: float, frame_seconds: float, frames: int) -> None:
    """Raises InputError for a file that ends before its stated duration; for containers without an index of frames."""
    import av

    if container.duration is None or "mp4" in container.format.name:
        return
    promised = container.duration / av.time_base
    begin = (container.start_time or 0) / av.time_base
    if end - begin < promised - SHORTFALL_SECONDS - 2 * frame_seconds:
        refuse_cut(path, f"{promised:.2f} s and {end - begin:.2f} s ({frames} frames) are in the file")


def refuse_cut(path: Path, promise: str) -> NoReturn:
    """Raises InputError for a file that holds less than its header promises."""
    raise InputError(
        f"{path} is cut short: its header promises {promise}; "
        f"copy it again, or keep the part that is there with: ffmpeg -i {path.name} -c copy whole{path.suffix}"
    )
