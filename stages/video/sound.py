"""Copy the sound of one file into another: packets unchanged if mp4 can hold them, else coded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError
from stages.video.container import opened_container
from stages.video.photo import photo_size
from stages.video.source import video_timing

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

CARRIED_CODECS = ("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "libopus")
"""Codecs that mp4 can hold and players play; others (PCM, Vorbis, FLAC) are coded as AAC."""
AAC_BITS_PER_SECOND = 192_000
AAC_FRAME_SAMPLES = 1024
MOST_OVERLAP_SECONDS = 0.2
"""Sound that begins more than this before the sound before it has ended belongs to another recording."""


class Sound:
    """Writes sound packets into `container` step by step, so that neither file is in memory as a whole."""

    def __init__(self, packets: Iterator[tuple[float, float, Packet]], container: OutputContainer) -> None:
        self._packets, self._container = packets, container
        self._next = next(packets, None)

    def write_until(self, seconds: float) -> None:
        """Write the packets up to `seconds`; the last one may end later, by at most half its length."""
        while self._next is not None and self._next[0] + self._next[1] / 2 <= seconds:
            self._container.mux(self._next[2])
            self._next = next(self._packets, None)


@contextmanager
def carried_sound(source: Path, container: OutputContainer) -> Iterator[Sound | None]:
    """The default sound track of `source`, else the first, to be written into `container`; call it before any picture
    is written.

    Time 0 is the first picture of `source` that can be decoded; earlier sound is dropped. None if there is no sound, as
    in a photo. Raises InputError when `source` cannot be read, at the start or later.
    """
    require_regular_file(source, "its sound was to be copied, so give an existing file")
    if photo_size(source) is not None:
        yield None
        return
    begin = _picture_start(source)
    with opened_container(source, "a file with sound") as read:
        stream = _chosen(read)
        if stream is None:
            yield None
            return
        make = _remuxed if stream.codec_context.name in CARRIED_CODECS else _recoded
        yield Sound(_as_input_error(source, make(read, stream, container, begin)), container)


def _chosen(read: InputContainer) -> AudioStream | None:
    """The default sound track, else the first; None if there is none that can be decoded."""
    from av.stream import Disposition

    tracks = [each for each in read.streams.audio if each.codec_context is not None]
    return next((each for each in tracks if each.disposition & Disposition.default), tracks[0] if tracks else None)


def _as_input_error(source: Path, packets: Iterator) -> Iterator:
    """Turn decoding errors into an InputError that names the file."""
    import av.error

    try:
        yield from packets
    except (av.error.FFmpegError, EOFError) as error:
        raise InputError(f"{source}: its sound cannot be read ({error}); convert it with ffmpeg") from error


def _remuxed(
    read: InputContainer, stream: AudioStream, container: OutputContainer, begin: float
) -> Iterator[tuple[float, float, Packet]]:
    """(start, length, packet) in seconds; coded bytes unchanged. The packet that primes the decoder is kept."""
    written = container.add_stream_from_template(stream)
    return _shifted_packets(read, stream, written, begin)


def _shifted_packets(
    read: InputContainer, stream: AudioStream, written: AudioStream, begin: float
) -> Iterator[tuple[float, float, Packet]]:
    """Where times fall back, as in two recordings joined byte by byte, the sound goes on without a gap."""
    base = _known(stream.time_base)
    offset, end = round(begin / base), None
    for packet in read.demux(stream):
        if packet.pts is None or packet.dts is None:
            continue
        if end is not None and packet.dts < end - MOST_OVERLAP_SECONDS / base:
            offset += packet.dts - end
        end = packet.dts + (packet.duration or 0)
        packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
        start, length = float(packet.pts * base), float((packet.duration or 0) * base)
        if start + length >= 0:
            packet.stream = written
            yield start, length, packet


def _recoded(
    read: InputContainer, stream: AudioStream, container: OutputContainer, begin: float
) -> Iterator[tuple[float, float, Packet]]:
    """(start, length, packet) in seconds, coded as AAC at the source's sample rate, mono or stereo."""
    rate = min(48_000, stream.codec_context.sample_rate)
    layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    written = container.add_stream("aac", rate=rate, layout=layout)
    written.bit_rate = AAC_BITS_PER_SECOND
    return _aac_packets(read, stream, written, begin)


def _aac_packets(
    read: InputContainer, stream: AudioStream, written: AudioStream, begin: float
) -> Iterator[tuple[float, float, Packet]]:
    import av

    context = written.codec_context
    resampler = av.AudioResampler("fltp", context.layout, context.sample_rate, frame_size=AAC_FRAME_SAMPLES)
    end = None
    for frame in read.decode(stream):
        if frame.pts is None or frame.time is None:
            continue
        length = frame.samples / frame.sample_rate
        if end is not None and frame.time < end - MOST_OVERLAP_SECONDS:
            begin += frame.time - end
        end = frame.time + length
        if end <= begin:
            continue
        frame.pts -= round(begin / _known(frame.time_base))
        for resampled in resampler.resample(frame):
            yield from _timed(written.encode(resampled))
    for resampled in resampler.resample(None):
        yield from _timed(written.encode(resampled))
    yield from _timed(written.encode(None))


def _timed(packets: list[Packet]) -> Iterator[tuple[float, float, Packet]]:
    for packet in packets:
        base = _known(packet.time_base)
        yield float((packet.pts or 0) * base), float((packet.duration or 0) * base), packet


def _picture_start(source: Path) -> float:
    """Time of the first picture that can be decoded, in the file's clock, seconds; 0 if there is none."""
    with opened_container(source, "a file with sound") as read:
        if not read.streams.video:
            return 0.0
    try:
        return video_timing(source).begin
    except InputError:  # cover art, or pictures that cannot be decoded: the sound can
        return 0.0


def _known(time_base: Fraction | None) -> Fraction:
    assert time_base is not None
    return time_base
