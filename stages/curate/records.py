"""Records of every video and every window, one small JSON file each, so that a stopped run can continue.

The records lie under `.emosh/` in the clips' folder. `videos/NAME.json` is written when a video's shots are known.
`windows/NAME-0001.json` is written when a window is measured and, if it is accepted, its clip is in place. Records are
written atomically; an unreadable record counts as missing. A record of another name than its file's is refused, because
clips are removed by the names in records.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.limits import MAX_FPS, MAX_SIDE_PX
from stages.artifacts.names import checked_relative, inside
from stages.artifacts.provenance import sha256_file
from stages.artifacts.records import record_of
from stages.artifacts.text_files import read_json_object
from stages.counted import counted
from stages.errors import InputError

FOLDER = ".emosh"
CLIP_SUFFIXES = (".mp4", ".npz")
"""Suffixes of a clip's two files: video and motion."""
SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv",
            ".3gp", ".ogv")  # fmt: skip
"""Suffixes of video files; other files in the folder are ignored."""


@dataclass(frozen=True)
class Source:
    """A video file as it was when it was read; `path` is relative to the folder of videos."""

    path: str
    size: int
    mtime_ns: int
    sha256: str

    @staticmethod
    def of(path: Path, folder: Path) -> Source:
        """Read the whole file once for its sha256."""
        status = path.stat()
        return Source(path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns, sha256_file(path))

    def is_unchanged(self, path: Path) -> bool:
        """Whether the file is still the same; its bytes are compared only if its modification time has changed."""
        try:
            status = path.stat()
        except OSError:
            return False
        if status.st_size != self.size:
            return False
        return status.st_mtime_ns == self.mtime_ns or sha256_file(path) == self.sha256


@dataclass(frozen=True)
class WindowPlace:
    """A window's first frame and length in its video; `pts` and `checksum` identify the first frame."""

    first: int
    frames: int
    pts: int | None
    checksum: int

    def key(self, sha256: str) -> str:
        """What identifies this window of the video with that sha256; `WindowRecord.of` holds it."""
        return f"{sha256}, {counted(self.frames, 'frame')} from {self.first}"


@dataclass(frozen=True)
class VideoRecord:
    """A video whose shots are known, or the `error` that stopped it from being read."""

    name: str
    source: Source
    width: int = 0
    height: int = 0
    fps: str = "0"
    frames: int = 0
    windows: tuple[WindowPlace, ...] = ()
    short: tuple[tuple[int, int], ...] = ()
    """(first frame, frames) of each piece that is too short for a window."""
    error: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for values that no video has."""
        try:
            rate, sizes = Fraction(self.fps), (self.width, self.height)
        except ZeroDivisionError as error:
            raise ValueError(f"{self.fps} is no rate") from error
        if not 0 <= rate < MAX_FPS or not all(0 <= side <= MAX_SIDE_PX for side in sizes):
            raise ValueError(f"{self.width}x{self.height} at {rate} frames per second is no video")
        pieces = [*((each.first, each.frames) for each in self.windows), *self.short]
        if not all(0 <= first < first + frames <= self.frames for first, frames in pieces):
            raise ValueError(f"a window lies outside the {self.frames} frames")

    def window_name(self, number: int) -> str:
        """Name of the window with that index; NAME-0001 has index 0."""
        return f"{self.name}-{number + 1:04d}"


@dataclass(frozen=True)
class WindowRecord:
    """A measured window. `sha256` and `size` describe the kept clip and its motion, by suffix; they are empty if
    neither was kept. `error` says why the window could not be measured."""

    name: str
    of: str
    """Which window of which video: see `WindowPlace.key`."""
    figures: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)

    def is_kept(self, out: Path) -> bool:
        """Whether clip and motion exist and have the size they were written with."""
        try:
            return bool(self.size) and all(
                clip_place(out, self.name, suffix).stat().st_size == size for suffix, size in self.size.items()
            )
        except OSError:
            return False


def read_window_record(out: Path, name: str) -> WindowRecord | None:
    """A window's record, or None. Raises InputError for a record of another name."""
    place = window_record_path(out, name)
    values = _read(place)
    try:
        record = None if values is None else record_of(WindowRecord, values)
        if record is not None and not set(record.size) <= set(CLIP_SUFFIXES):
            return None
    except ValueError:
        return None
    if record is not None:
        _check_name(record, name, place)
    return record


def read_video_record(out: Path, name: str) -> VideoRecord | None:
    """A video's record, or None. Raises InputError for a record of another name, and for a video outside the folder."""
    place = video_record_path(out, name)
    values = _read(place)
    try:
        if values is None:
            return None
        record = record_of(VideoRecord, values)
    except ValueError:
        return None
    checked_relative(record.source.path, str(place))
    _check_name(record, name, place)
    return record


def _check_name(record: VideoRecord | WindowRecord, name: str, place: Path) -> None:
    """Raises InputError for a record of another name than its file's; clips are removed by the names in records."""
    if record.name != name:
        raise InputError(f"{place} is the record of {record.name!r}, not of {name!r}; remove that file")


def write_record(out: Path, record: VideoRecord | WindowRecord) -> None:
    """Write a record atomically."""
    place = (video_record_path if isinstance(record, VideoRecord) else window_record_path)(out, record.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as part:
        part.write_text(json.dumps(asdict(record), allow_nan=False), encoding="utf-8")


def video_record_path(out: Path, name: str) -> Path:
    """The file of a video's record."""
    return inside(out, f"{FOLDER}/videos/{name}.json", str(out))


def window_record_path(out: Path, name: str) -> Path:
    """The file of a window's record."""
    return inside(out, f"{FOLDER}/windows/{name}.json", str(out))


def work_place(out: Path, name: str) -> Path:
    """The temporary file of a window while it is measured."""
    return inside(out, f"{FOLDER}/work/{name}.mp4", str(out))


def clip_place(out: Path, name: str, suffix: str) -> Path:
    """The file of a window's clip or of its motion, by suffix."""
    return inside(out, f"{name}{suffix}", str(out))


def remove_work(out: Path) -> None:
    """Remove the temporary files of windows whose process was killed."""
    shutil.rmtree(inside(out, f"{FOLDER}/work", str(out)), ignore_errors=True)  # does not follow links


def recorded_videos(out: Path) -> list[VideoRecord]:
    """Of every video that was ever looked through, by name."""
    folder = out / FOLDER / "videos"
    names = sorted(
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*.json")
        if not path.name.startswith(".")
    )
    return [record for name in names if (record := read_video_record(out, name)) is not None]


def remove_records(out: Path, video: VideoRecord) -> None:
    """Remove the video's record, the records of its windows, and their clips."""
    for number in range(len(video.windows)):
        name = video.window_name(number)
        window_record_path(out, name).unlink(missing_ok=True)
        remove_clip(out, name)
    video_record_path(out, video.name).unlink(missing_ok=True)


def remove_clip(out: Path, name: str) -> None:
    """Remove a clip and its motion, if they exist."""
    for suffix in CLIP_SUFFIXES:
        clip_place(out, name, suffix).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_json_object(path, "")
    except InputError:
        return None


def videos_in(folder: Path, without: Path) -> list[Path]:
    """Every video in a folder and its subfolders, sorted, without hidden files and without those under `without`."""
    found, without = [], without.resolve()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in inside.parts):
            continue
        if path.is_file() and without not in path.resolve().parents:
            found.append(path)
    return found


def clip_names(paths: Iterable[Path], folder: Path) -> dict[Path, str]:
    """Video -> the name of its clips: its path in the folder without the suffix. Two videos that differ only in the
    suffix keep it."""
    relative = {path: path.relative_to(folder) for path in paths}
    stems: dict[str, int] = {}
    for each in relative.values():
        stem = each.with_suffix("").as_posix()
        stems[stem] = stems.get(stem, 0) + 1
    return {
        path: each.as_posix() if stems[each.with_suffix("").as_posix()] > 1 else each.with_suffix("").as_posix()
        for path, each in relative.items()
    }
