"""manifest.jsonl: the clips of a training set, one JSON object per line; rejected clips have a reason.

    {"video": "a.mp4", "motion": "a.npz", "first_frame": 0, "frames": 97, "fps": "25", "figures": {"face_scale": 0.21},
     "reason": null, "source": "../videos/a.mp4", "source_first_frame": 310}

`video`, `motion` and `source` are relative to the manifest's folder. They may lead out of it, and are only read. The
clip is frames `first_frame` to `first_frame + frames`
(excluded) of the video; the motion has one row for each of them. `figures` holds measured values by name. `reason` says
why the clip is not used; it is null for a clip that is used. `source` and `source_first_frame` say where the clip was
cut out of another video; they may be missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.limits import MAX_FPS, MAX_FRAMES
from stages.artifacts.names import checked_reading
from stages.artifacts.text_files import parse_json, read_text
from stages.errors import InputError

KEYS = ("video", "motion", "first_frame", "frames", "fps", "figures", "reason", "source", "source_first_frame")
KINDS = {"video": str, "motion": str, "first_frame": int, "frames": int, "figures": dict, "source": str,
         "source_first_frame": int}  # fmt: skip
OPTIONAL = {"first_frame": 0, "figures": {}, "reason": None, "source": None, "source_first_frame": None}


@dataclass(frozen=True)
class ClipLine:
    """One line of a manifest, with full paths."""

    video: Path
    motion: Path | None
    frames: int
    fps: Fraction
    first_frame: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    source: Path | None = None
    source_first_frame: int | None = None

    def to_json(self, folder: Path) -> str:
        """The line of a manifest in `folder`, with paths relative to it."""
        values = {
            "video": _relative(self.video, folder),
            "motion": None if self.motion is None else _relative(self.motion, folder),
            "first_frame": self.first_frame,
            "frames": self.frames,
            "fps": str(self.fps),
            "figures": self.figures,
            "reason": self.reason,
            "source": None if self.source is None else _relative(self.source, folder),
            "source_first_frame": self.source_first_frame,
        }
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def write_manifest(path: Path, clips: Iterable[ClipLine]) -> None:
    """Write all lines atomically."""
    with atomic_path(Path(path)) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(f"{clip.to_json(Path(path).parent)}\n" for clip in clips)


def read_manifest(path: Path) -> list[ClipLine]:
    """All clips, also rejected ones. Raises InputError naming the wrong line and the reason."""
    path = Path(path)
    lines = read_text(path, "make a manifest with: emosh curate").splitlines()
    clips = [_parse_line(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not clips:
        raise InputError(f"{path} names no clips; make one with: emosh curate")
    return clips


def _parse_line(path: Path, number: int, line: str) -> ClipLine:
    where = f"{path}, line {number}"
    try:
        values = parse_json(line)
    except ValueError as error:
        raise InputError(f"{where} is not a JSON object ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{where} is not a JSON object")
    unknown = sorted(set(values) - set(KEYS))
    missing = [key for key in KEYS if key not in values and key not in OPTIONAL]
    if unknown or missing:
        what = f"'{unknown[0]}' is not a known key" if unknown else f"'{missing[0]}' is missing"
        raise InputError(f"{where}: {what}; a line has {', '.join(KEYS)}")
    values = {**OPTIONAL, **values}
    for name, kind in KINDS.items():
        if values[name] is not None and type(values[name]) is not kind:
            expected = {int: "a whole number", str: "a path", dict: "an object"}[kind]
            raise InputError(f"{where}: '{name}' is {json.dumps(values[name])}, expected {expected}")
    for name in ("video", "motion", "source"):
        if values[name] is not None:
            checked_reading(values[name], f"{where}: '{name}'")
    try:
        clip = ClipLine(
            path.parent / values["video"],
            None if values["motion"] is None else path.parent / values["motion"],
            int(values["frames"]),
            Fraction(values["fps"]),
            int(values["first_frame"]),
            dict(values["figures"]),
            None if values["reason"] is None else str(values["reason"]),
            None if values["source"] is None else path.parent / values["source"],
            None if values["source_first_frame"] is None else int(values["source_first_frame"]),
        )
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"{where}: {error}") from error
    _check_values(clip, where)
    return clip


def _check_values(clip: ClipLine, where: str) -> None:
    """Raises InputError for values that no clip has."""
    if clip.reason is None and (clip.motion is None or clip.frames < 1 or clip.fps <= 0):
        raise InputError(f"{where}: a clip without a reason needs a motion, and frames and fps above 0")
    if not 0 <= clip.fps < MAX_FPS:
        raise InputError(f"{where}: 'fps' is {clip.fps}, expected 0 to {MAX_FPS}")
    numbers = {"frames": clip.frames, "first_frame": clip.first_frame, "source_first_frame": clip.source_first_frame}
    for name, value in numbers.items():
        if value is not None and not 0 <= value <= MAX_FRAMES:
            raise InputError(f"{where}: '{name}' is {value}, expected 0 to {MAX_FRAMES}")
    for name, value in clip.figures.items():
        if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(f"{where}: figure '{name}' is {value!r:.40}, expected a number or a word")


def _relative(path: Path, folder: Path) -> str:
    import os

    return Path(os.path.relpath(path, folder)).as_posix()
