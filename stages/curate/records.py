"""What is known of every video and every window, a small JSON file each: what makes a run go on where it was stopped.

Under `.emosh/` of the clips' folder lie `videos/NAME.json`, written when a video's shots are known, and
`windows/NAME-0001.json`, written when a window is measured and its clip, if it is accepted, lies in its place. Each
appears whole or not at all; one that cannot be read counts as not there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import sha256_file

FOLDER = ".emosh"
CLIP_SUFFIXES = (".mp4", ".npz")
"""Of a clip's two files."""
SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv",
            ".3gp", ".ogv")  # fmt: skip
"""What counts as a video; anything else in the folder is left alone."""


@dataclass(frozen=True)
class Source:
    """A video as it was: `path` is relative to the folder of videos."""

    path: str
    size: int
    mtime_ns: int
    sha256: str

    @staticmethod
    def of(path: Path, folder: Path) -> Source:
        """Read the whole file once."""
        status = path.stat()
        return Source(path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns, sha256_file(path))

    def is_still(self, path: Path) -> bool:
        """Whether the file is the one that was read; its bytes are compared only where its time has changed."""
        try:
            status = path.stat()
        except OSError:
            return False
        if status.st_size != self.size:
            return False
        return status.st_mtime_ns == self.mtime_ns or sha256_file(path) == self.sha256


@dataclass(frozen=True)
class WindowPlace:
    """Where a window lies in its video: `pts` and `checksum` find its first frame again."""

    first: int
    frames: int
    pts: int | None
    checksum: int

    def of(self, sha256: str) -> str:
        """What a record of this window of that video is of."""
        return f"{sha256}, {self.frames} frames from {self.first}"


@dataclass(frozen=True)
class VideoRecord:
    """A video that was looked through; with `error` it could not be."""

    name: str
    source: Source
    width: int = 0
    height: int = 0
    fps: str = "0"
    frames: int = 0
    windows: tuple[WindowPlace, ...] = ()
    short: tuple[tuple[int, int], ...] = ()
    """(first frame, frames) of what is too short for a window."""
    error: str | None = None

    def window_name(self, number: int) -> str:
        """Of the window of that index: NAME-0001 is the first."""
        return f"{self.name}-{number + 1:04d}"


@dataclass(frozen=True)
class WindowRecord:
    """A window that was measured. `sha256` and `size` are those of the clip and of the motion beside it, by suffix,
    where they were kept; `error` says why it could not be measured."""

    name: str
    of: str
    """The video's sha256, and the window's first frame and length in it."""
    figures: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    sha256: dict[str, str] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)

    def is_kept(self, out: Path) -> bool:
        """Whether clip and motion lie there, of the size they were written with."""
        try:
            return bool(self.size) and all(
                (out / f"{self.name}{suffix}").stat().st_size == size for suffix, size in self.size.items()
            )
        except OSError:
            return False


def kept(out: Path, name: str) -> WindowRecord | None:
    """A window's record; None where there is none."""
    values = _read(window_place(out, name))
    try:
        return None if values is None else WindowRecord(**values)
    except TypeError:
        return None


def looked_through(out: Path, name: str) -> VideoRecord | None:
    """A video's record; None where there is none."""
    values = _read(video_place(out, name))
    try:
        if values is None:
            return None
        windows = tuple(WindowPlace(**each) for each in values.pop("windows"))
        short = tuple((first, frames) for first, frames in values.pop("short"))
        return VideoRecord(**{**values, "source": Source(**values["source"])}, windows=windows, short=short)
    except (TypeError, KeyError, ValueError):
        return None


def write_record(out: Path, record: VideoRecord | WindowRecord) -> None:
    """Write it in its place, whole."""
    place = (video_place if isinstance(record, VideoRecord) else window_place)(out, record.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(place) as part:
        part.write_text(json.dumps(asdict(record), allow_nan=False), encoding="utf-8")


def video_place(out: Path, name: str) -> Path:
    """The record of the video of that name."""
    return out / FOLDER / "videos" / f"{name}.json"


def window_place(out: Path, name: str) -> Path:
    """The record of the window of that name."""
    return out / FOLDER / "windows" / f"{name}.json"


def work_place(out: Path, name: str) -> Path:
    """Where a window lies while it is measured."""
    return out / FOLDER / "work" / f"{name}.mp4"


def remove_work(out: Path) -> None:
    """Remove what killed processes left of windows at work."""
    shutil.rmtree(out / FOLDER / "work", ignore_errors=True)


def recorded_videos(out: Path) -> list[VideoRecord]:
    """Of every video that was ever looked through, by name."""
    folder = out / FOLDER / "videos"
    names = sorted(
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*.json")
        if not path.name.startswith(".")
    )
    return [record for name in names if (record := looked_through(out, name)) is not None]


def forget(out: Path, video: VideoRecord) -> None:
    """Remove the video's record, the records of its windows, and their clips."""
    for number in range(len(video.windows)):
        name = video.window_name(number)
        window_place(out, name).unlink(missing_ok=True)
        remove_clip(out, name)
    video_place(out, video.name).unlink(missing_ok=True)


def remove_clip(out: Path, name: str) -> None:
    """Remove a clip and its motion, where there are some."""
    for suffix in CLIP_SUFFIXES:
        (out / f"{name}{suffix}").unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def videos_in(folder: Path, without: Path) -> list[Path]:
    """Every video in a folder and the folders in it, in order; hidden ones and those under `without` left out."""
    found, without = [], without.resolve()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in inside.parts):
            continue
        if path.is_file() and without not in path.resolve().parents:
            found.append(path)
    return found


def names_of(paths: Iterable[Path], folder: Path) -> dict[Path, str]:
    """What each video's clips are called: its path in the folder without the suffix, or with it where two videos differ
    in nothing else."""
    relative = {path: path.relative_to(folder) for path in paths}
    stems: dict[str, int] = {}
    for each in relative.values():
        stem = each.with_suffix("").as_posix()
        stems[stem] = stems.get(stem, 0) + 1
    return {
        path: each.as_posix() if stems[each.with_suffix("").as_posix()] > 1 else each.with_suffix("").as_posix()
        for path, each in relative.items()
    }
