"""Check a zip archive's directory before any member is unpacked.

Deflate can pack 1000 bytes into 1, and members may share their bytes, so a small file can unpack to any size. The
unpacked size that an archive declares is limited here, in proportion to the file's size. The real unpacked size is
never larger than that, because zipfile stops at a member's declared size.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError

MOST_MEMBERS = 100_000
DAMAGE = (zipfile.BadZipFile, OSError, EOFError, KeyError, zlib.error, NotImplementedError, RuntimeError, ValueError,
          OverflowError, struct.error)  # fmt: skip
"""What zipfile raises on a damaged archive."""
RATIO = 50
"""Most unpacked bytes per byte of the file. The open body, a third of which is zeros, has 18; motions have 1 to 3."""
FLOOR_BYTES = 64 << 20
"""This many bytes may be unpacked from any file, however small, because arrays of zeros pack 1000 to 1."""


@contextmanager
def opened_zip(path: Path, advice: str, what: str = "a zip archive") -> Iterator[zipfile.ZipFile]:
    """The archive. Raises InputError, which ends with `advice`, for damage that is found here or while members are
    read."""
    path = require_regular_file(path, advice)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except DAMAGE as error:
        raise InputError(f"{path} is damaged or not {what} ({error}); {advice}") from error


def is_zip(path: Path) -> bool:
    """Whether the file ends as a zip archive does, damaged or not."""
    try:
        return zipfile.is_zipfile(path)
    except DAMAGE:  # it has the signature, and numbers that make no sense
        return True


def check_directory(path: Path, archive: zipfile.ZipFile, stored_only: bool = False) -> None:
    """Raises InputError for encrypted members, two members of one name, another compression than deflate, a stored
    member with a wrong size, or too many members.

    stored_only: whether compressed members are refused too.
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
            raise InputError(
                f"{path}: member {name!r} is compressed in a way that emosh does not read; save the file again"
            )
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise InputError(f"{path}: member {name!r} has another size than the archive says; make the file again")


def check_unpacked(path: Path, sizes: Iterable[int]) -> None:
    """Raises InputError if members of these sizes are more than a file of this size may unpack to."""
    unpacked, packed = sum(sizes), path.stat().st_size
    if unpacked > max(FLOOR_BYTES, RATIO * packed):
        raise InputError(
            f"{path} would unpack to {unpacked / 1e6:.0f} MB from {packed / 1e6:.1f} MB, more than emosh allows; "
            "make it again, or save it without compression (numpy.savez)"
        )


def check_torch_archive(path: Path) -> None:
    """Raises InputError for a compressed .pt or .pth; torch compresses nothing. Other files than zips pass."""
    if not is_zip(path):
        return
    with opened_zip(path, "copy or make it again") as archive:
        check_directory(path, archive, stored_only=True)
        check_unpacked(path, (member.file_size for member in archive.infolist()))
