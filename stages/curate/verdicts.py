"""Every window's line of the manifest, from its record and the current thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from stages.artifacts.manifest import ClipLine
from stages.counted import counted
from stages.curate.config import CurateConfig
from stages.curate.filters import FILTERS, is_measured, rejection_reasons
from stages.curate.records import VideoRecord, WindowPlace, WindowRecord

SHORT, UNREADABLE, UNTRACKED, GONE = "short", "unreadable", "untracked", "gone"
MEANINGS = {
    **{each.figure: each.meaning for each in FILTERS},
    SHORT: "the shot, or the rest of it, has too few frames for a clip",
    UNREADABLE: "the file could not be read",
    UNTRACKED: "no person was found, or the frames could not be read again",
    GONE: "the clip does not exist and the video is no longer there to make it",
    "failed": "an unexpected error; the next run tries again",
    "killed": "the process died several times; the next run tries again",
}
"""The first word of a reason -> what it means."""


@dataclass(frozen=True)
class Verdict:
    """A line of the manifest and its reasons; an accepted clip has none."""

    line: ClipLine
    reasons: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The first word of each reason, one of MEANINGS."""
        return [each.partition(" ")[0].rstrip(":") for each in self.reasons]


def verdicts(
    video: VideoRecord, windows: Mapping[str, WindowRecord], folder: Path, out: Path, config: CurateConfig
) -> Iterator[Verdict]:
    """Verdicts on a video's windows and on its pieces that are too short for one, in order of frames.

    `windows` holds the records by name. A window that was rejected before it was measured has no record; its verdict
    comes from the figures of the whole video.
    """
    path = folder / video.source.path
    if video.error is not None:
        yield _rejected(path, 0, 0, Fraction(0), {}, [f"{UNREADABLE}: {video.error}"])
        return
    fps, found = Fraction(video.fps), []
    for first, frames in video.short:
        why = [f"{SHORT}: {counted(frames, 'frame')}, a clip needs {config.min_frames}"]
        found.append(_rejected(path, first, frames, fps, video_figures(video), why))
    for number, place in enumerate(video.windows):
        name = video.window_name(number)
        found.append(_verdict(video, path, place, windows.get(name), out / f"{name}.mp4", out, config))
    yield from sorted(found, key=lambda each: each.line.source_first_frame or 0)


def _verdict(
    video: VideoRecord,
    path: Path,
    place: WindowPlace,
    record: WindowRecord | None,
    clip: Path,
    out: Path,
    config: CurateConfig,
) -> Verdict:
    fps, figures = Fraction(video.fps), video_figures(video)
    if record is not None and record.error is not None:
        known = record.error.startswith(("failed", "killed"))
        why = [record.error if known else f"{UNTRACKED}: {record.error}"]
    else:
        figures |= {} if record is None else record.figures
        why = rejection_reasons(figures, config)
        if not why and not (is_measured(figures) and clip.is_file()):
            why = [f"{GONE}: the clip would be accepted, but its video is no longer there"]
    if why:
        return _rejected(path, place.first, place.frames, fps, figures, why)
    motion = clip.with_suffix(".npz")
    return Verdict(ClipLine(clip, motion, place.frames, fps, 0, figures, None, path, place.first))


def _rejected(path: Path, first: int, frames: int, fps: Fraction, figures: dict, why: list[str]) -> Verdict:
    line = ClipLine(path, None, frames, fps, first, figures, "; ".join(why), path, first)
    return Verdict(line, tuple(why))


def video_figures(video: VideoRecord) -> dict[str, float]:
    """Figures that all windows of a video share and that are known before tracking."""
    return {"side_px": float(min(video.width, video.height)), "fps": round(float(Fraction(video.fps)), 3)}


def count_reasons(found: Iterable[Verdict]) -> dict[str, int]:
    """Reason -> number of rejected windows, most frequent first; a window may count for several reasons."""
    return dict(Counter(word for each in found for word in each.words).most_common())
