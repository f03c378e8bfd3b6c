"""Shot detection with FFmpeg's scdet filter, which comes with PyAV.

PySceneDetect finds the same 37 of 39 cuts between pieces of the dev clips, also without a false one, but takes more
than twice the time. It also requires opencv-python, which would overwrite files of opencv-python-headless.
Neither of the two finds a dissolve, or a jump within one shot.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stages.curate.config import CurateConfig
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.segment import Moment, checksum
from stages.video.source import VideoInfo, decoded, opened, probe

UNTIMED = -(2**63)


@dataclass(frozen=True)
class Shots:
    """The shots of one video. `starts`: first frame of each shot, beginning with 0. `times`, `checksums`: per frame."""

    info: VideoInfo
    frame_count: int
    starts: tuple[int, ...]
    times: array
    checksums: array

    def moment(self, frame: int) -> Moment:
        """What identifies that frame in the video: number, timestamp and checksum."""
        pts = self.times[frame]
        return Moment(frame, None if pts == UNTIMED else pts, self.checksums[frame])


def find_shots(path: Path, cut_score: float, progress: Progress = silent) -> Shots:
    """Find the shots of a video. The video is read once; twelve bytes per frame stay in memory.

    Raises InputError as `probe` does, for a photo, and for a frame that is damaged or has another size.
    """
    info = probe(path)
    if info.is_photo:
        raise InputError(f"{path} is a still picture; give a video")
    starts, times, sums = [0], array("q"), array("I")
    for score, moment in _scored(path):
        if score >= cut_score and moment.index:
            starts.append(moment.index)
        times.append(UNTIMED if moment.pts is None else moment.pts)
        sums.append(moment.checksum)
        progress("looking for shots", len(times), info.frame_count)
    return Shots(info, len(times), tuple(starts), times, sums)


def shot_scores(path: Path) -> list[float]:
    """Every frame's scdet score, 0 to 100: how suddenly the picture changes. Raises InputError as `find_shots`."""
    return [score for score, _ in _scored(path)]


def _scored(path: Path) -> Iterator[tuple[float, Moment]]:
    """Every frame's scdet score, 0 to 100, with the frame's number, timestamp and checksum."""
    import av.filter

    with opened(path) as (container, stream):
        graph, size = None, None
        for index, frame in enumerate(decoded(path, container, stream)):
            if size not in (None, (frame.width, frame.height)):
                raise InputError(f"{path}: the picture size changes at frame {index}; convert it with ffmpeg first")
            if graph is None:
                size = frame.width, frame.height
                graph = av.filter.Graph()
                source = graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
                )
                nodes = source, graph.add("scdet", "threshold=100"), graph.add("buffersink")
                nodes[0].link_to(nodes[1])
                nodes[1].link_to(nodes[2])
                graph.configure()
            moment = Moment(index, frame.pts, checksum(frame))
            graph.push(frame)
            yield float(graph.pull().metadata.get("lavfi.scd.score", 0.0)), moment


@dataclass(frozen=True)
class Span:
    """`frames` frames, beginning with frame `first`."""

    first: int
    frames: int


def windows_of_shots(starts: tuple[int, ...], frame_count: int, config: CurateConfig) -> tuple[list[Span], list[Span]]:
    """The windows of all shots, in order, and the pieces that are too short for a window.

    A shot is cut into windows of `max_frames` from its beginning; the rest is one more window if it has `min_frames`.
    """
    windows: list[Span] = []
    short: list[Span] = []
    for start, end in zip(starts, [*starts[1:], frame_count], strict=True):
        at = start + (config.trim_frames if start else 0)
        last = end - (config.trim_frames if end < frame_count else 0)
        if at >= last:
            short.append(Span(start, end - start))
        for first in range(at, last, config.max_frames):
            span = Span(first, min(config.max_frames, last - first))
            (windows if span.frames >= config.min_frames else short).append(span)
    return windows, short
