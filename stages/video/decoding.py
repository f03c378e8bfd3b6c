"""Decode the frames of a stream, as they are coded but for two things that a decoder leaves to the player: interlaced
frames are deinterlaced (bwdif), and the transparency of VP8 and VP9 is decoded, which lies beside their pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError
from stages.video.container import reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that reads its transparency; FFmpeg's own do not."""


def decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decoded frames, not yet upright. Raises InputError if there is none, or naming the one that cannot be decoded."""
    import av.error

    count = 0
    try:
        for frame in _deinterlaced(_frames(container, stream), stream):
            yield frame
            count += 1
    except (av.error.FFmpegError, EOFError) as error:
        raise InputError(
            f"{path} is damaged at frame {count} ({reason(error)}); convert it with ffmpeg first"
        ) from error
    if count == 0:
        raise InputError(f"{path} holds no frame that can be decoded; convert it with ffmpeg first")


def has_alpha(stream: VideoStream) -> bool:
    """Whether a VP8 or VP9 stream says that it has transparency."""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    return stream.codec_context.name in ALPHA_DECODERS and tags.get("alpha_mode") == "1"


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    if not has_alpha(stream):
        yield from container.decode(stream)
        return
    from av.codec.context import CodecContext

    decoder = CodecContext.create(ALPHA_DECODERS[stream.codec_context.name], "r")
    for packet in container.demux(stream):
        yield from decoder.decode(packet)  # pyright: ignore[reportAttributeAccessIssue, reportReturnType]


def _deinterlaced(frames: Iterable[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    """From the first interlaced frame on, frames pass a filter that leaves progressive ones as they are."""
    graph = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None:
            graph = _Deinterlacer(stream)
        yield from graph.push(frame)
    if graph is not None:
        yield from graph.push(None)


class _Deinterlacer:
    """bwdif, one frame out for each frame in."""

    def __init__(self, stream: VideoStream) -> None:
        import av.filter

        self._graph = av.filter.Graph()
        chain = (
            self._graph.add_buffer(template=stream),
            self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
            self._graph.add("buffersink"),
        )
        for before, after in itertools.pairwise(chain):
            before.link_to(after)
        self._graph.configure()

    def push(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """The frames that are ready; None as the last `frame` gives the rest."""
        import av.error

        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()  # pyright: ignore[reportReturnType]
            except (av.error.BlockingIOError, av.error.EOFError):
                return
