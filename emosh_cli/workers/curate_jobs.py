"""The two jobs of a curation: scan a video for windows, and measure a window. A job does nothing if its record
says that it is done, so any process may call it again at any time."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.curate.config import CurateConfig
    from stages.curate.records import Source, VideoRecord, WindowPlace, WindowRecord
    from stages.track.config import TrackConfig

UNEXPECTED_PREFIX = "failed"
"""A reason with this prefix is not kept: the next run tries again."""


@dataclass(frozen=True)
class VideoJob:
    """Scan the video `path`, which lies in `folder`. Its clips will be named after `name`."""

    path: Path
    folder: Path
    name: str
    out: Path
    config: CurateConfig


@dataclass(frozen=True)
class WindowJob:
    """Measure one window, and keep its clip if it passes the thresholds."""

    name: str
    source: Path
    sha256: str
    """sha256 of the source when it was scanned."""
    place: WindowPlace
    fps: str
    figures: dict[str, float]
    """Figures that are known before tracking."""
    out: Path
    config: CurateConfig
    track: TrackConfig
    body: str


def scan_video(job: VideoJob) -> VideoRecord:
    """The video's record. For a file that cannot be read it holds the reason. Raises for a full disk."""
    from stages.curate.records import Source, VideoRecord, read_video_record, write_record

    known = read_video_record(job.out, job.name)
    if known is not None and known.source.is_unchanged(job.path):
        return known
    source = None
    try:
        source = Source.of(job.path, job.folder)
        record = _scan(job, source)
        write_record(job.out, record)
    except Exception as error:
        raise_if_disk_full(error)
        record = VideoRecord(
            job.name, source or Source(job.path.relative_to(job.folder).as_posix(), 0, 0, ""), error=error_text(error)
        )
        if source is not None and isinstance(error, InputError):
            write_record(job.out, record)
    return record


def _scan(job: VideoJob, source: Source) -> VideoRecord:
    from stages.curate.records import VideoRecord, WindowPlace
    from stages.curate.windows import windows_of_shots
    from stages.video.shots import find_shots

    shots = find_shots(job.path, job.config.cut_score)
    windows, short = windows_of_shots(shots.starts, shots.frame_count, job.config)
    moments = [shots.moment(each.first) for each in windows]
    places = [WindowPlace(m.index, each.frames, m.pts, m.checksum) for m, each in zip(moments, windows, strict=True)]
    return VideoRecord(
        job.name, source, shots.info.width, shots.info.height, str(shots.info.fps), shots.frame_count, tuple(places),
        tuple((each.first, each.frames) for each in short),
    )  # fmt: skip


def finished_record(job: WindowJob) -> WindowRecord | None:
    """The window's record if nothing is left to do: the window was rejected, or its clip exists."""
    from stages.curate.filters import is_measured, rejection_reasons
    from stages.curate.records import read_window_record

    known = read_window_record(job.out, job.name)
    if known is None or known.of != job.place.key(job.sha256):
        return None
    if known.error is not None:
        return known
    if not is_measured(known.figures):
        return None
    return known if rejection_reasons(known.figures, job.config) or known.is_kept(job.out) else None


def measure_window(job: WindowJob) -> WindowRecord:
    """The window's record. If it passes, its clip and its motion are written. Raises for a full disk."""
    from stages.curate.records import WindowRecord, write_record
    from stages.quiet import quiet

    known = finished_record(job)
    if known is not None:
        return known
    try:
        with quiet():
            record = _measure(job)
    except Exception as error:
        raise_if_disk_full(error)
        record = WindowRecord(job.name, job.place.key(job.sha256), error=error_text(error))
        if not isinstance(error, InputError):
            return record
    write_record(job.out, record)
    return record


def _measure(job: WindowJob) -> WindowRecord:
    """Cut, track and measure the window. If it passes, write its motion, then move its clip into place."""
    from stages.artifacts.motion import save_motion
    from stages.artifacts.provenance import sha256_file
    from stages.curate.figures import clip_figures
    from stages.curate.filters import rejection_reasons
    from stages.curate.records import CLIP_SUFFIXES, WindowRecord, clip_place, work_place

    of, work = job.place.key(job.sha256), work_place(job.out, job.name)
    work.parent.mkdir(parents=True, exist_ok=True)
    try:
        letters = _cut(job, work)
        motion = _track(job, work)
        figures = {**job.figures, **clip_figures(motion, _body(job.body)), "letters": float(letters)}
        if rejection_reasons(figures, job.config):
            return WindowRecord(job.name, of, figures)
        clip, motion_file = made = [clip_place(job.out, job.name, suffix) for suffix in CLIP_SUFFIXES]
        clip.parent.mkdir(parents=True, exist_ok=True)
        save_motion(motion_file, motion)
        work.replace(clip)
    finally:
        work.unlink(missing_ok=True)
    return WindowRecord(
        job.name, of, figures, None, {path.suffix: sha256_file(path) for path in made},
        {path.suffix: path.stat().st_size for path in made},
    )  # fmt: skip


def _cut(job: WindowJob, work: Path) -> int:
    """Write the window's clip. Returns how many letters stand in a row in it."""
    from stages.artifacts.provenance import Provenance
    from stages.curate.cut import cut_clip
    from stages.curate.still_text import StillText
    from stages.video.segment import Moment

    first = Moment(job.place.first, job.place.pts, job.place.checksum)
    notes = {"source": job.source.name, "first_frame": job.place.first, "frames": job.place.frames}
    record = Provenance("curate", {"lossless": job.config.lossless}, notes=notes)
    metadata, text = {"comment": record.to_json()}, StillText()
    cut_clip(
        job.source, first, job.place.frames, work, Fraction(job.fps), job.config.lossless, metadata, text.add_frame
    )
    return text.letters()


def _track(job: WindowJob, work: Path) -> Motion:
    """Track the cut file as `emosh track` does. The provenance names the final clip as its source."""
    from stages.track.track import track

    try:
        motion = track(work, _body(job.body), job.track)
    except InputError as error:
        raise InputError(str(error).replace(str(work), f"the clip from frame {job.place.first}")) from error
    notes = {**motion.provenance.notes, "source": f"{Path(job.name).name}.mp4"}
    return replace(motion, provenance=replace(motion.provenance, notes=notes))


@cache
def _body(name: str) -> Body:
    from stages.body.store import open_body

    return open_body(name)


def error_text(error: Exception) -> str:
    """The error as one line of text, for the manifest."""
    if isinstance(error, InputError):
        return " ".join(str(error).split())
    return " ".join(f"{UNEXPECTED_PREFIX}: {type(error).__name__}: {error}".split())


def raise_if_disk_full(error: Exception) -> None:
    """Raise the error again if its cause is a full or read-only disk, after which no job can succeed."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise error
        cause = cause.__cause__
