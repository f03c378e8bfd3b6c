"""Open a video file for reading. No other file that it names is read, and every damage is one InputError.

A playlist (HLS, DASH, ffconcat) is a text that names other files, also by absolute paths. If it were read as a video,
a stranger's playlist could put any of the user's files into a result. A name such as `concat:a|b` is the name of one
file here; FFmpeg does not interpret it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer

PLAYLISTS = {"hls", "applehttp", "dash", "concat", "imf", "sdp", "rtsp", "rtp", "sap", "vobsub"}
"""FFmpeg's demuxers for files that name other files or addresses."""


@contextmanager
def opened_container(path: Path, what: str) -> Iterator[InputContainer]:
    """`path` open for reading, and closed afterwards.

    Raises InputError for a playlist, for a file that cannot be opened (`what` says what was expected), and for damage
    that FFmpeg meets later, while the file is open.
    """
    import av
    import av.error

    path = require_regular_file(path, f"give {what}")
    try:
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        raise InputError(
            f"{path} is not {what} that can be read, or is cut off ({reason(error)}); save or copy it again"
        ) from error
    with container, damage_named(path):
        if PLAYLISTS & set(container.format.name.split(",")):
            kind = container.format.name
            raise InputError(f"{path} is a playlist ({kind}) that names other files, not {what}; give the video file")
        yield container


@contextmanager
def damage_named(path: Path, where: str = "") -> Iterator[None]:
    """Turn what FFmpeg raises in reading into an InputError that names the file and `where` in it."""
    import av.error

    try:
        yield
    except (av.error.FFmpegError, EOFError) as error:
        raise InputError(f"{path} is damaged{where} ({reason(error)}); convert it with ffmpeg first") from error


def reason(error: Exception) -> str:
    """FFmpeg's own words, without the file's name."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
