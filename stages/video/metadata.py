"""Text that a video carries beside its pictures; `comment` holds emosh's provenance as JSON."""

from __future__ import annotations

from pathlib import Path

from stages.errors import InputError


def read_metadata(path: Path) -> dict[str, str]:
    """All container tags, keys in lower case. Raises InputError for a missing file or one that is no video."""
    import av
    import av.error

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            return {key.lower(): value for key, value in container.metadata.items()}
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(f"{path} is not a video that can be read; make it again") from error
