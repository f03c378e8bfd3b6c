"""Every window's line of the manifest, from what was recorded of it and the thresholds as they are now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from stages.artifacts.manifest import ClipLine
from stages.curate.config import CurateConfig
from stages.curate.filters import FILTERS, is_measured, reasons
from stages.curate.records import VideoRecord, WindowPlace, WindowRecord

SHORT, UNREADABLE, UNTRACKED, GONE = "short", "unreadable", "untracked", "gone"
MEANINGS = {
    **{each.figure: each.meaning for each in FILTERS},
    SHORT: "a shot, or the rest of one, with too few frames for a clip",
    UNREADABLE: "a file that could not be read",
    UNTRACKED: "nobody was found, or the frames could not be read again",
    GONE: "its clip was never kept, or taken back, and the video is no longer there",
    "failed": "something unexpected; the next run tries again",
    "killed": "its process died again and again; the next run tries again",
}
"""Every reason's first word, and what it means."""


@dataclass(frozen=True)
class Verdict:
    """A line of the manifest and the single reasons in it, none of an accepted clip."""

    line: ClipLine
    reasons: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The first word of each reason, one of MEANINGS."""
        return [each.partition(" ")[0].rstrip(":") for each in self.reasons]


def verdicts(
    video: VideoRecord, windows: Mapping[str, WindowRecord], folder: Path, out: Path, config: CurateConfig
) -> Iterator[Verdict]:
    """The verdicts on a video's windows in order of frames, and on what of it was too short for one.

    `windows` holds the records by name; a window without one, which an earlier filter made superfluous, is judged by
    what is known of the whole video.
    """
    path = folder / video.source.path
    if video.error is not None:
        yield _rejected(path, 0, 0, Fraction(0), {}, [f"{UNREADABLE}: {video.error}"])
        return
    fps, found = Fraction(video.fps), []
    for first, frames in video.short:
        why = [f"{SHORT}: {frames} frames, a clip needs {config.min_frames}"]
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
        why = reasons(figures, config)
        if not why and not (is_measured(figures) and clip.is_file()):
            why = [f"{GONE}: the clip would pass, but cannot be made again"]
    if why:
        return _rejected(path, place.first, place.frames, fps, figures, why)
    motion = clip.with_suffix(".npz")
    return Verdict(ClipLine(clip, motion, place.frames, fps, 0, figures, None, path, place.first))


def _rejected(path: Path, first: int, frames: int, fps: Fraction, figures: dict, why: list[str]) -> Verdict:
    line = ClipLine(path, None, frames, fps, first, figures, "; ".join(why), path, first)
    return Verdict(line, tuple(why))


def video_figures(video: VideoRecord) -> dict[str, float]:
    """What is known of all windows before any is tracked."""
    return {"side_px": float(min(video.width, video.height)), "fps": round(float(Fraction(video.fps)), 3)}


def counted(found: Iterable[Verdict]) -> dict[str, int]:
    """How many windows each reason rejected, most first; a window may count for several."""
    return dict(Counter(word for each in found for word in each.words).most_common())
