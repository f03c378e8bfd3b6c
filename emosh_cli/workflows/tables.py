"""Several methods' results over many clips, as the paper's tables: what `emosh evaluate --table` does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import REPORT, need, settle
from emosh_cli.run import Run
from emosh_cli.terminal import visible
from stages.artifacts.names import refuse_links
from stages.cores import usable_cores
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workers.clip_metrics import ClipJob
    from stages.evaluate.comparison import Comparison
    from stages.evaluate.tables import Table

BESIDE = {"markdown": ".md", "latex": ".tex", "csv": ".csv", "plot": ".svg"}
FEW_CLIPS = 10
Records = dict[tuple[str, str], dict[str, dict[str, Any]]]
"""(method, set) -> clip -> record."""


def evaluate_table(run: Run, runs_file: Path, out: Path | None, body: str, jobs: int) -> None:
    """Measure every clip of every method, and write the tables as JSON, Markdown, LaTeX and CSV, and the curves."""
    from stages.evaluate.comparison import read_comparison

    need(runs_file, "a comparison.toml that names sets and methods")
    target = settle(out, REPORT, [runs_file], run.force, beside=runs_file, ending="-tables")
    texts = {name: target.with_suffix(suffix) for name, suffix in BESIDE.items()}
    refuse_foreign(texts, target, run.force)
    configs = run.configured_all(("evaluate", "track"))
    runs = read_comparison(runs_file)
    cache = target.with_suffix(".emosh")
    planned = list(clip_jobs(runs, configs, body, cache, run.force))
    if run.dry_run:
        run.planned([*(f"measure {each.describe()}" for each in planned), f"-> {target}"], output=str(target))
        return
    if cache.is_file():
        raise InputError(f"{cache} is a file; it must be free for what is remembered of {target}")
    refuse_links(cache)
    cache.mkdir(exist_ok=True)
    for name, clips in runs.left_out.items():
        for clip, why in clips.items():
            run.console.note(f"set {name}: clip {clip} is left out for all methods: {why}")
    records, remembered = measured(run, planned, jobs)
    finish(run, target, runs, configs, planned, records, cache, remembered)


def finish(
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
    """Pool, build the tables, write all files, and show the Markdown."""
    from stages.evaluate.networks import chosen
    from stages.evaluate.table_text import comma_separated, latex, markdown

    used = chosen.available_networks(configs["evaluate"])
    pooled, sections, why_not = _pooled(records, cache, configs["evaluate"])
    why_not = {figure: why for figure, why in why_not.items() if figure in used.files} | (more_left_out or {})
    tables = _tables(runs, records, pooled, numbers)
    if not tables:
        raise InputError(f"{runs.path}: nothing could be measured; a set needs truth, or photos and a face network")
    about = _about(runs, configs, records, used, why_not)
    shown = markdown(tables, about)
    texts = {"markdown": shown, "latex": latex(tables), "csv": comma_separated(tables)}
    for name, text in texts.items():
        _write(target.with_suffix(BESIDE[name]), text)
    _draw(target.with_suffix(BESIDE["plot"]), records)
    report = {
        "provenance": json.loads(_provenance(configs, planned, used.weights, runs)),
        "tables": [table.to_dict() for table in tables],
        "pooled": sections,
        "clips": [record for clips in records.values() for record in clips.values()],
        "clips_left_out": runs.left_out,
        "left_out": {**used.left_out, **why_not},
        "networks": used.files,
        "methods": {each.name: _method(each, configs["evaluate"]) for each in runs.methods},
        "pairing_of_clips": runs.rule,
        "protocol": _protocol(configs["evaluate"]),
    }
    _write(target, json.dumps({"kind": "tables", "schema": 1, **report}, indent=1, allow_nan=False) + "\n")
    if not run.console.quiet and not run.console.as_json:
        run.console.close()
        run.console.talk.write(visible(shown))
    count = sum(len(clips) for clips in records.values())
    made = [str(target.with_suffix(suffix)) for suffix in BESIDE.values()]
    run.done(target, f"{count} clips measured, {remembered} of them remembered; also {', '.join(made)}", tables=made)


def refuse_foreign(texts: dict[str, Path], target: Path, force: bool) -> None:
    """Beside a report that emosh wrote lie its own texts; anything else there is somebody's."""
    for path in texts.values():
        if path.exists() and not target.exists() and not force:
            raise InputError(
                f"{path} exists and emosh did not write it; overwrite it with --force, or choose another -o"
            )


# ---- jobs
def clip_jobs(runs: Comparison, configs: dict[str, Any], body: str, cache: Path, fresh: bool) -> Iterator[ClipJob]:
    """A job for every clip of every method; `fresh`: measured again though remembered."""
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
                    cache, code_digest(), networks, fresh,
                )  # fmt: skip


def measured(run: Run, planned: list[ClipJob], jobs: int) -> tuple[Records, int]:
    """Every record, and how many were remembered. A clip that cannot be measured ends the run; what was made stays."""
    from emosh_cli.workers.clip_metrics import run_quietly
    from emosh_cli.workers.local import local, results

    records: Records = {}
    remembered = 0
    engine = local(jobs or usable_cores())
    for job, found in results(engine, run_quietly, planned, run.console.progress, "clips measured"):
        if found is None:
            raise InputError(
                f"{job.describe()}: the process that measured it was killed again and again, most likely for want of "
                "memory; what was measured is kept: run it again with fewer, for example --jobs 1"
            )
        record, was_there = found
        records.setdefault((record["method"], record["set"]), {})[record["clip"]] = record
        remembered += was_there
    order = {(each.method, each.where, each.clip): number for number, each in enumerate(planned)}
    return {
        key: dict(sorted(clips.items(), key=lambda each: order[(*key, each[0])]))
        for key, clips in sorted(records.items(), key=lambda each: min(order[(*each[0], clip)] for clip in each[1]))
    }, remembered


# ---- tables
def _pooled(
    records: Records, cache: Path, config: Any
) -> tuple[dict[tuple[str, str], dict[str, float]], dict[str, Any], dict[str, str]]:
    """FID and FVD by method and set: values for the tables, sections for the report, and what was left out."""
    from emosh_cli.workers.clip_metrics import features
    from stages.evaluate.distribution import frechet_section

    values: dict[tuple[str, str], dict[str, float]] = {}
    sections: dict[str, Any] = {}
    why_not: dict[str, str] = {}
    for (method, where), clips in records.items():
        rows = [features(cache, record) for record in clips.values()]
        for figure in ("fid", "fvd"):
            pairs = [
                (each[figure], each[f"truth_{figure}"]) for each in rows if {figure, f"truth_{figure}"} <= set(each)
            ]
            section, why = frechet_section(figure, [a for a, _ in pairs], [b for _, b in pairs], config.fvd_least_clips)
            if section is None:
                why_not[figure] = why
                continue
            values.setdefault((method, where), {})[figure] = section["value"]
            sections.setdefault(method, {}).setdefault(where, {})[figure] = section
    return values, sections, why_not


def _tables(
    runs: Comparison, records: Records, pooled: dict[tuple[str, str], dict[str, float]], numbers: tuple[int, ...] | None
) -> list[Table]:
    from stages.evaluate.tables import TABLES, build_table

    figures = {key: {clip: each["figures"] for clip, each in clips.items()} for key, clips in records.items()}
    methods = [each.name for each in runs.methods]
    wanted = numbers or tuple(number for number in TABLES if number != 4)
    built = [build_table(n, methods, list(runs.clips), figures, pooled, runs.published) for n in wanted]
    return [table for table in built if table is not None]


def _draw(path: Path, records: Records) -> None:
    """Fig. 8: colour and identity over time, a line a method."""
    from stages.evaluate.curves import draw_mean_curves
    from stages.evaluate.plot import Curve

    curves: dict[str, dict[str, dict[str, list[Curve]]]] = {}
    for (method, where), clips in records.items():
        for record in clips.values():
            for figure, (seconds, values) in record["curves"].items():
                lines = curves.setdefault(where, {}).setdefault(figure, {})
                lines.setdefault(method, []).append(Curve(seconds, values))
    draw_mean_curves(path, curves)


def _about(
    runs: Comparison, configs: dict[str, Any], records: Records, used: Any, why_not: dict[str, str]
) -> list[str]:
    """What a reader of the tables must know, in a list under them."""
    from stages.evaluate.conditions import versions
    from stages.evaluate.protocols import protocol

    config = configs["evaluate"]
    recipe = protocol(config.protocol)
    lines = [
        f"protocol {config.protocol}: {recipe.rules}; resize kernel {recipe.resize_kernel}; size {config.size}",
        f"clips paired by {runs.rule}; a cell is the mean over clips of a clip's mean; in brackets its 95 % interval, "
        "bootstrapped over clips; bold is the best",
        "clips: " + ", ".join(f"{where} {len(clips)}" for where, clips in runs.clips.items())
        + "; frames compared: "
        + ", ".join(f"{m} on {w} {sum(r['frames'] for r in c.values())}" for (m, w), c in records.items()),
    ]  # fmt: skip
    lines += without_frame_0(records)
    few = [f"{where} ({len(clips)})" for where, clips in runs.clips.items() if len(clips) < FEW_CLIPS]
    lines += [f"few clips: {', '.join(few)}; a bootstrap over fewer than {FEW_CLIPS} is too narrow"] if few else []
    for method in runs.methods:
        own = method.config(config)
        preset = "" if method.baseline is None else f"; {method.baseline.source}"
        lines.append(f"{method.name}: fit {own.fit}, pairing {own.pairing}, stride {own.stride}{preset}")
    lossy = sorted({said for clips in records.values() for each in clips.values() for said in each["lossy"]})
    lines += [f"codec: {said}" for said in lossy]
    lines += [f"left out: {figure}: {why}" for figure, why in {**used.left_out, **why_not}.items()]
    left = [f"{where}/{clip} ({why})" for where, clips in runs.left_out.items() for clip, why in clips.items()]
    lines += [f"clips left out: {', '.join(left)}"] if left else []
    lines += [
        f"{figure}: {each['what']}, sha256 {each['sha256']}" for figure, files in used.files.items() for each in files
    ]
    lines.append("versions: " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    return lines


def without_frame_0(records: Records) -> list[str]:
    """The picture figures again without each clip's first frame, which in a self-driven run is the reference itself."""
    from stages.evaluate.tables import PICTURES

    lines = []
    for (method, where), clips in records.items():
        said = []
        for figure in PICTURES:
            values = [v for r in clips.values() if (v := r["figures"].get(f"{figure.key}_without_frame_0")) is not None]
            if values:
                said.append(f"{figure.label} {figure.text(sum(values) / len(values))}")
        lines += [f"without frame 0, {method} on {where}: {', '.join(said)}"] if said else []
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
    from emosh_cli.workers.clip_metrics import as_dict
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    config = {section: config_dict(value) for section, value in configs.items()}
    inputs = {"runs": sha256_file(runs.path)} if runs.path.is_file() else {}
    return Provenance(
        "evaluate", config, inputs, weights, notes={"clips": [as_dict(each) for each in planned]}
    ).to_json()


def _write(path: Path, text: str) -> None:
    from stages.artifacts.atomic import atomic_path

    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
