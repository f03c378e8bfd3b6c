"""Write videos atomically: H.264 in mp4, each frame at its own time, with the sound of another file if given.

`lossless` keeps RGB bit for bit (libx264rgb, crf 0). Otherwise the video is 4:2:0, BT.709, limited range and tagged so,
and an odd width or height grows by one repeated column or row. There are no B-frames, so that coding order equals
display order and the time and duration of every frame, also the last, are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError
from stages.video.sound import Sound, carried_sound
from stages.video.watermark import Marker

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TICKS_PER_SECOND = 90_000
"""Lower limit of the clock rate: a frame's time is kept to 6 microseconds, and exactly at a constant rate."""
QUALITY = {"crf": "12", "preset": "veryfast", "bf": "0"}
"""Chosen here: clip d7 at 960x540 takes 10 ms of CPU per frame at 41 dB; preset "fast" with crf 15 takes 15 ms."""
LOSSLESS = {"crf": "0", "preset": "ultrafast", "bf": "0"}
"""Chosen here: clip d7 takes 5 ms per frame; preset "veryfast" takes 17 ms and saves 10 % of the file size."""
BT709 = 1
LIMITED_RANGE = 1


class VideoSink:
    """Write one video: `with VideoSink(path, width, height, fps) as sink: sink.write(rgb)`.

    `fps` is the nominal rate; frames written without a time follow it. `metadata` becomes container tags ("comment"
    holds provenance). `audio_from` is a file whose first sound track is copied: unchanged if mp4 can hold it, else as
    AAC, and cut at the end of the pictures; a file without sound adds none. `duration_seconds` sets the end of the last
    frame; by default the last frame is as long as the one before. `watermark` puts the invisible mark of
    `stages.video.watermark` into every frame. `threads` is the number of encoder threads, on which the bytes depend; by
    default the encoder chooses.

    The file appears at `path` when the block ends without an exception. Raises InputError when `path` cannot be
    written, its suffix is not a video format, or `audio_from` cannot be read.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        fps: Fraction | int,
        *,
        lossless: bool = False,
        metadata: Mapping[str, str] | None = None,
        audio_from: Path | None = None,
        duration_seconds: float | None = None,
        watermark: bool = False,
        threads: int | None = None,
    ) -> None:
        self.path, self.width, self.height, self.fps = Path(path), width, height, Fraction(fps)
        self._lossless, self._metadata, self._threads = lossless, dict(metadata or {}), threads
        self._audio_from, self._duration_seconds = audio_from, duration_seconds
        self._ticks_per_frame = self.fps.denominator * math.ceil(TICKS_PER_SECOND / self.fps.numerator)
        self._time_base = 1 / (self.fps * self._ticks_per_frame)
        self._marker = Marker(height, width) if watermark else None
        self._held: tuple[int, VideoFrame] | None = None
        self._held_duration = self._ticks_per_frame
        self._durations: dict[int, int] = {}
        self._count = 0
        self._open = ExitStack()

    def __enter__(self) -> VideoSink:
        with ExitStack() as opening:
            part = opening.enter_context(atomic_path(self.path))
            self._container = opening.enter_context(_open_output(self.path, part, self._metadata))
            self._stream = self._add_video_stream(self._container)
            self._sound: Sound | None = None
            if self._audio_from is not None:
                self._sound = opening.enter_context(carried_sound(Path(self._audio_from), self._container))
            self._open = opening.pop_all()
        return self

    def write(self, rgb: UInt8[np.ndarray, "height width 3"], pts_seconds: float | None = None) -> None:
        """Add a frame, shown from `pts_seconds` on (seconds, 0 for the first frame); times must rise."""
        if rgb.shape != (self.height, self.width, 3) or rgb.dtype != np.uint8:
            expected = (self.height, self.width, 3)
            raise ValueError(f"frame {self._count} is {rgb.dtype} {rgb.shape}, expected uint8 {expected}")
        pts = self._count * self._ticks_per_frame if pts_seconds is None else round(pts_seconds / self._time_base)
        if self._held is not None:
            held_pts, held = self._held
            if pts <= held_pts:
                raise ValueError(f"frame {self._count} at {pts_seconds} s is not after the frame before it")
            self._held_duration = pts - held_pts
            self._encode(held, held_pts, self._held_duration)
        self._held = (pts, self._video_frame(rgb if self._marker is None else self._marker.mark(rgb)))
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            if error is None:
                self._finish()
        except BaseException as late:
            if not self._open.__exit__(type(late), late, late.__traceback__):
                raise
            return None
        return self._open.__exit__(kind, error, trace)

    def _finish(self) -> None:
        if self._held is None:
            raise ValueError(f"no frame was written to {self.path}")
        pts, frame = self._held
        duration = self._held_duration
        if self._duration_seconds is not None:
            duration = max(1, round(self._duration_seconds / self._time_base) - pts)
        self._encode(frame, pts, duration)
        self._mux(self._stream.encode(None))
        if self._sound is not None:
            self._sound.write_until(float((pts + duration) * self._time_base))

    def _encode(self, frame: VideoFrame, pts: int, duration: int) -> None:
        frame.pts, frame.time_base = pts, self._time_base
        self._durations[pts] = duration
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list) -> None:
        for packet in packets:
            if self._sound is not None:
                self._sound.write_until(float(packet.pts * packet.time_base))
            packet.duration = self._durations.pop(packet.pts)
            self._container.mux(packet)

    def _video_frame(self, rgb: UInt8[np.ndarray, "height width 3"]) -> VideoFrame:
        import av
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        if self._lossless:
            return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        even = np.pad(rgb, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=1,
        )

    def _add_video_stream(self, container: OutputContainer) -> VideoStream:
        codec = "libx264rgb" if self._lossless else "libx264"
        stream = container.add_stream(codec, rate=self.fps, options=dict(LOSSLESS if self._lossless else QUALITY))
        stream.width, stream.height = self.width, self.height
        stream.pix_fmt = "rgb24"
        if not self._lossless:
            stream.width, stream.height = self.width + self.width % 2, self.height + self.height % 2
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = LIMITED_RANGE
        stream.codec_context.time_base = stream.time_base = self._time_base
        if self._threads is not None:
            stream.codec_context.thread_count = self._threads
        return stream


@contextmanager
def _open_output(path: Path, part: Path, metadata: Mapping[str, str]) -> Iterator[OutputContainer]:
    """The container of the temporary file `part`; it keeps all tags, also those without a name in mp4."""
    import av
    import av.error

    options = {"movflags": "use_metadata_tags"} if path.suffix.lower() in (".mp4", ".mov", ".m4v") else {}
    try:
        container = av.open(str(part), "w", options=options)
    except (ValueError, av.error.FFmpegError) as error:
        if isinstance(error, OSError):
            raise
        raise InputError(f"cannot write {path}: '{path.suffix}' is not a video format; end the name in .mp4") from error
    with container:
        container.metadata.update(metadata)
        yield container
