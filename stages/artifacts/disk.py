"""Check free disk space before a long run."""

from __future__ import annotations

import shutil
from pathlib import Path

from stages.errors import InputError

ELSEWHERE = "choose another place with -o"
GB = 1e9


def check_room(folder: Path, needed_bytes: int, purpose: str, instead: str = ELSEWHERE) -> None:
    """Raises InputError if the disk of `folder` has less than `needed_bytes` free; the folder need not exist yet."""
    existing = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise InputError(
            f"{purpose} needs at least {_size(needed_bytes)} at {folder}, where {_size(free)} are free; "
            f"free some space, or {instead}"
        )


def _size(count: int) -> str:
    return f"{count / GB:.1f} GB" if count >= GB else f"{count / 1e6:.1f} MB"
