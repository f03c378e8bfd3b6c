"""Draws clips that are measured afterwards: every source is tracked once, then each pair is drawn with each variant.

All are jobs that any process may run at any time: what is up to date is not made again. A process that draws with the
diffusion model loads its networks once. A pair that cannot be drawn is left out with the reason, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emosh_cli.console import Console
from emosh_cli.run import Run
from emosh_cli.workers.local import DIED_MESSAGE, Engine, run_jobs
from emosh_cli.workflows import animation
from emosh_cli.workflows.animation import ModelChoice, Request
from emosh_cli.workflows.pipeline import SECTIONS, Pipeline
from emosh_cli.workflows.variants import Variant, all_gates
from stages.errors import InputError
from stages.generate.wan.kept_models import KeptModels

if TYPE_CHECKING:
    from stages.track.config import TrackConfig

MOTIONS, REFERENCES = "motions", "references"
"""Folders of the motions of driving videos and of photos."""
KEPT = KeptModels()
"""The diffusion model's networks in this process, which the next pair needs too."""


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


@dataclass(frozen=True)
class TrackJob:
    """Track a driving video or a photo to `motion`."""

    source: Path
    config: TrackConfig
    body: str
    motion: Path
    force: bool


@dataclass(frozen=True)
class DrawJob:
    """Draw one pair with one variant. `config` and `settings` are the values of --config and --set."""

    pair: Pair
    variant: Variant
    options: DrawOptions
    driver: Path
    reference: Path
    video: Path
    config: tuple[str, ...]
    settings: tuple[str, ...]
    force: bool


Job = TypeVar("Job", TrackJob, DrawJob)


def draw_clips(
    run: Run, engine: Engine, pairs: list[Pair], variants: list[Variant], options: DrawOptions, work: Path
) -> tuple[dict[str, dict[str, Path]], dict[str, str]]:
    """Draw all videos that are not up to date into `work`/VARIANT/PAIR.mp4.

    Returns variant -> pair -> video, and the reason for each pair that a variant lacks ("VARIANT, pair PAIR" -> why).
    """
    own = _own_settings(run, "track")
    configs = {variant.name: _track_config(run, own, variant) for variant in variants}
    photo_config = _track_config(run, own, None)
    tracking: dict[Path, TrackJob] = {}
    drawing: list[DrawJob] = []
    settings = tuple(_own_settings(run, "generate"))
    for variant in variants:
        for pair in pairs:
            reference = _track_job(pair.ref, photo_config, options.body, work / REFERENCES, run.force)
            tracking[reference.motion] = reference
            driver = _track_job(pair.drive, configs[variant.name], options.body, work / MOTIONS, run.force)
            tracking[driver.motion] = driver
            drawing.append(DrawJob(
                pair, variant, options, driver.motion, reference.motion, work / variant.folder / f"{pair.name}.mp4",
                tuple(run.config), settings, run.force,
            ))  # fmt: skip
    untracked = _failures(run, engine, track_quietly, list(tracking.values()), "sources tracked")
    usable = [job for job in drawing if not {job.driver, job.reference} & untracked.keys()]
    failed: dict[Path, str] = {}
    if options.backend == "wan":
        failed = _failures(run, engine, encode_quietly, usable, "clips encoded")
        usable = [replace(job, force=False) for job in usable if job.video not in failed]
    failed |= _failures(run, engine, draw_quietly, usable, "clips drawn")
    KEPT.clear()
    made: dict[str, dict[str, Path]] = {variant.name: {} for variant in variants}
    reasons: dict[str, str] = {}
    for job in drawing:
        why = untracked.get(job.driver) or untracked.get(job.reference) or failed.get(job.video)
        if why is None:
            made[job.variant.name][job.pair.name] = job.video
        else:
            reasons[f"{job.variant.name}, pair {job.pair.name}"] = why
    return made, reasons


def _failures(run: Run, engine: Engine, function, jobs: list[Job], label: str) -> dict[Path, str]:
    """Run jobs. Returns the file that a job did not make -> the reason."""
    found: dict[Path, str] = {}
    with run_jobs(engine, function, jobs, run.console.progress, label) as finished:
        for job, error in finished:
            if error != "":
                found[job.motion if isinstance(job, TrackJob) else job.video] = error or DIED_MESSAGE
    return found


def track_quietly(job: TrackJob) -> str:
    """Track a source, unless its motion is there: the motion's name holds the fingerprint of all that decides it.
    Returns the reason why it cannot be tracked, or nothing."""
    from emosh_cli.workflows.tracking import track_source
    from stages.artifacts.motion import save_motion

    if job.motion.is_file() and not job.force:
        return ""
    try:
        motion = track_source(_silent_run("track"), job.source, job.body, job.config)
    except InputError as error:
        return str(error)
    job.motion.parent.mkdir(parents=True, exist_ok=True)
    save_motion(job.motion, motion)
    return ""


def encode_quietly(job: DrawJob) -> str:
    """Encode the latents of one video, and forget the video itself if all is asked for again.

    All are encoded before the first is drawn: the networks that draw stay in memory, and how a clip is encoded depends
    on the memory that is free. Returns the reason why it cannot be encoded, or nothing.
    """
    try:
        pipeline, target = _retargeted(job)
        assert pipeline.diffusion is not None
        pipeline.encode(pipeline.diffusion, job.reference, target, pipeline.driver(job.driver, job.pair.drive))
        if job.force:
            pipeline.work.forget(job.video)
    except InputError as error:
        return str(error)
    return ""


def draw_quietly(job: DrawJob) -> str:
    """Draw one video as `emosh generate` does, without messages. Returns the reason why it cannot be drawn, or
    nothing."""
    try:
        pipeline, target = _retargeted(job)
        if pipeline.diffusion is not None:
            pipeline.diffusion.kept = KEPT
        pipeline.generate(job.reference, target, pipeline.driver(job.driver, job.pair.drive))
    except InputError as error:
        return str(error)
    return ""


def _retargeted(job: DrawJob) -> tuple[Pipeline, Path]:
    """The pair's pipeline, and the motion that it draws."""
    flags = {**job.variant.flags}
    if job.options.seed is not None:
        flags["wan"] = {**flags.get("wan", {}), "seed": job.options.seed}
    job.video.parent.mkdir(parents=True, exist_ok=True)
    options = job.options
    request = Request(job.pair.ref, job.video, options.backend, options.body, flags, options.choice)
    run = _silent_run("generate", list(job.config), list(job.settings), job.force)
    pipeline = animation.open_pipeline(run, request)
    return pipeline, pipeline.retarget(job.driver, job.reference)


def add_first_frame(pair: Pair, work: Path) -> Pair:
    """The pair with its photo. Where the driving video is also the photo, the photo is its first frame."""
    from stages.video.png import write_png
    from stages.video.source import read_frames

    if pair.truth is None:
        return pair
    photo = work / "photos" / f"{pair.name}.png"
    photo.parent.mkdir(parents=True, exist_ok=True)
    write_png(photo, next(iter(read_frames(pair.drive))).rgb)
    return replace(pair, ref=photo)


def require_section_names(settings: list[str]) -> None:
    """Raise InputError for a --set without a section: drawing and measuring have settings of the same name."""
    for text in settings:
        if "." not in text.partition("=")[0]:
            raise InputError(f"--set {text}: name its section here, for example evaluate.size=256 or puppet.size=256")


def _track_job(source: Path, config: TrackConfig, body: str, folder: Path, force: bool) -> TrackJob:
    from stages.artifacts.provenance import Provenance, code_digest, config_dict, sha256_file

    weights = {"code": code_digest(), "body": body}
    made_of = Provenance("track", config_dict(config), {"video": sha256_file(source)}, weights)
    return TrackJob(source, config, body, folder / f"{source.stem}-{made_of.fingerprint()[:16]}.npz", force)


def _track_config(run: Run, settings: list[str], variant: Variant | None) -> TrackConfig:
    """The tracker's settings for the driving videos of a variant; None: for photos."""
    one = _silent_run("track", run.config, settings)
    if variant is None:
        return one.load_config("track", person=0)
    return one.load_config("track", solver=variant.solver, gates_off=None if variant.gates else all_gates())


def _own_settings(run: Run, name: str) -> list[str]:
    """The values of --set that belong to tracking, or to drawing; those of evaluate belong to neither."""
    sections = ("track",) if name == "track" else {each for sections in SECTIONS.values() for each in sections}
    return [text for text in run.settings if text.partition("=")[0].strip().partition(".")[0] in sections]


def _silent_run(
    name: str, config: list[str] | None = None, settings: list[str] | None = None, force: bool = False
) -> Run:
    """A Run for one step, without messages."""
    return Run(name, Console(quiet=True), config or [], settings or [], force=force)
