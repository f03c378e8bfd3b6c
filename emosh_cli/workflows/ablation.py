"""The paper's ablation: a set of pairs drawn whole and with one switch off at a time, and Table 4 of what each costs.

Three switches are generate's own. The fourth here is the tracker's face and hand gates, the switch that the tracker
calls the ablation. No text at hand names the fourth switch of the paper's Table 4, beside SAC, hybrid motion and
disentanglement.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.outputs import REPORT, settle
from emosh_cli.run import Run
from emosh_cli.workflows import animation, tables
from emosh_cli.workflows.animation import ModelChoice, Request
from emosh_cli.workflows.pipeline import SECTIONS
from stages.artifacts.names import checked_utf8, refuse_links
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.evaluate.comparison import Comparison

SET = "pairs"


@dataclass(frozen=True)
class Variant:
    """One row of Table 4. `flags` are settings by section; without `gates` the driver is tracked with those off."""

    name: str
    folder: str
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    gates: bool = True
    only: str | None = None
    """The one backend that has the switch; None: both."""
    why: str = ""
    """Why the other backend does not."""


FULL = Variant("full", "full")
VARIANTS = (
    FULL,
    Variant("without SAC", "no-sac", {"wan": {"sac": False}}, only="wan", why="only the diffusion model has an anchor"),
    Variant("without hybrid motion", "no-hybrid", {"render_cond": {"hybrid": False}}, only="wan",
            why="the puppet is posed by the motion itself and reads no condition map"),
    Variant("without disentanglement", "no-disentangle", {"retarget": {"disentangle": False}}, only="wan",
            why="the puppet is cut from the photo and has its shape always"),
    Variant("without tracker gates", "no-gates", gates=False),
)  # fmt: skip


def for_backend(backend: str) -> tuple[list[Variant], dict[str, str]]:
    """The variants that a backend can draw, and why the others are left out."""
    able = [each for each in VARIANTS if each.only in (None, backend)]
    return able, {each.name: each.why for each in VARIANTS if each not in able}


def gates_off() -> tuple[str, ...]:
    """The value of track.gates_off for the variant without gates."""
    from stages.detect.gates import HAND_RULES

    return ("face turned away", "face off the body", *HAND_RULES)


@dataclass(frozen=True)
class Pair:
    """One driver and the photo it drives; `truth` is the driver where the photo is its own first frame."""

    name: str
    drive: Path
    ref: Path
    truth: Path | None


@dataclass(frozen=True)
class Drawing:
    """How every variant is drawn."""

    backend: str
    body: str
    choice: ModelChoice
    seed: int | None


def ablate(run: Run, folder: Path, out: Path | None, drawing: Drawing, jobs: int) -> None:
    """Draw every pair with every variant, measure the videos, and write the table."""
    from stages.body.store import home
    from stages.generate.backends import choose

    pairs = found_pairs(folder)
    target = settle(out, REPORT, [], run.force, beside=folder.resolve(), ending="-ablation")
    beside = {name: target.with_suffix(suffix) for name, suffix in tables.BESIDE.items()}
    tables.refuse_foreign(beside, target, run.force)
    name, why = choose(drawing.backend, home(), drawing.choice.model is not None, drawing.choice.device)
    run.console.note(f"backend: {name}, {why}")
    drawing = replace(drawing, backend=name)
    _refuse_nameless(run.settings)
    configs = run.configured_all(("evaluate", *SECTIONS[name]))
    variants, left_out = for_backend(name)
    for variant, reason in left_out.items():
        run.console.note(f"left out: {variant}: {reason}")
    if run.dry_run:
        run.planned([*(f"{v.name}: {p.name}" for v in variants for p in pairs), f"-> {target}"], output=str(target))
        return
    work = target.with_suffix(".emosh")
    if work.is_file():
        raise InputError(f"{work} is a file; it must be free for the variants' videos")
    refuse_links(work)
    pairs = [_with_photo(pair, work) for pair in pairs]
    drawn = _drawn(run, pairs, variants, drawing, work)
    comparison = _comparison(folder, pairs, variants, drawn, name)
    planned = list(tables.clip_jobs(comparison, configs, drawing.body, work, run.force))
    records, remembered = tables.measured(run, planned, jobs)
    notes = {f"variant {variant}": reason for variant, reason in left_out.items()}
    tables.finish(
        run, target, comparison, configs, planned, records, work, remembered, numbers=(4,), more_left_out=notes
    )


def found_pairs(folder: Path) -> list[Pair]:
    """By the drivers' names. Raises InputError for a folder without drivers, or a driver without its photo."""
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
                f"{each} has no photo {refs / each.stem}.png; every driver needs one, or none has a ref folder"
            )
    return [Pair(each.stem, each, photos[each.stem], None) for each in videos]


def _refuse_nameless(settings: list[str]) -> None:
    """Refuse --set without a section, since both what draws and what measures read settings."""
    for text in settings:
        if "." not in text.partition("=")[0]:
            raise InputError(f"--set {text}: name its section here, for example evaluate.size=256 or puppet.size=256")


def _with_photo(pair: Pair, work: Path) -> Pair:
    """Its photo: the driver's first frame where people drive themselves."""
    from stages.video.png import write_png
    from stages.video.source import read_frames

    if pair.truth is None:
        return pair
    photo = work / "photos" / f"{pair.name}.png"
    photo.parent.mkdir(parents=True, exist_ok=True)
    write_png(photo, next(iter(read_frames(pair.drive))).rgb)
    return replace(pair, ref=photo)


def _drawn(
    run: Run, pairs: list[Pair], variants: list[Variant], drawing: Drawing, work: Path
) -> dict[str, dict[str, Path]]:
    """Variant -> pair -> video, each drawn from the driver's motion; what is up to date is kept."""
    made: dict[str, dict[str, Path]] = {each.name: {} for each in variants}
    done, total = 0, len(pairs) * len(variants)
    for pair in pairs:
        for variant in variants:
            video = work / variant.folder / f"{pair.name}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            try:
                motion = _tracked(run, pair, variant, drawing, work)
                _draw(run, pair, variant, drawing, motion, video)
            except InputError as error:
                raise InputError(f"{variant.name}, pair {pair.name}: {error}") from error
            made[variant.name][pair.name] = video
            done += 1
            run.console.progress("variants drawn", done, total)
    return made


def _draw(run: Run, pair: Pair, variant: Variant, drawing: Drawing, motion: Path, video: Path) -> None:
    """As `emosh generate` does it, without a word."""
    from stages.artifacts.motion import load_motion

    flags = {**variant.flags}
    if drawing.seed is not None:
        flags["wan"] = {**flags.get("wan", {}), "seed": drawing.seed}
    request = Request(pair.ref, video, drawing.backend, drawing.body, flags, drawing.choice)
    pipeline = animation.open_pipeline(_silent(run, "generate"), request)
    animation.generate_from_motion(pipeline, motion, load_motion(motion), pair.drive)


def _tracked(run: Run, pair: Pair, variant: Variant, drawing: Drawing, work: Path) -> Path:
    """The driver's motion with the variant's gates, tracked once: its name holds what it was made from."""
    from emosh_cli.workflows.tracking import tracked
    from stages.artifacts.motion import save_motion
    from stages.artifacts.provenance import Provenance, code_digest, config_dict, sha256_file

    silent = _silent(run, "track")
    config = silent.configured("track", gates_off=None if variant.gates else gates_off())
    weights = {"code": code_digest(), "body": drawing.body}
    made_of = Provenance("track", config_dict(config), {"video": sha256_file(pair.drive)}, weights)
    motion = work / "motions" / f"{pair.name}-{made_of.fingerprint()[:16]}.npz"
    if not motion.is_file() or run.force:
        motion.parent.mkdir(parents=True, exist_ok=True)
        save_motion(motion, tracked(silent, pair.drive, drawing.body, config))
    return motion


def _silent(run: Run, name: str) -> Run:
    """The same settings for one step, without evaluate's own and without talk."""
    sections = ("track",) if name == "track" else {each for sections in SECTIONS.values() for each in sections}
    own = [text for text in run.settings if text.partition("=")[0].strip().partition(".")[0] in sections]
    return Run(name, Console(quiet=True, talk=run.console.talk), run.config, own, force=run.force)


def _comparison(
    folder: Path, pairs: list[Pair], variants: list[Variant], drawn: dict[str, dict[str, Path]], backend: str
) -> Comparison:
    """The variants as methods. The diffusion model fits the driver's picture into its square, so that is cut back."""
    from stages.evaluate.comparison import Comparison, Method

    settings: dict[str, Any] = {"fit": "pad"} if backend == "wan" else {}
    truths = {pair.name: pair.truth for pair in pairs if pair.truth is not None}
    return Comparison(
        path=folder,
        methods=tuple(Method(each.name, None, settings, (), {SET: drawn[each.name]}) for each in variants),
        truths={SET: truths} if truths else {},
        photos={SET: {pair.name: pair.ref for pair in pairs}},
        clips={SET: tuple(pair.name for pair in pairs)},
        left_out={SET: {}},
        published={},
        rule="file names of drive/ and ref/" if not truths else "file names; each driver's first frame is its photo",
    )
