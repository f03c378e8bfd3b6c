"""The paper's two test sets, drawn and measured in one folder: all photos with all drivers, or every driver by itself.

The folder holds a folder of videos for each variant that was drawn. Another method is compared where its results lie in
a folder of its own beside them, under the same names. A rerun makes and measures only what is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import DRIVEN_SET, output_folder
from emosh_cli.run import Run
from emosh_cli.workers.engines import choose_engine
from emosh_cli.workflows import animation, diffusion_model, tables
from emosh_cli.workflows.drawn_clips import (
    MOTIONS,
    REFERENCES,
    DrawOptions,
    Pair,
    add_first_frame,
    draw_clips,
    require_section_names,
)
from emosh_cli.workflows.padded_inputs import INPUTS, sizes_of, write_padded_inputs
from emosh_cli.workflows.pipeline import SECTIONS
from emosh_cli.workflows.variants import FRONTAL_ANCHOR, FULL, VARIANTS, Variant
from stages.artifacts.names import checked_utf8, refuse_links
from stages.counted import counted
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.evaluate.comparison import Comparison, Method
    from stages.evaluate.config import EvaluateConfig

BETWEEN = "--"
"""Between the names of photo and driver in the name of a pair."""
OURS = "emosh"
"""Folder and name of the whole method."""
SET_FILE, REPORT, CACHE, STUDY = "set.json", "report.json", "report.emosh", "study.html"
OWN_FOLDERS = (MOTIONS, REFERENCES, INPUTS, "photos", CACHE)
CHOICES = (*VARIANTS, FRONTAL_ANCHOR)
"""What --variant can name, and the whole method."""
CROSS_TABLES, SELF_TABLES = (2, 5), (1, 2, 5, 7)


def draw_and_measure(
    run: Run,
    pairs: list[Pair],
    name: str,
    out: Path | None,
    asked: list[str],
    others: list[str],
    options: DrawOptions,
    engine: str,
    workers: int,
) -> None:
    """Draw every pair with the whole method and the variants `asked` for, measure all results in the folder, and write
    tables, curves over time and, where there are several methods, the page of a study. `others` are methods whose
    padded inputs are written too."""
    target = output_folder(
        out, DRIVEN_SET, [], run.force, pairs[0].drive.resolve().parent, f"-{name}-driven", SET_FILE, [REPORT]
    )
    backend = animation.choose_backend(run, options.backend, options.choice)
    options = replace(options, backend=backend)
    require_section_names(run.settings)
    configs = run.load_configs(("evaluate", "study", *SECTIONS[backend]))
    variants = _variants(asked, *_drawing_of(run, options, configs))
    if pairs[0].truth is None:
        _require_figure(configs["evaluate"])
    for method in others:
        sizes_of(method)
    if run.dry_run:
        padded = [f"pad photos and drivers for {method}" for method in others]
        lines = [f"draw {variant.folder}: {pair.name}" for variant in variants for pair in pairs]
        run.show_plan([*padded, *lines, f"-> {target / REPORT}"], output=str(target / REPORT))
        return
    refuse_links(target / CACHE)
    target.mkdir(exist_ok=True)
    _write_set(target / SET_FILE, name, pairs, variants)
    pairs = [add_first_frame(_absolute(pair), target.resolve()) for pair in pairs]
    for method in others:
        write_padded_inputs(run, method, pairs, target)
    runner = choose_engine(engine, workers, backend == "wan" and options.choice.device in ("auto", "cuda"))
    made, failed = draw_clips(run, runner, pairs, variants, options, target.resolve())
    for what, why in failed.items():
        run.console.note(f"left out: {what}: {why}")
    if not any(made.values()):
        raise InputError(f"none of the {len(pairs)} pairs could be drawn; the first: {next(iter(failed.values()))}")
    comparison = _comparison(target, name, pairs, made, backend)
    planned = list(tables.clip_jobs(comparison, configs, options.body, target / CACHE, run.force))
    (target / CACHE).mkdir(exist_ok=True)
    records, remembered = tables.measure_clips(run, planned, workers)
    _write_study(run, target, comparison, pairs, configs["study"])
    numbers = SELF_TABLES if pairs[0].truth is not None else CROSS_TABLES
    tables.write_tables(
        run, target / REPORT, comparison, configs, planned, records, target / CACHE, remembered, numbers, failed
    )


def _require_figure(config: EvaluateConfig) -> None:
    """Raise InputError where nothing of a result without a real video could be measured."""
    from stages.evaluate.networks.chosen import available_networks

    if not config.shape_frames and not available_networks(config).files.keys() & {"ips", "face_distance"}:
        raise InputError(
            "nothing could be measured: evaluate.shape_frames is 0 and no face network is installed; "
            'pip install "emosh[identity]"'
        )


def cross_pairs(refs: Path, drivers: Path) -> list[Pair]:
    """Every photo of a folder with every video of another. Raises InputError for a folder without any."""
    from stages.evaluate.comparison import PHOTOS

    photos, videos = _files(refs, PHOTOS, "photos"), _videos(drivers)
    return [
        Pair(f"{ref.stem}{BETWEEN}{drive.stem}", drive, ref, None)
        for ref in photos.values()
        for drive in videos.values()
    ]


def self_pairs(drivers: Path) -> list[Pair]:
    """Every video of a folder with itself: its first frame is the photo. Raises InputError for a folder without any."""
    return [Pair(drive.stem, drive, drive, drive) for drive in _videos(drivers).values()]


def _videos(folder: Path) -> dict[str, Path]:
    from stages.evaluate.comparison import VIDEOS

    return _files(folder, VIDEOS, "driving videos")


def _files(folder: Path, suffixes: Iterable[str], what: str) -> dict[str, Path]:
    """Stem -> file. Raises InputError for a missing folder, one without files, or two files of one stem."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the folder of the {what}")
    found: dict[str, Path] = {}
    for path in sorted(each for each in folder.iterdir() if each.suffix.lower() in suffixes and each.is_file()):
        checked_utf8(path)
        if path.stem in found:
            raise InputError(f"{path} and {found[path.stem].name} would have results of one name; rename one of them")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder} holds no {what} ending in {' '.join(suffixes)}")
    return found


def _absolute(pair: Pair) -> Pair:
    """The pair with paths that mean the same in every process."""
    truth = None if pair.truth is None else pair.truth.resolve()
    return replace(pair, drive=pair.drive.resolve(), ref=pair.ref.resolve(), truth=truth)


def _drawing_of(run: Run, options: DrawOptions, configs: dict[str, Any]) -> tuple[str, str | None]:
    """The backend, and the drawing that its model reads."""
    if options.backend != "wan":
        return options.backend, None
    choice = options.choice
    model = diffusion_model.open_model(choice.model, choice.adapter, choice.device, run.console)
    return options.backend, model.for_drawing(configs["render_cond"].drawing, choice.adapter)[0]


def _variants(asked: list[str], backend: str, drawing: str | None) -> list[Variant]:
    """The whole method, and the variants of these folder names. Raises InputError for a name of none, or of one that
    the backend does not have."""
    by_folder = {each.folder: each for each in CHOICES if each is not FULL}
    chosen = [replace(FULL, name=OURS, folder=OURS)]
    for folder in dict.fromkeys(asked):
        if folder not in by_folder:
            raise InputError(f"--variant {folder}: choose one of {', '.join(by_folder)}")
        if not by_folder[folder].usable(backend, drawing):
            raise InputError(f"--variant {folder} is not there with the {backend}: {by_folder[folder].why}")
        chosen.append(replace(by_folder[folder], name=folder))
    return chosen


def _write_set(path: Path, name: str, pairs: list[Pair], variants: list[Variant]) -> None:
    """Say what the folder holds, before anything is drawn."""
    from stages.artifacts.atomic import atomic_path
    from stages.artifacts.provenance import Provenance

    record = Provenance("driven-set", {"set": name, "variants": [each.folder for each in variants]})
    rows = [{"name": pair.name, "ref": pair.ref.name, "drive": pair.drive.name} for pair in pairs]
    whole = {"kind": "driven-set", "schema": 1, "provenance": json.loads(record.to_json()), "pairs": rows}
    with atomic_path(path) as part:
        part.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _comparison(
    target: Path, name: str, pairs: list[Pair], made: dict[str, dict[str, Path]], backend: str
) -> Comparison:
    """What was drawn, and what other methods have in this folder. A pair that a method lacks is left out for all."""
    from stages.evaluate.comparison import Comparison

    settings: dict[str, Any] = {"fit": "pad"} if backend == "wan" else {}
    others = _other_methods(target, name, [pair.name for pair in pairs])
    methods = (*(_method(each, None, settings, name, clips) for each, clips in made.items() if clips), *others)
    lacking = {pair.name: [each.name for each in methods if pair.name not in each.results[name]] for pair in pairs}
    left_out = {clip: f"not in {', '.join(who)}" for clip, who in lacking.items() if who}
    clips = tuple(clip for clip, who in lacking.items() if not who)
    if not clips:
        raise InputError(f"{target}: no pair has a result of every method; {next(iter(left_out.items()))}")
    truths = {pair.name: pair.truth for pair in pairs if pair.truth is not None}
    return Comparison(
        path=target, methods=methods, truths={name: truths} if truths else {},
        photos={name: {pair.name: pair.ref for pair in pairs}}, clips={name: clips}, left_out={name: left_out},
        published={}, rule="all photos with all drivers" if not truths else "each driver's first frame is its photo",
    )  # fmt: skip


def _other_methods(target: Path, name: str, clips: list[str]) -> list[Method]:
    """Folders with results of the pairs that emosh did not draw now. A folder that is called like a preset has it."""
    from stages.evaluate.baselines import PRESETS
    from stages.evaluate.comparison import VIDEOS

    ours = {OURS, *(each.folder for each in CHOICES)}
    found = []
    for folder in sorted(each for each in target.iterdir() if each.is_dir()):
        if folder.name in (*OWN_FOLDERS, *ours) or folder.name.startswith("."):
            continue
        files = {each.stem: each for each in sorted(folder.iterdir()) if each.suffix.lower() in VIDEOS}
        results = {clip: files[clip] for clip in clips if clip in files}
        if results:
            preset = PRESETS.get(folder.name)
            found.append(_method(folder.name, preset, preset.settings if preset else {}, name, results))
    return found


def _method(label: str, preset: Any, settings: dict[str, Any], where: str, results: dict[str, Path]) -> Method:
    from stages.evaluate.comparison import Method

    return Method(label, preset, settings, preset.sizes if preset else (), {where: results})


def _write_study(run: Run, target: Path, comparison: Comparison, pairs: list[Pair], config: Any) -> None:
    """The page that asks people to compare the whole method with every other, if there is another."""
    from stages.evaluate.study_design import DRIVE, REF, study_of
    from stages.evaluate.study_page import write_study

    ((where, clips),) = comparison.clips.items()
    methods = {each.name: each.results[where] for each in comparison.methods}
    if len(methods) < 2 or OURS not in methods:
        run.console.note(
            f"no study page: put the results of another method into {target}/NAME, or draw one with --variant"
        )
        return
    found = {
        REF: {pair.name: pair.ref for pair in pairs if pair.name in clips},
        DRIVE: {pair.name: pair.drive for pair in pairs if pair.name in clips},
        **{name: {clip: results[clip] for clip in clips} for name, results in methods.items()},
    }
    design = study_of(found, target, OURS)
    page = target / STUDY
    write_study(page, page.with_suffix(".key.json"), design, config, 0, run.console.progress)
    run.console.note(
        f"{page}: {counted(len(design.pairs), 'pair')} to ask people about; its key is {page.stem}.key.json"
    )
