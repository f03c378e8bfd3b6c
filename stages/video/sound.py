"""Copy the sound of one file into another: packets unchanged if mp4 can hold them, else coded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError
from stages.video.container import open_container
from stages.video.photo import photo_size

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

CARRIED_CODECS = ("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "libopus")
"""Codecs that mp4 can hold and players play; others (PCM, Vorbis, FLAC) are coded as AAC."""
AAC_BITS_PER_SECOND = 192_000
AAC_FRAME_SAMPLES = 1024


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
    """The first sound track of `source`, to be written into `container`; call it before any picture is written.

    Time 0 is the first picture of `source`; earlier sound is dropped. None if there is no sound, as in a photo. Raises
    InputError when `source` cannot be read, at the start or later.
    """
    import av.error

    if source.is_file() and photo_size(source) is not None:
        yield None
        return
    if not source.is_file():
        raise InputError(f"{source} does not exist; its sound was to be copied, so give an existing file")
    try:
        read = open_container(source)
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"{source} cannot be read ({error}), so its sound cannot be copied; give another file"
        ) from error
    with read:
        if not read.streams.audio or read.streams.audio[0].codec_context is None:
            yield None
            return
        stream = read.streams.audio[0]
        make = _remuxed if stream.codec_context.name in CARRIED_CODECS else _recoded
        yield Sound(_as_input_error(source, make(read, stream, container)), container)


def _as_input_error(source: Path, packets: Iterator) -> Iterator:
    """Turn decoding errors into an InputError that names the file."""
    import av.error

    try:
        yield from packets
    except (av.error.FFmpegError, EOFError) as error:
        raise InputError(f"{source}: its sound cannot be read ({error}); convert it with ffmpeg") from error


def _remuxed(
    read: InputContainer, stream: AudioStream, container: OutputContainer
) -> Iterator[tuple[float, float, Packet]]:
    """(start, length, packet) in seconds; coded bytes unchanged. The packet that primes the decoder is kept."""
    written = container.add_stream_from_template(stream)
    return _shifted_packets(read, stream, written)


def _shifted_packets(
    read: InputContainer, stream: AudioStream, written: AudioStream
) -> Iterator[tuple[float, float, Packet]]:
    base = _known(stream.time_base)
    offset = round(_picture_start(read) / base)
    for packet in read.demux(stream):
        if packet.pts is None or packet.dts is None:
            continue
        packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
        start, length = float(packet.pts * base), float((packet.duration or 0) * base)
        if start + length >= 0:
            packet.stream = written
            yield start, length, packet


def _recoded(
    read: InputContainer, stream: AudioStream, container: OutputContainer
) -> Iterator[tuple[float, float, Packet]]:
    """(start, length, packet) in seconds, coded as AAC at the source's sample rate, mono or stereo."""
    rate = min(48_000, stream.codec_context.sample_rate)
    layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    written = container.add_stream("aac", rate=rate, layout=layout)
    written.bit_rate = AAC_BITS_PER_SECOND
    return _aac_packets(read, stream, written)


def _aac_packets(
    read: InputContainer, stream: AudioStream, written: AudioStream
) -> Iterator[tuple[float, float, Packet]]:
    import av

    context = written.codec_context
    resampler = av.AudioResampler("fltp", context.layout, context.sample_rate, frame_size=AAC_FRAME_SAMPLES)
    begin = _picture_start(read)
    for frame in read.decode(stream):
        if frame.pts is None or (frame.time or 0.0) + frame.samples / frame.sample_rate <= begin:
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


def _picture_start(read: InputContainer) -> Fraction:
    """Time of the first picture in the file, seconds; 0 if there is none or it is not stated."""
    if not read.streams.video or read.streams.video[0].start_time is None:
        return Fraction(0)
    return read.streams.video[0].start_time * _known(read.streams.video[0].time_base)


def _known(time_base: Fraction | None) -> Fraction:
    assert time_base is not None
    return time_base
