"""Opening a video file for reading: the bytes of that one file, and of no other that it names.

A playlist (HLS, DASH, ffconcat) is a text that names other files, with absolute paths too; read as a video, it would
carry a stranger's choice of the user's files into a result. A name such as `concat:a|b` is a file's name here, never
FFmpeg's own way of naming several.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer

PLAYLISTS = {"hls", "applehttp", "dash", "concat", "imf", "sdp", "rtsp", "rtp", "sap", "vobsub"}
"""FFmpeg's demuxers whose input names other files or addresses."""


def open_container(path: Path) -> InputContainer:
    """`path` open for reading. Raises InputError for a playlist, and what `av.open` raises for anything unreadable."""
    import av

    container = av.open(f"file:{path}", metadata_errors="replace")
    if PLAYLISTS & set(container.format.name.split(",")):
        kind = container.format.name
        container.close()
        raise InputError(f"{path} is a playlist ({kind}) that names other files, no video; give the video itself")
    return container
