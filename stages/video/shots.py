"""Shot detection with FFmpeg's scdet filter, which comes with PyAV.

PySceneDetect finds the same 37 of 39 cuts between pieces of the dev clips, also without a false one, but takes more
than twice the time. It also requires opencv-python, which would overwrite files of opencv-python-headless.
Neither of the two finds a dissolve, or a jump within one shot.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError
from stages.progress import Progress, silent
from stages.video.segment import Moment, checksum
from stages.video.source import VideoInfo, decoded, opened, probe

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

UNTIMED = -(2**63)
LABEL = "looking for shots"


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
    for index, (score, frame) in enumerate(_scored(path)):
        if score >= cut_score and index:
            starts.append(index)
        times.append(UNTIMED if frame.pts is None else frame.pts)
        sums.append(checksum(frame))
        progress(LABEL, len(times), info.frame_count)
    return Shots(info, len(times), tuple(starts), times, sums)


def shot_starts(
    info: VideoInfo, cut_score: float, progress: Progress = silent, marked: Collection[int] = ()
) -> tuple[tuple[int, ...], dict[int, Moment]]:
    """First frame of each shot, beginning with 0, and what identifies the `marked` frames. A photo is one shot.

    Raises InputError as `find_shots`.
    """
    starts, moments = [0], {}
    for index, (score, frame) in enumerate(() if info.is_photo else _scored(info.path)):
        if score >= cut_score and index:
            starts.append(index)
        if index in marked:
            moments[index] = Moment(index, frame.pts, checksum(frame))
        progress(LABEL, index + 1, info.frame_count)
    return tuple(starts), moments


def shot_scores(path: Path) -> list[float]:
    """Every frame's scdet score, 0 to 100: how suddenly the picture changes. Raises InputError as `find_shots`."""
    return [score for score, _ in _scored(path)]


def _scored(path: Path) -> Iterator[tuple[float, VideoFrame]]:
    """Every decoded frame with its scdet score, 0 to 100."""
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
            graph.push(frame)
            yield float(graph.pull().metadata.get("lavfi.scd.score", 0.0)), frame
