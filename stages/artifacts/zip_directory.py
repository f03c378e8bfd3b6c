"""A zip archive's directory, looked at before any member is unpacked.

Deflate packs a thousand bytes into one, and members may share their bytes, so that a small file can unpack to anything.
What an archive says it unpacks to is bounded by its own size here; what it really unpacks to is never more than that,
since zipfile stops at a member's declared size.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from stages.errors import InputError

MOST_MEMBERS = 100_000
RATIO = 50
"""Most unpacked bytes for a byte of the file. The open body, a third of it zeros, has 18; motions have 1 to 3."""
FLOOR_BYTES = 64 << 20
"""As much is unpacked from any file, however small: arrays of zeros pack a thousandfold."""


def check_directory(path: Path, archive: zipfile.ZipFile, stored_only: bool = False) -> None:
    """Raises InputError for a directory that no array file has: encrypted members, two of one name, other packing than
    deflate, a member that is longer than its packing can hold, or too many. `stored_only`: nothing is packed at all.
    """
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{path} holds {len(members)} members; emosh reads archives of at most {MOST_MEMBERS}")
    packings = (zipfile.ZIP_STORED,) if stored_only else (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    seen: set[str] = set()
    for member in members:
        name = member.filename.removesuffix(".npy")
        if member.flag_bits & 1:
            raise InputError(f"{path}: member {name!r} is encrypted; save the file without a password")
        if name in seen:
            raise InputError(f"{path} holds two members called {name!r}; make it again")
        seen.add(name)
        if member.compress_type not in packings:
            raise InputError(f"{path}: member {name!r} is packed in a way that emosh does not read; save it anew")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise InputError(f"{path}: member {name!r} is said to have another size than it has; make the file again")


def check_unpacked(path: Path, sizes: Iterable[int]) -> None:
    """Raises InputError where members of these sizes are more than a file of that size may unpack to."""
    unpacked, packed = sum(sizes), path.stat().st_size
    if unpacked > max(FLOOR_BYTES, RATIO * packed):
        raise InputError(
            f"{path} would unpack to {unpacked / 1e6:.0f} MB from {packed / 1e6:.1f} MB, which no array file does; "
            "make it again, or save it unpacked (numpy.savez)"
        )


def check_torch_archive(path: Path) -> None:
    """Raises InputError for a packed .pt or .pth: torch itself packs no tensor. One that is no zip is left alone."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            check_directory(path, archive, stored_only=True)
            check_unpacked(path, (member.file_size for member in archive.infolist()))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is damaged ({error}); copy or make it again") from error
