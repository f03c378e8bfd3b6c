"""`emosh evaluate ablate`: the paper's switches over a set of pairs, and Table 4 of what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emosh_cli import diffusion, options
from emosh_cli.commands import animate
from emosh_cli.commands.evaluate import Jobs
from emosh_cli.commands.evaluate_table import BESIDE, clip_jobs, finish, measured, refuse_foreign
from emosh_cli.outputs import REPORT, settle
from emosh_cli.run import STAGES, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.variants import Variant
    from stages.evaluate.runs import Runs

Pairs = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER", help="drive/NAME.mp4 and, unless people drive themselves, ref/NAME.png.", show_default=False
    ),
]
SET = "pairs"


@dataclass(frozen=True)
class Pair:
    """One driver and the photo it drives; `truth` is the driver where the photo is its own first frame."""

    name: str
    drive: Path
    ref: Path
    truth: Path | None


@dataclass(frozen=True)
class Drawing:
    """How every variant is drawn: words that all commands get."""

    backend: str
    body: str
    asked: animate.Asked
    seed: int | None
    passed: tuple[str, ...]

    def words(self) -> list[str]:
        """For emosh generate."""
        words = ["--backend", self.backend, "--body", self.body, "--device", self.asked.device, *self.passed]
        words += ["--model", self.asked.model] if self.asked.model else []
        words += ["--adapter", self.asked.adapter] if self.asked.adapter else []
        return words + (["--seed", str(self.seed)] if self.seed is not None else [])


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "evaluate ablate", STAGES)
    def ablate(
        run: Run,
        pairs: Pairs,
        out: options.Out = None,
        backend: animate.Backend = "auto",
        jobs: Jobs = 0,
        model: diffusion.Model = None,
        adapter: diffusion.Adapter = None,
        device: diffusion.Device = "auto",
        seed: diffusion.Seed = None,
        body: options.Body = "open",
    ) -> None:
        """Draw every pair whole, then with one of the paper's switches off at a time, and print Table 4 of it.

        Without a ref folder people drive themselves: the photo is the driver's first frame, and the driver the truth.
        Videos are kept in OUT.emosh/; a rerun makes only what changed. Settings are written as section.key=value.

        Example: emosh evaluate ablate pairs -o ablation.json
        """
        _ablate(run, pairs, out, backend, jobs, animate.Asked(model, adapter, device), seed, body)


def _ablate(
    run: Run, folder: Path, out: Path | None, backend: str, jobs: int, asked: animate.Asked, seed: int | None, body: str
) -> None:
    from emosh_cli.chain import SECTIONS
    from emosh_cli.variants import for_backend
    from stages.body.store import home
    from stages.generate.backends import choose

    pairs = found_pairs(folder)
    target = settle(out, REPORT, [], run.force, beside=folder.resolve(), ending="-ablation")
    refuse_foreign({name: target.with_suffix(suffix) for name, suffix in BESIDE.items()}, target, run.force)
    name, why = choose(backend, home(), asked.model is not None, asked.device)
    run.console.note(f"backend: {name}, {why}")
    configs = run.configured_all(("evaluate", *SECTIONS[name]))
    drawing = Drawing(name, body, asked, seed, _passed(run))
    variants, left_out = for_backend(name)
    for variant, reason in left_out.items():
        run.console.note(f"left out: {variant}: {reason}")
    if run.dry_run:
        run.planned([*(f"{v.name}: {p.name}" for v in variants for p in pairs), f"-> {target}"], output=str(target))
        return
    work = target.with_suffix(".emosh")
    if work.is_file():
        raise InputError(f"{work} is a file; it must be free for the variants' videos")
    pairs = [_with_photo(pair, work) for pair in pairs]
    drawn = _drawn(run, pairs, variants, drawing, work)
    runs = _runs(folder, pairs, variants, drawn, name)
    planned = list(clip_jobs(runs, configs, body, work, run.force))
    records, remembered = measured(run, planned, jobs)
    notes = {f"variant {variant}": reason for variant, reason in left_out.items()}
    finish(run, target, runs, configs, planned, records, work, remembered, numbers=(4,), more_left_out=notes)


def found_pairs(folder: Path) -> list[Pair]:
    """By the drivers' names. Raises InputError for a folder without drivers, or a driver without its photo."""
    from stages.evaluate.runs import PHOTOS, VIDEOS

    drives, refs = folder / "drive", folder / "ref"
    if not drives.is_dir():
        raise InputError(f"{folder} has no folder drive/; it needs drive/NAME.mp4 and, for other people, ref/NAME.png")
    videos = sorted(each for each in drives.iterdir() if each.suffix.lower() in VIDEOS)
    if not videos:
        raise InputError(f"{drives} holds no video ending in {' '.join(VIDEOS)}")
    if not refs.is_dir():
        return [Pair(each.stem, each, each, each) for each in videos]
    photos = {each.stem: each for each in refs.iterdir() if each.suffix.lower() in PHOTOS}
    for each in videos:
        if each.stem not in photos:
            raise InputError(
                f"{each} has no photo {refs / each.stem}.png; every driver needs one, or none has a ref folder"
            )
    return [Pair(each.stem, each, photos[each.stem], None) for each in videos]


def _passed(run: Run) -> tuple[str, ...]:
    """--config and --set as they were given, without evaluate's own."""
    words: list[str] = []
    for text in run.settings:
        section, dot, _ = text.partition("=")[0].rpartition(".")
        if not dot:
            raise InputError(f"--set {text}: name its section here, for example evaluate.size=256 or puppet.size=256")
        if section.strip() != "evaluate":
            words += ["--set", text]
    for source in run.config:
        words += ["--config", source]
    return tuple(words)


def _with_photo(pair: Pair, work: Path) -> Pair:
    """Its photo: the driver's first frame where people drive themselves."""
    from dataclasses import replace

    from stages.video.picture import write_png
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
    """Variant -> pair -> video, each made by emosh generate from the driver's motion; what is up to date is kept."""
    from emosh_cli.inside import call

    made: dict[str, dict[str, Path]] = {each.name: {} for each in variants}
    done, total = 0, len(pairs) * len(variants)
    for pair in pairs:
        for variant in variants:
            motion = _tracked(run, pair, variant, drawing, work)
            video = work / variant.folder / f"{pair.name}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            force = ["--force"] if run.force else []
            try:
                call(
                    "generate",
                    "--ref",
                    pair.ref,
                    "--motion",
                    motion,
                    "-o",
                    video,
                    *variant.flags,
                    *drawing.words(),
                    *force,
                )
            except InputError as error:
                raise InputError(f"{variant.name}, pair {pair.name}: {error}") from error
            made[variant.name][pair.name] = video
            done += 1
            run.console.progress("variants drawn", done, total)
    return made


def _tracked(run: Run, pair: Pair, variant: Variant, drawing: Drawing, work: Path) -> Path:
    """The driver's motion with the variant's gates, tracked once: its name holds what it was made from."""
    import hashlib

    from emosh_cli.inside import call
    from emosh_cli.pipeline import code_digest
    from emosh_cli.variants import gates_off
    from stages.artifacts.provenance import sha256_file

    words = _of_section(drawing.passed, "track")
    if not variant.gates:
        words += ["--set", f"track.gates_off={gates_off()}"]
    made_of = [sha256_file(pair.drive), code_digest(), drawing.body, *words]
    key = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    motion = work / "motions" / f"{pair.name}-{key}.npz"
    if not motion.is_file() or run.force:
        motion.parent.mkdir(parents=True, exist_ok=True)
        try:
            call("track", pair.drive, "-o", motion, "--body", drawing.body, *words)
        except InputError as error:
            raise InputError(f"pair {pair.name}: {error}") from error
    return motion


def _of_section(passed: tuple[str, ...], section: str) -> list[str]:
    """--config, and those --set that are of one section."""
    words: list[str] = []
    for flag, value in zip(passed[::2], passed[1::2], strict=True):
        if flag == "--config" or value.startswith(f"{section}."):
            words += [flag, value]
    return words


def _runs(
    folder: Path, pairs: list[Pair], variants: list[Variant], drawn: dict[str, dict[str, Path]], backend: str
) -> Runs:
    """The variants as methods. The diffusion model fits the driver's picture into its square, so that is cut back."""
    from stages.evaluate.runs import Method, Runs

    settings: dict[str, Any] = {"fit": "pad"} if backend == "wan" else {}
    truths = {pair.name: pair.truth for pair in pairs if pair.truth is not None}
    return Runs(
        path=folder,
        methods=tuple(Method(each.name, None, settings, (), {SET: drawn[each.name]}) for each in variants),
        truths={SET: truths} if truths else {},
        photos={SET: {pair.name: pair.ref for pair in pairs}},
        clips={SET: tuple(pair.name for pair in pairs)},
        left_out={SET: {}},
        published={},
        rule="file names of drive/ and ref/" if not truths else "file names; each driver's first frame is its photo",
    )
