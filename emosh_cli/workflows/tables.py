"""Compares the results of several methods over many clips, as the paper's tables: `emosh evaluate --table`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import REPORT, output_path, require_file
from emosh_cli.run import Run
from emosh_cli.terminal import visible
from stages.artifacts.leftovers import made_folder
from stages.artifacts.names import refuse_links
from stages.cores import usable_cores
from stages.counted import counted
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workers.clip_metrics import ClipJob
    from stages.evaluate.comparison import Comparison
    from stages.evaluate.tables import Table

OTHER_FORMATS = {"markdown": ".md", "latex": ".tex", "csv": ".csv", "plot": ".svg"}
FEW_CLIPS = 10
Records = dict[tuple[str, str], dict[str, dict[str, Any]]]
"""(method, set) -> clip -> record."""


def evaluate_table(run: Run, runs_file: Path, out: Path | None, body: str, jobs: int) -> None:
    """Measure every clip of every method. Write the tables as JSON, Markdown, LaTeX and CSV, and the curves as SVG."""
    from stages.evaluate.comparison import read_comparison

    require_file(runs_file, "a comparison.toml that names sets and methods")
    target = output_path(out, REPORT, [runs_file], run.force, beside=runs_file, ending="-tables")
    texts = {name: target.with_suffix(suffix) for name, suffix in OTHER_FORMATS.items()}
    refuse_foreign_files(texts, target, run.force)
    configs = run.load_configs(("evaluate", "track"))
    runs = read_comparison(runs_file)
    cache = target.with_suffix(".emosh")
    planned = list(clip_jobs(runs, configs, body, cache, run.force))
    if run.dry_run:
        run.show_plan([*(f"measure {each.describe()}" for each in planned), f"-> {target}"], output=str(target))
        return
    if cache.is_file():
        raise InputError(
            f"{cache} is a file; the measurements of {target} are kept in a folder of this name, so move the file"
        )
    refuse_links(cache)
    for name, clips in runs.left_out.items():
        for clip, why in clips.items():
            run.console.note(f"set {name}: clip {clip} is left out for all methods: {why}")
    with made_folder(cache):
        records, remembered = measure_clips(run, planned, jobs)
    write_tables(run, target, runs, configs, planned, records, cache, remembered)


def write_tables(
    run: Run,
    target: Path,
    runs: Comparison,
    configs: dict[str, Any],
    planned: list[ClipJob],
    records: Records,
    cache: Path,
    remembered: int,
    numbers: tuple[int, ...] | None = None,
    more_left_out: dict[str, str] | None = None,
) -> None:
    """Pool the features, build the tables, write all files, and print the Markdown on stderr."""
    from stages.evaluate.networks import chosen
    from stages.evaluate.table_text import comma_separated, latex, markdown

    used = chosen.available_networks(configs["evaluate"])
    pooled, sections, reasons_left_out = _pool_features(records, cache, configs["evaluate"])
    reasons_left_out = {figure: why for figure, why in reasons_left_out.items() if figure in used.files} | (
        more_left_out or {}
    )
    tables = _tables(runs, records, pooled, numbers)
    if not tables:
        raise InputError(
            f"{runs.path}: nothing could be measured; a set needs real videos, or photos and a face network"
        )
    about = _conditions(runs, configs, records, used, reasons_left_out)
    shown = markdown(tables, about)
    texts = {"markdown": shown, "latex": latex(tables), "csv": comma_separated(tables)}
    for name, text in texts.items():
        _write(target.with_suffix(OTHER_FORMATS[name]), text)
    _draw_curves(target.with_suffix(OTHER_FORMATS["plot"]), records)
    report = {
        "provenance": json.loads(_provenance(configs, planned, used.weights, runs)),
        "tables": [table.to_dict() for table in tables],
        "pooled": sections,
        "clips": [record for clips in records.values() for record in clips.values()],
        "clips_left_out": runs.left_out,
        "left_out": {**used.left_out, **reasons_left_out},
        "networks": used.files,
        "methods": {each.name: _method(each, configs["evaluate"]) for each in runs.methods},
        "pairing_of_clips": runs.rule,
        "protocol": _protocol(configs["evaluate"]),
    }
    _write(target, json.dumps({"kind": "tables", "schema": 1, **report}, indent=1, allow_nan=False) + "\n")
    if not run.console.quiet and not run.console.as_json:
        run.console.close()
        run.console.stderr.write(visible(shown))
    count = sum(len(clips) for clips in records.values())
    made = [str(target.with_suffix(suffix)) for suffix in OTHER_FORMATS.values()]
    run.done(
        target,
        f"{counted(count, 'clip')} measured, {remembered} of them remembered; also {', '.join(made)}",
        tables=made,
    )


def refuse_foreign_files(texts: dict[str, Path], target: Path, force: bool) -> None:
    """Raise InputError if one of `texts` exists without the report that emosh writes with them."""
    for path in texts.values():
        if path.exists() and not target.exists() and not force:
            raise InputError(
                f"{path} exists and emosh did not write it; overwrite it with --force, or choose another -o"
            )


# ---- jobs
def clip_jobs(runs: Comparison, configs: dict[str, Any], body: str, cache: Path, remeasure: bool) -> Iterator[ClipJob]:
    """One job per clip and method. `remeasure`: do not use remembered figures."""
    from emosh_cli.workers.clip_metrics import ClipJob
    from stages.artifacts.provenance import code_digest
    from stages.evaluate.networks import chosen

    networks = tuple(sorted(chosen.available_networks(configs["evaluate"]).weights.items()))
    for method in runs.methods:
        config = method.config(configs["evaluate"])
        for where, results in method.results.items():
            for clip in runs.clips[where]:
                photo = runs.photos.get(where, {}).get(clip)
                yield ClipJob(
                    method.name, where, clip, results[clip], runs.truths.get(where, {}).get(clip), photo, method.sizes,
                    method.baseline.note if method.baseline else "", config, configs["track"], body,
                    photo is not None and config.shape_frames > 0,
                    cache, code_digest(), networks, remeasure,
                )  # fmt: skip


def measure_clips(run: Run, planned: list[ClipJob], jobs: int) -> tuple[Records, int]:
    """All records, and how many were remembered. A clip that cannot be measured ends the run; the others are kept."""
    from emosh_cli.workers.clip_metrics import measure_quietly
    from emosh_cli.workers.local import local_engine, run_jobs

    records: Records = {}
    remembered = 0
    engine = local_engine(jobs or usable_cores())
    with run_jobs(engine, measure_quietly, planned, run.console.progress, "clips measured") as finished:
        for job, found in finished:
            if found is None:
                raise InputError(
                    f"{job.describe()}: the process that measured it was killed three times, probably for lack of "
                    "memory; finished clips are kept: run it again with fewer processes, for example --jobs 1"
                )
            record, was_there = found
            own = {**record, "method": job.method, "set": job.where, "clip": job.clip}  # equal files share a record
            records.setdefault((job.method, job.where), {})[job.clip] = own
            remembered += was_there
    order = {(each.method, each.where, each.clip): number for number, each in enumerate(planned)}
    return {
        key: dict(sorted(clips.items(), key=lambda each: order[(*key, each[0])]))
        for key, clips in sorted(records.items(), key=lambda each: min(order[(*each[0], clip)] for clip in each[1]))
    }, remembered


# ---- tables
def _pool_features(
    records: Records, cache: Path, config: Any
) -> tuple[dict[tuple[str, str], dict[str, float]], dict[str, Any], dict[str, str]]:
    """FID and FVD by method and set: values for the tables, sections for the report, reasons for missing figures."""
    from emosh_cli.workers.clip_metrics import load_features
    from stages.evaluate.distribution import frechet_section

    values: dict[tuple[str, str], dict[str, float]] = {}
    sections: dict[str, Any] = {}
    reasons_left_out: dict[str, str] = {}
    for (method, where), clips in records.items():
        rows = [load_features(cache, record) for record in clips.values()]
        for figure in ("fid", "fvd"):
            pairs = [
                (each[figure], each[f"truth_{figure}"]) for each in rows if {figure, f"truth_{figure}"} <= set(each)
            ]
            section, why = frechet_section(figure, [a for a, _ in pairs], [b for _, b in pairs], config.fvd_least_clips)
            if section is None:
                reasons_left_out[figure] = why
                continue
            values.setdefault((method, where), {})[figure] = section["value"]
            sections.setdefault(method, {}).setdefault(where, {})[figure] = section
    return values, sections, reasons_left_out


def _tables(
    runs: Comparison, records: Records, pooled: dict[tuple[str, str], dict[str, float]], numbers: tuple[int, ...] | None
) -> list[Table]:
    from stages.evaluate.tables import TABLES, build_table

    figures = {key: {clip: each["figures"] for clip, each in clips.items()} for key, clips in records.items()}
    methods = [each.name for each in runs.methods]
    wanted = numbers or tuple(number for number in TABLES if number != 4)
    built = [build_table(n, methods, list(runs.clips), figures, pooled, runs.published) for n in wanted]
    return [table for table in built if table is not None]


def _draw_curves(path: Path, records: Records) -> None:
    """Fig. 8: colour and identity over time, one line per method."""
    from stages.evaluate.curves import draw_mean_curves
    from stages.evaluate.plot import Curve

    curves: dict[str, dict[str, dict[str, list[Curve]]]] = {}
    for (method, where), clips in records.items():
        for record in clips.values():
            for figure, (seconds, values) in record["curves"].items():
                lines = curves.setdefault(where, {}).setdefault(figure, {})
                lines.setdefault(method, []).append(Curve(seconds, values))
    draw_mean_curves(path, curves)


def _conditions(
    runs: Comparison, configs: dict[str, Any], records: Records, used: Any, reasons_left_out: dict[str, str]
) -> list[str]:
    """The conditions of the measurement, as a list under the tables."""
    from stages.evaluate.conditions import versions
    from stages.evaluate.protocols import protocol

    config = configs["evaluate"]
    recipe = protocol(config.protocol)
    lines = [
        f"protocol {config.protocol}: {recipe.rules}; resize kernel {recipe.resize_kernel}; size {config.size}",
        f"clips paired by {runs.rule}; a cell is the mean over clips of each clip's mean; in brackets its 95 % "
        "interval, bootstrapped over clips; bold: the best method",
        "clips: " + ", ".join(f"{where} {len(clips)}" for where, clips in runs.clips.items())
        + "; frames compared: "
        + ", ".join(f"{m} on {w} {sum(r['frames'] for r in c.values())}" for (m, w), c in records.items()),
    ]  # fmt: skip
    lines += without_frame_0(records)
    few = [f"{where} ({len(clips)})" for where, clips in runs.clips.items() if len(clips) < FEW_CLIPS]
    lines += (
        [f"few clips: {', '.join(few)}; a bootstrap interval over fewer than {FEW_CLIPS} clips is too narrow"]
        if few
        else []
    )
    for method in runs.methods:
        own = method.config(config)
        preset = "" if method.baseline is None else f"; {method.baseline.source}"
        lines.append(f"{method.name}: fit {own.fit}, pairing {own.pairing}, stride {own.stride}{preset}")
    lossy = sorted({text for clips in records.values() for each in clips.values() for text in each["lossy"]})
    lines += [f"codec: {text}" for text in lossy]
    lines += [f"left out: {figure}: {why}" for figure, why in {**used.left_out, **reasons_left_out}.items()]
    left = [f"{where}/{clip} ({why})" for where, clips in runs.left_out.items() for clip, why in clips.items()]
    lines += [f"clips left out: {', '.join(left)}"] if left else []
    lines += [
        f"{figure}: {each['what']}, sha256 {each['sha256']}" for figure, files in used.files.items() for each in files
    ]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    return lines


def without_frame_0(records: Records) -> list[str]:
    """The picture figures without frame 0 of each clip, which is the reference itself in a self-driven run."""
    from stages.evaluate.tables import PICTURES

    lines = []
    for (method, where), clips in records.items():
        texts = []
        for figure in PICTURES:
            values = [v for r in clips.values() if (v := r["figures"].get(f"{figure.key}_without_frame_0")) is not None]
            if values:
                texts.append(f"{figure.label} {figure.text(sum(values) / len(values))}")
        lines += [f"without frame 0, {method} on {where}: {', '.join(texts)}"] if texts else []
    return lines


def _method(method: Any, common: Any) -> dict[str, Any]:
    from stages.artifacts.provenance import config_dict

    return {
        "preset": None if method.baseline is None else method.baseline.title,
        "source": None if method.baseline is None else method.baseline.source,
        "sizes": [list(size) for size in method.sizes],
        "config": config_dict(method.config(common)),
    }


def _protocol(config: Any) -> dict[str, Any]:
    from stages.evaluate.protocols import protocol

    recipe = protocol(config.protocol)
    return {"name": config.protocol, "rules": recipe.rules, "resize_kernel": recipe.resize_kernel,
            "definitions": recipe.definitions}  # fmt: skip


def _provenance(configs: dict[str, Any], planned: list[ClipJob], weights: dict[str, str], runs: Comparison) -> str:
    from emosh_cli.workers.clip_metrics import job_notes
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    config = {section: config_dict(value) for section, value in configs.items()}
    inputs = {"runs": sha256_file(runs.path)} if runs.path.is_file() else {}
    return Provenance(
        "evaluate", config, inputs, weights, notes={"clips": [job_notes(each) for each in planned]}
    ).to_json()


def _write(path: Path, text: str) -> None:
    from stages.artifacts.atomic import atomic_path

    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
