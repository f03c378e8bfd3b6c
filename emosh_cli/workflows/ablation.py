"""The paper's ablation: draws pairs with the full method and with one part switched off at a time (Table 4)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import REPORT, output_path
from emosh_cli.run import Run
from emosh_cli.workers.local import local_engine
from emosh_cli.workflows import animation, diffusion_model, tables
from emosh_cli.workflows.drawn_clips import DrawOptions, Pair, add_first_frame, draw_clips, require_section_names
from emosh_cli.workflows.pipeline import SECTIONS
from emosh_cli.workflows.variants import Variant, variants_for
from stages.artifacts.names import checked_utf8, refuse_links
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.evaluate.comparison import Comparison

SET_NAME = "pairs"


def ablate(run: Run, folder: Path, out: Path | None, options: DrawOptions, jobs: int) -> None:
    """Draw every pair with every variant, measure the videos, and write the table."""
    pairs = find_pairs(folder)
    target = output_path(out, REPORT, [], run.force, beside=folder.resolve(), ending="-ablation")
    beside = {name: target.with_suffix(suffix) for name, suffix in tables.OTHER_FORMATS.items()}
    tables.refuse_foreign_files(beside, target, run.force)
    name = animation.choose_backend(run, options.backend, options.choice)
    options = replace(options, backend=name)
    require_section_names(run.settings)
    configs = run.load_configs(("evaluate", *SECTIONS[name]))
    drawing = None
    if name == "wan":
        choice = options.choice
        model = diffusion_model.open_model(choice.model, choice.adapter, choice.device, run.console)
        drawing, _ = model.for_drawing(configs["render_cond"].drawing, choice.adapter)
    variants, left_out = variants_for(name, drawing)
    for variant, reason in left_out.items():
        run.console.note(f"left out: {variant}: {reason}")
    if run.dry_run:
        run.show_plan([*(f"{v.name}: {p.name}" for v in variants for p in pairs), f"-> {target}"], output=str(target))
        return
    work = target.with_suffix(".emosh")
    if work.is_file():
        raise InputError(f"{work} is a file; the videos of the variants need this path, so move the file")
    refuse_links(work)
    pairs = [add_first_frame(pair, work) for pair in pairs]
    drawn, failed = draw_clips(run, local_engine(1), pairs, variants, options, work)
    for what, why in failed.items():
        raise InputError(f"{what}: {why}")
    comparison = _comparison(folder, pairs, variants, drawn, name)
    planned = list(tables.clip_jobs(comparison, configs, options.body, work, run.force))
    records, remembered = tables.measure_clips(run, planned, jobs)
    notes = {f"variant {variant}": reason for variant, reason in left_out.items()}
    tables.write_tables(
        run, target, comparison, configs, planned, records, work, remembered, numbers=(4,), more_left_out=notes
    )


def find_pairs(folder: Path) -> list[Pair]:
    """The pairs in a folder, matched by file name. Raises InputError for no driving video, or one without a photo."""
    from stages.evaluate.comparison import PHOTOS, VIDEOS

    drives, refs = folder / "drive", folder / "ref"
    if not drives.is_dir():
        raise InputError(f"{folder} has no folder drive/; it needs drive/NAME.mp4 and, for other people, ref/NAME.png")
    videos = sorted(each for each in drives.iterdir() if each.suffix.lower() in VIDEOS)
    if not videos:
        raise InputError(f"{drives} holds no video ending in {' '.join(VIDEOS)}")
    for each in videos:
        checked_utf8(each)
    if not refs.is_dir():
        return [Pair(each.stem, each, each, each) for each in videos]
    photos = {each.stem: each for each in refs.iterdir() if each.suffix.lower() in PHOTOS}
    for each in videos:
        if each.stem not in photos:
            raise InputError(
                f"{each} has no photo {refs / each.stem}.png; add it, or remove the folder ref/ to use first frames"
            )
    return [Pair(each.stem, each, photos[each.stem], None) for each in videos]


def _comparison(
    folder: Path, pairs: list[Pair], variants: list[Variant], drawn: dict[str, dict[str, Path]], backend: str
) -> Comparison:
    """The variants as methods. The diffusion model pads the picture to its own size, so evaluate cuts that off."""
    from stages.evaluate.comparison import Comparison, Method

    settings: dict[str, Any] = {"fit": "pad"} if backend == "wan" else {}
    truths = {pair.name: pair.truth for pair in pairs if pair.truth is not None}
    return Comparison(
        path=folder,
        methods=tuple(Method(each.name, None, settings, (), {SET_NAME: drawn[each.name]}) for each in variants),
        truths={SET_NAME: truths} if truths else {},
        photos={SET_NAME: {pair.name: pair.ref for pair in pairs}},
        clips={SET_NAME: tuple(pair.name for pair in pairs)},
        left_out={SET_NAME: {}},
        published={},
        rule="file names of drive/ and ref/" if not truths else "file names; each driver's first frame is its photo",
    )
