"""`emosh gallery`: a folder of runs as one page to look through."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emosh_cli import options
from emosh_cli.outputs import GALLERY, settle
from emosh_cli.run import FILES, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.runs import FoundRun
    from stages.export.gallery import GalleryRun, Panel

Runs = Annotated[
    Path, typer.Argument(metavar="RUNS", help="A folder with results of animate or generate.", show_default=False)
]
Embed = Annotated[bool, typer.Option("--embed", help="Put the videos into the page: one file to send around.")]
NoOverlay = Annotated[bool, typer.Option("--no-overlay", help="Do not draw an overlay where a run has none.")]
Title = Annotated[
    str | None, typer.Option("--title", metavar="TEXT", help="Heading. Without it: the folder's name.",
                             show_default=False)
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "gallery", FILES)
    def gallery(
        run: Run,
        runs: Runs,
        embed: Embed = False,
        no_overlay: NoOverlay = False,
        title: Title = None,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Make a page of all runs in a folder: photo, driver, overlay, condition, result and figures.

        Results, and what made them, are found by what the files say of themselves.

        The page needs no network: small copies of the videos lie in NAME-files
        beside it, or in the page with --embed. The keyboard does everything.

        Example: emosh gallery out -o gallery.html
        """
        _gallery(run, runs, embed, not no_overlay, title, out, body)


def _gallery(
    run: Run, folder: Path, embed: bool, overlay: bool, title: str | None, out: Path | None, body: str
) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds your results")
    target = settle(out or folder / "gallery.html", GALLERY, [], run.force)
    from emosh_cli.runs import find_runs

    found = find_runs(folder)
    if not found:
        raise InputError(f"no result of emosh lies in {folder}; make one with: emosh animate, or emosh generate")
    if run.dry_run:
        run.planned([f"show {each.result} in {target}" for each in found], output=str(target))
        return
    from stages.export.gallery import gallery_folder, write_gallery

    with tempfile.TemporaryDirectory() as spool:
        drawn = Path(spool) if embed else gallery_folder(target) / "overlays"
        shown = [_shown(run, each, drawn if overlay else None, body) for each in found]
        copied = write_gallery(target, shown, title or folder.resolve().name, embed, run.console.progress)
    run.done(target, f"{len(found)} runs, {copied} videos and photos copied", runs=len(found), copied=copied)


def _shown(run: Run, found: FoundRun, overlays: Path | None, body: str) -> GalleryRun:
    from stages.export.gallery import GalleryRun, Panel

    panels = (
        Panel("Photo", found.photo, "not found"),
        Panel("Driver", found.driver, "not found"),
        _overlay(run, found, overlays, body),
        Panel("Condition", found.condition),
        Panel("Result", found.result),
    )
    name = found.result.relative_to(found.root).with_suffix("").as_posix()
    return GalleryRun(name, panels, tuple(_figures(found)))


def _overlay(run: Run, found: FoundRun, folder: Path | None, body: str) -> Panel:
    """The run's overlay, or one drawn for the page and kept for the next time."""
    from emosh_cli.stamps import provenance_of
    from stages.export.gallery import Panel

    if found.overlay is not None or folder is None or found.driver_motion is None or found.driver is None:
        return Panel("Overlay", found.overlay)
    record = provenance_of(found.driver_motion)
    assert record is not None
    drawn = folder / f"{record.fingerprint()[:16]}.mp4"
    if not drawn.exists():
        from stages.artifacts.motion import load_motion
        from stages.body.store import open_body
        from stages.track.overlay import write_overlay

        folder.mkdir(parents=True, exist_ok=True)
        motion = load_motion(found.driver_motion)
        try:
            write_overlay(found.driver, motion, open_body(body), drawn, run.console.progress)
        except InputError as error:
            run.console.note(f"no overlay for {found.result}: {error}")
            return Panel("Overlay", None, "not drawn")
    return Panel("Overlay", drawn)


def _figures(found: FoundRun) -> list[tuple[str, str]]:
    """What the files themselves tell of a run, in the order in which one asks."""
    from emosh_cli.commands.evaluate import SAID
    from emosh_cli.runs import said_of
    from stages.video.source import probe

    about = probe(found.result)
    told = [
        ("drawn by", str(found.record.notes.get("backend", "unknown"))),
        ("size", f"{about.width}x{about.height}"),
        ("length", f"{about.duration_seconds:.1f} s, {about.frame_count} frames"),
    ]
    if found.record.seed is not None:
        told.append(("seed", str(found.record.seed)))
    ratio, slide = found.retarget.get("height_ratio"), found.retarget.get("foot_slide_after_cm")
    if ratio is not None:
        told.append(("retargeted", f"height x {ratio:.3f}"))
    if slide is not None:
        told.append(("feet slide", f"{slide:.1f} cm"))
    if found.report is not None:
        told.append(("measured", ", ".join(said_of(found.report, SAID))))
    return told
