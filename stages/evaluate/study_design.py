"""The pairs of a user study: every clip of our method with the same clip of every other method.

A folder of results has `ref/NAME.png` (or .jpg), `drive/NAME.mp4`, and one folder per method with `NAME.mp4`. The
comparison.toml of `evaluate --table` may name the files instead: a set's photos are the references, its truth the
driving videos.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.artifacts.names import checked_utf8
from stages.errors import InputError
from stages.evaluate.comparison import read_comparison

REF, DRIVE = "ref", "drive"
PHOTOS, VIDEOS = (".png", ".jpg", ".jpeg", ".webp"), (".mp4", ".mov", ".mkv", ".webm")

Found = dict[str, dict[str, Path]]
"""Folder or method -> clip -> file."""


@dataclass(frozen=True)
class Pair:
    """One comparison of our method with `method` on a clip, and its files."""

    clip: str
    method: str
    ref: Path
    drive: Path
    ours: Path
    other: Path


@dataclass(frozen=True)
class Study:
    """All pairs of a study, in random order."""

    ours: str
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    """Clips that a folder lacks, each with the folders that lack it."""


def design_study(runs: Path, ours: str, seed: int = 0, clips: int | None = None) -> Study:
    """Pair the results in `runs`, of all clips or of `clips` randomly chosen ones. Same seed, same study.

    Raises InputError for a folder that is not laid out as above, or has nothing to compare.
    """
    return study_of(_from_comparison(runs) if runs.is_file() else _from_folder(runs), runs, ours, seed, clips)


def study_of(found: Found, runs: Path, ours: str, seed: int = 0, clips: int | None = None) -> Study:
    """`design_study` for files that are known: `found` holds photos under REF, driving videos under DRIVE, and one
    entry per method. `runs` is named in errors."""
    for path in (path for files in found.values() for path in files.values()):
        checked_utf8(path)
    methods = tuple(name for name in found if name not in (REF, DRIVE, ours))
    if ours not in found or ours in (REF, DRIVE):
        raise InputError(f"{runs} has no method '{ours}'; name yours with --ours, one of: {', '.join(methods)}")
    if not methods:
        raise InputError(f"{runs} has no other method than '{ours}'; add the results of another method")
    every = sorted(set().union(*(found[name] for name in (ours, *methods))))
    chance = np.random.default_rng(seed)
    picked = every if clips is None else sorted(chance.permutation(every)[:clips].tolist())
    pairs, left_out = [], []
    for clip in picked:
        lacking = [name for name in (REF, DRIVE, ours) if clip not in found[name]]
        left_out += [f"{clip} (not in {', '.join(lacking)})"] if lacking else []
        for method in methods:
            if not lacking and clip in found[method]:
                files = (found[name][clip] for name in (REF, DRIVE, ours, method))
                pairs.append(Pair(clip, method, *files))
    if not pairs:
        raise InputError(
            f"no clip in {runs} has a photo, a driving video and two results of the same name; {left_out[:3]}"
        )
    order = chance.permutation(len(pairs))
    return Study(ours, methods, tuple(pairs[row] for row in order), tuple(left_out))


def _from_folder(runs: Path) -> Found:
    """The files of a folder of results."""
    found = {folder.name: _files(folder) for folder in sorted(runs.iterdir()) if folder.is_dir()}
    for needed, what in ((REF, "photos"), (DRIVE, "driving videos")):
        if not found.get(needed):
            raise InputError(f"{runs} has no {what} in a folder called '{needed}'; lay it out as --help says")
    return found


def _from_comparison(runs: Path) -> Found:
    """The files that a comparison.toml names; clips are called SET/NAME."""
    named = read_comparison(runs)
    both = [each for each in named.truths if each in named.photos]
    if not both:
        raise InputError(f"{runs}: a study needs a set with truth (the driving videos) and photos")
    tables = {REF: named.photos, DRIVE: named.truths, **{each.name: each.results for each in named.methods}}
    return {
        name: {f"{set_}/{clip}": path for set_ in both for clip, path in table.get(set_, {}).items()}
        for name, table in tables.items()
    }


def _files(folder: Path) -> dict[str, Path]:
    suffixes = PHOTOS if folder.name == REF else VIDEOS
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes}


def anonymous_name(path: Path, seed: int) -> str:
    """The file's name in the page: a digest of its bytes and the seed, which does not give its method away."""
    with path.open("rb") as file:
        return hashlib.sha256(f"{seed} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode()).hexdigest()[:12]
