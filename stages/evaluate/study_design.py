"""A user study's pairs: every clip of our method against the same clip of every other, under names that tell nothing.

A folder of results holds `ref/NAME.png` (or .jpg), `drive/NAME.mp4`, and one folder a method with `NAME.mp4`. Or
they are named by the comparison.toml of `evaluate --table`: a set's photos are the references, its truth what drives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.errors import InputError
from stages.evaluate.comparison import read_comparison

REF, DRIVE = "ref", "drive"
PHOTOS, VIDEOS = (".png", ".jpg", ".jpeg", ".webp"), (".mp4", ".mov", ".mkv", ".webm")


@dataclass(frozen=True)
class StudyConfig:
    """What raters are asked, and how the page is made."""

    questions: tuple[str, ...] = (
        "Which follows the movement above better?",
        "Which looks more like the person in the photo above, in face and body?",
        "Which is the better video over all?",
    )
    height: int = 512
    """Videos are shown from copies at most this many pixels high, all made by the same encoder."""
    embed: bool = True
    """Put the videos into the page. false: into a folder beside it, for studies that are too large for one file."""
    title: str = "Which video is better?"

    def __post_init__(self) -> None:
        if not self.questions or not all(text.strip() for text in self.questions):
            raise InputError("questions: ask at least one, and none empty")
        if not 64 <= self.height <= 4320:
            raise InputError(f"height = {self.height}: choose 64 to 4320 pixels")


@dataclass(frozen=True)
class Pair:
    """One comparison: files, and the method that ours is compared with."""

    clip: str
    method: str
    ref: Path
    drive: Path
    ours: Path
    other: Path


@dataclass(frozen=True)
class Study:
    """All pairs of a study, in an order of chance."""

    ours: str
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    """Clips that something lacks, each with what."""


def design(runs: Path, ours: str, seed: int = 0, clips: int | None = None) -> Study:
    """Pair the results in `runs`; `clips` takes that many clips by chance. Same seed, same study.

    Raises InputError for a folder that is not laid out as above, or holds nothing to compare.
    """
    found = _listed(runs) if runs.is_file() else _laid_out(runs)
    methods = tuple(name for name in found if name not in (REF, DRIVE, ours))
    if ours not in found or ours in (REF, DRIVE):
        raise InputError(f"{runs} has no method '{ours}'; name yours with --ours, one of: {', '.join(methods)}")
    if not methods:
        raise InputError(f"{runs} holds no other method beside '{ours}'; add its results")
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
        raise InputError(f"no clip in {runs} has photo, driving video and two results of one name; {left_out[:3]}")
    order = chance.permutation(len(pairs))
    return Study(ours, methods, tuple(pairs[row] for row in order), tuple(left_out))


Found = dict[str, dict[str, Path]]
"""Folder or method -> clip -> file."""


def _laid_out(runs: Path) -> Found:
    """What a folder holds."""
    found = {folder.name: _files(folder) for folder in sorted(runs.iterdir()) if folder.is_dir()}
    for needed, what in ((REF, "photos"), (DRIVE, "driving videos")):
        if not found.get(needed):
            raise InputError(f"{runs} has no {what} in a folder called '{needed}'; lay it out as --help says")
    return found


def _listed(runs: Path) -> Found:
    """What a comparison.toml names; clips are called SET/NAME."""
    named = read_comparison(runs)
    both = [each for each in named.truths if each in named.photos]
    if not both:
        raise InputError(f"{runs}: a study needs a set with truth (what drives) and photos")
    tables = {REF: named.photos, DRIVE: named.truths, **{each.name: each.results for each in named.methods}}
    return {
        name: {f"{set_}/{clip}": path for set_ in both for clip, path in table.get(set_, {}).items()}
        for name, table in tables.items()
    }


def _files(folder: Path) -> dict[str, Path]:
    wanted = PHOTOS if folder.name == REF else VIDEOS
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in wanted}


def nameless(path: Path, seed: int) -> str:
    """What a file is called in the page: a digest of its bytes and the seed."""
    with path.open("rb") as file:
        return hashlib.sha256(f"{seed} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode()).hexdigest()[:12]
