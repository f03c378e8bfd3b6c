"""The paper's ablation: draws pairs with the full method and with one part switched off at a time (Table 4).

Three parts are options of `emosh generate`: SAC, hybrid motion and disentanglement. The fourth is the tracker: motion
straight from the detector's estimates, without the joint fit. A row of our own leaves out its face and hand gates.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.outputs import REPORT, output_path
from emosh_cli.run import Run
from emosh_cli.workflows import animation, diffusion_model, tables
from emosh_cli.workflows.animation import ModelChoice, Request
from emosh_cli.workflows.pipeline import SECTIONS
from stages.artifacts.names import checked_utf8, refuse_links
from stages.drawing.names import MESH
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.evaluate.comparison import Comparison

SET_NAME = "pairs"


@dataclass(frozen=True)
class Variant:
    """One row of Table 4. `flags` are settings by section. With `gates` False, the tracker's gates are off."""

    name: str
    folder: str
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    gates: bool = True
    solver: str | None = None
    """The tracker's solver, if not the one of the settings."""
    only: str | None = None
    """The only backend, or the only drawing, that has this part; None: all."""
    why: str = ""
    """Why the others do not have it."""


FULL = Variant("full", "full")
VARIANTS = (
    FULL,
    Variant("without SAC", "no-sac", {"wan": {"sac": False}}, only=MESH,
            why="only a model that reads the mesh was trained with it"),
    Variant("without hybrid motion", "no-hybrid", {"render_cond": {"hybrid": False}}, only=MESH,
            why="only the mesh has key lines"),
    Variant("without disentanglement", "no-disentangle", {"retarget": {"disentangle": False}}, only="wan",
            why="the puppet is cut from the photo and always has the shape in the photo"),
    Variant("without tracker", "no-tracker", solver="none"),
    Variant("without tracker gates", "no-gates", gates=False),
)  # fmt: skip


def variants_for(backend: str, drawing: str | None) -> tuple[list[Variant], dict[str, str]]:
    """The variants that a backend can draw with this drawing, and the reason for each other (name -> reason)."""
    usable = [each for each in VARIANTS if each.only in (None, backend, drawing)]
    return usable, {each.name: each.why for each in VARIANTS if each not in usable}


def all_gates() -> tuple[str, ...]:
    """The names of all gates of face and hands: the value of track.gates_off for the variant without gates."""
    from stages.detect.gates import HAND_RULES

    return ("face turned away", "face upside down", "face off the body", *HAND_RULES)


@dataclass(frozen=True)
class Pair:
    """A driving video and a photo. `truth` is the driving video if the photo is its own first frame."""

    name: str
    drive: Path
    ref: Path
    truth: Path | None


@dataclass(frozen=True)
class DrawOptions:
    """Options that are the same for every variant."""

    backend: str
    body: str
    choice: ModelChoice
    seed: int | None


def ablate(run: Run, folder: Path, out: Path | None, options: DrawOptions, jobs: int) -> None:
    """Draw every pair with every variant, measure the videos, and write the table."""
    pairs = find_pairs(folder)
    target = output_path(out, REPORT, [], run.force, beside=folder.resolve(), ending="-ablation")
    beside = {name: target.with_suffix(suffix) for name, suffix in tables.OTHER_FORMATS.items()}
    tables.refuse_foreign_files(beside, target, run.force)
    name = animation.choose_backend(run, options.backend, options.choice)
    options = replace(options, backend=name)
    _require_section_names(run.settings)
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
    pairs = [_add_photo(pair, work) for pair in pairs]
    drawn = _draw_variants(run, pairs, variants, options, work)
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


def _require_section_names(settings: list[str]) -> None:
    """Raise InputError for a --set without a section: drawing and measuring have settings of the same name."""
    for text in settings:
        if "." not in text.partition("=")[0]:
            raise InputError(f"--set {text}: name its section here, for example evaluate.size=256 or puppet.size=256")


def _add_photo(pair: Pair, work: Path) -> Pair:
    """The pair with its photo. Without a ref folder the photo is the first frame of the driving video."""
    from stages.video.png import write_png
    from stages.video.source import read_frames

    if pair.truth is None:
        return pair
    photo = work / "photos" / f"{pair.name}.png"
    photo.parent.mkdir(parents=True, exist_ok=True)
    write_png(photo, next(iter(read_frames(pair.drive))).rgb)
    return replace(pair, ref=photo)


def _draw_variants(
    run: Run, pairs: list[Pair], variants: list[Variant], options: DrawOptions, work: Path
) -> dict[str, dict[str, Path]]:
    """Draw all videos that are not up to date. Returns variant -> pair -> video."""
    made: dict[str, dict[str, Path]] = {each.name: {} for each in variants}
    done, total = 0, len(pairs) * len(variants)
    for pair in pairs:
        for variant in variants:
            video = work / variant.folder / f"{pair.name}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            try:
                motion = _track_driver(run, pair, variant, options, work)
                _draw(run, pair, variant, options, motion, video)
            except InputError as error:
                raise InputError(f"{variant.name}, pair {pair.name}: {error}") from error
            made[variant.name][pair.name] = video
            done += 1
            run.console.progress("variants drawn", done, total)
    return made


def _draw(run: Run, pair: Pair, variant: Variant, options: DrawOptions, motion: Path, video: Path) -> None:
    """Draw one video as `emosh generate` does, without messages."""
    from stages.artifacts.motion import load_motion

    flags = {**variant.flags}
    if options.seed is not None:
        flags["wan"] = {**flags.get("wan", {}), "seed": options.seed}
    request = Request(pair.ref, video, options.backend, options.body, flags, options.choice)
    pipeline = animation.open_pipeline(_silent_run(run, "generate"), request)
    animation.generate_from_motion(pipeline, motion, load_motion(motion), pair.drive)


def _track_driver(run: Run, pair: Pair, variant: Variant, options: DrawOptions, work: Path) -> Path:
    """The driver's motion with the variant's tracker, tracked once. The file name has the fingerprint of its inputs."""
    from emosh_cli.workflows.tracking import track_source
    from stages.artifacts.motion import save_motion
    from stages.artifacts.provenance import Provenance, code_digest, config_dict, sha256_file

    silent_run = _silent_run(run, "track")
    gates_off = None if variant.gates else all_gates()
    config = silent_run.load_config("track", solver=variant.solver, gates_off=gates_off)
    weights = {"code": code_digest(), "body": options.body}
    made_of = Provenance("track", config_dict(config), {"video": sha256_file(pair.drive)}, weights)
    motion = work / "motions" / f"{pair.name}-{made_of.fingerprint()[:16]}.npz"
    if not motion.is_file() or run.force:
        motion.parent.mkdir(parents=True, exist_ok=True)
        save_motion(motion, track_source(silent_run, pair.drive, options.body, config))
    return motion


def _silent_run(run: Run, name: str) -> Run:
    """A Run for one step: the same settings without those of evaluate, and no messages."""
    sections = ("track",) if name == "track" else {each for sections in SECTIONS.values() for each in sections}
    own = [text for text in run.settings if text.partition("=")[0].strip().partition(".")[0] in sections]
    return Run(name, Console(quiet=True, stderr=run.console.stderr), run.config, own, force=run.force)


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
