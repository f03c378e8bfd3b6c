"""Open a video file for reading. No other file that it names is read.

A playlist (HLS, DASH, ffconcat) is a text that names other files, also by absolute paths. If it were read as a video,
a stranger's playlist could put any of the user's files into a result. A name such as `concat:a|b` is the name of one
file here; FFmpeg does not interpret it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer

PLAYLISTS = {"hls", "applehttp", "dash", "concat", "imf", "sdp", "rtsp", "rtp", "sap", "vobsub"}
"""FFmpeg's demuxers for files that name other files or addresses."""


def open_container(path: Path) -> InputContainer:
    """`path` open for reading. Raises InputError for a playlist, and what `av.open` raises for anything unreadable."""
    import av

    container = av.open(f"file:{path}", metadata_errors="replace")
    if PLAYLISTS & set(container.format.name.split(",")):
        kind = container.format.name
        container.close()
        raise InputError(f"{path} is a playlist ({kind}) that names other files, not a video; give the video file")
    return container
