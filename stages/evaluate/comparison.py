"""comparison.toml: which folder holds the videos of which method, and which files show the same clip.

[sets.NAME] names the folders of a test set: the real videos (truth), the photos, or both. [methods.NAME] names a
preset, the settings that differ from it, and one folder of results per set. [published.NAME] holds figures published
elsewhere, to print beside ours. Paths are relative to the file. Files with the same stem are the same clip. [options]
clip may be a regular expression instead; its group named clip, or else its first group, is the clip's name. A clip that
one method lacks is left out for all methods, and listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from stages.artifacts.names import checked_utf8
from stages.artifacts.text_files import read_toml
from stages.errors import InputError
from stages.evaluate.baselines import Baseline, baseline
from stages.evaluate.config import EvaluateConfig

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif")
PHOTOS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
PER_METHOD = ("fit", "pairing", "stride", "lead_seconds")
"""Settings that a method may set for itself: how its frames are matched with the truth's."""
OPTIONS = ("clip", "missing")
MOST_LEAD_SECONDS = 86_400.0


@dataclass(frozen=True)
class Method:
    """One method: its settings, the sizes its files may have (width, height), and set -> clip -> result file."""

    name: str
    baseline: Baseline | None
    settings: dict[str, Any]
    sizes: tuple[tuple[int, int], ...]
    results: dict[str, dict[str, Path]]

    def config(self, common: EvaluateConfig) -> EvaluateConfig:
        """The common settings with this method's own."""
        return replace(common, **self.settings)


@dataclass(frozen=True)
class Comparison:
    """What is compared. `clips`: those that every method with that set has. `left_out`: the other clips and why."""

    path: Path
    methods: tuple[Method, ...]
    truths: dict[str, dict[str, Path]]
    photos: dict[str, dict[str, Path]]
    clips: dict[str, tuple[str, ...]]
    left_out: dict[str, dict[str, str]]
    published: dict[str, dict[str, dict[str, float]]]
    rule: str


def read_comparison(path: Path) -> Comparison:
    """Read and check. Raises InputError naming the table and key, the nearest folder or preset, or the clip."""
    tables = _toml(path)
    _check_keys(tables, ("sets", "methods", "published", "options"), str(path))
    options = tables.get("options", {})
    _check_keys(options, OPTIONS, f"{path}: [options]")
    pattern = _pattern(options.get("clip"), path)
    here = path.resolve().parent
    sets = _tables(tables, "sets", path)
    truths, photos = {}, {}
    for name, table in sets.items():
        if name in ("preset", "size", *PER_METHOD):
            raise InputError(f"{path}: a set cannot be called '{name}': methods have a setting of that name")
        _check_keys(table, ("truth", "photos"), f"{path}: [sets.{name}]")
        for key, target, kinds in (("truth", truths, VIDEOS), ("photos", photos, PHOTOS)):
            if key in table:
                target[name] = _clip_files(here, table[key], kinds, pattern, f"{path}: [sets.{name}] {key}")
        if not set(table) & {"truth", "photos"}:
            raise InputError(f"{path}: [sets.{name}] has neither truth nor photos; give one to compare with")
    methods = tuple(
        _method(name, table, tuple(sets), here, pattern, path)
        for name, table in _tables(tables, "methods", path).items()
    )
    clips, left_out = {}, {}
    for name in sets:
        clips[name], left_out[name] = _common_clips(name, truths.get(name), photos.get(name), methods)
        if left_out[name] and options.get("missing", "leave out") == "refuse":
            clip, why = next(iter(left_out[name].items()))
            raise InputError(f"{path}: clip '{clip}' of set '{name}': {why}")
        if not clips[name] and any(name in each.results for each in methods):
            raise InputError(
                f"{path}: set '{name}' has no clip that exists in its truth and in all its methods; "
                f"{_example(left_out[name])}"
            )
    rule = "file stems" if pattern is None else f"regular expression {pattern.pattern!r} on file names"
    return Comparison(path, methods, truths, photos, clips, left_out, _published(tables, path), rule)


def _method(
    name: str, table: Mapping[str, Any], sets: tuple[str, ...], here: Path, pattern: re.Pattern | None, path: Path
) -> Method:
    where = f"{path}: [methods.{name}]"
    _check_keys(table, ("preset", "size", *PER_METHOD, *sets), where)
    preset = baseline(table["preset"], where) if "preset" in table else None
    settings = {**(preset.settings if preset else {}), **{key: table[key] for key in PER_METHOD if key in table}}
    _check_settings(settings, where)
    sizes = preset.sizes if preset else ()
    if "size" in table:
        size = table["size"]
        if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)):
            raise InputError(f"{where} size is {table['size']!r}, expected [width, height]")
        sizes = (tuple(table["size"]),)
    results = {
        each: _clip_files(here, table[each], VIDEOS, pattern, f"{where} {each}") for each in sets if each in table
    }
    if not results:
        raise InputError(f'{where} has no folder of results; give one per set: {sets[0]} = "FOLDER"')
    return Method(name, preset, settings, sizes, results)


def _check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Refuse wrong types and choices, as `EvaluateConfig` would."""
    choices = {"fit": ("same", "pad"), "pairing": ("index", "time")}
    for key, value in settings.items():
        if key in choices and (not isinstance(value, str) or value not in choices[key]):
            raise InputError(f"{where} {key} is {value!r}, expected {' or '.join(map(repr, choices[key]))}")
        if key == "stride" and (type(value) is not int or value < 1):
            raise InputError(f"{where} stride is {value!r}, expected a whole number from 1")
        if key == "lead_seconds" and not _is_lead(value):
            raise InputError(f"{where} lead_seconds is {value!r}, expected a number of seconds")
    assert {each.name for each in fields(EvaluateConfig)} >= set(settings)


def _is_lead(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST_LEAD_SECONDS


def _common_clips(
    name: str, truth: dict[str, Path] | None, photos: dict[str, Path] | None, methods: tuple[Method, ...]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Clips that every source of the set has, and the other clips with the sources that lack them."""
    sources = {"the truth": truth, "the photos": photos, **{each.name: each.results.get(name) for each in methods}}
    present = {who: files for who, files in sources.items() if files is not None}
    every = sorted({clip for files in present.values() for clip in files})
    lacking = {clip: [who for who, files in present.items() if clip not in files] for clip in every}
    return (
        tuple(clip for clip in every if not lacking[clip]),
        {clip: f"not in {', '.join(who)}" for clip, who in lacking.items() if who},
    )


def _example(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return "its folders are empty"
    clip, why = next(iter(left_out.items()))
    return (
        f"for example '{clip}' is {why}; give the files the same names, or set [options] clip to a regular expression"
    )


def _clip_files(
    here: Path, given: Any, kinds: tuple[str, ...], pattern: re.Pattern | None, where: str
) -> dict[str, Path]:
    """Clip -> file. Raises InputError for a missing or empty folder, a name that names no clip, or a clip twice."""
    if not isinstance(given, str):
        raise InputError(f"{where} is {given!r}, expected the path of a folder in quotes")
    folder = here / given
    if not folder.is_dir():
        raise InputError(f"{where}: {folder} is not a folder")
    found: dict[str, Path] = {}
    for file in sorted(each for each in folder.iterdir() if each.suffix.lower() in kinds and each.is_file()):
        checked_utf8(file)
        clip = _clip(file, pattern, where)
        if clip in found:
            raise InputError(f"{where}: {found[clip].name} and {file.name} are both clip '{clip}'")
        found[clip] = file
    if not found:
        raise InputError(f"{where}: {folder} has no file ending in {' '.join(kinds)}")
    return found


def _clip(file: Path, pattern: re.Pattern | None, where: str) -> str:
    if pattern is None:
        return file.stem
    match = pattern.search(file.name)
    if match is None:
        raise InputError(f"{where}: {file.name} does not match [options] clip = {pattern.pattern!r}")
    return (match.group("clip") if "clip" in pattern.groupindex else match.group(min(1, pattern.groups))) or file.stem


def _pattern(text: Any, path: Path) -> re.Pattern | None:
    if text is None:
        return None
    try:
        return re.compile(text)
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: [options] clip is not a regular expression ({error})") from error


def _published(tables: Mapping[str, Any], path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Method -> set -> figure -> value. Raises InputError for a value that is not a number."""
    found = _tables(tables, "published", path) if "published" in tables else {}
    for name, sets in found.items():
        for each, figures in sets.items():
            if not isinstance(figures, dict) or not all(isinstance(value, int | float) for value in figures.values()):
                raise InputError(
                    f"{path}: [published.{name}] {each} must be a table of numbers, for example psnr = 20.1"
                )
    return found


def _tables(tables: Mapping[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    table = tables.get(name, {})
    if not isinstance(table, dict) or not table or not all(isinstance(each, dict) for each in table.values()):
        raise InputError(f"{path} has no [{name}.NAME] table; add at least one")
    return table


def _toml(path: Path) -> dict[str, Any]:
    return read_toml(path, "emosh evaluate --help says what --table reads")


def _check_keys(table: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise InputError(f"{where} must be a table")
    for key in table:
        if key not in known:
            import difflib

            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            raise InputError(
                f"{where} has no '{key}'; "
                + (f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}")
            )
