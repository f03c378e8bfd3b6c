"""`emosh gallery`: shows the results in a folder on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import FILES, command
from emosh_cli.outputs import GALLERY, output_path
from emosh_cli.run import Run
from stages.counted import counted
from stages.errors import InputError

Runs = Annotated[
    Path, typer.Argument(metavar="RUNS", help="A folder with results of animate or generate.", show_default=False)
]
Embed = Annotated[bool, typer.Option("--embed", help="Put the videos into the page, so that it is one file.")]
NoOverlay = Annotated[bool, typer.Option("--no-overlay", help="Do not draw an overlay for results that have none.")]
Title = Annotated[
    str | None, typer.Option("--title", metavar="TEXT", help="Heading of the page. Without it: the folder's name.",
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
        """Make a page of all results in a folder: photo, driver, overlay, condition, result and figures.

        Results and their inputs are found by the provenance inside the files. A photo
        or driving video is shown only if it lies in RUNS.

        The page needs no network and can be used with the keyboard alone. Small
        copies of the videos lie in NAME-files beside it, or in it with --embed.

        Example: emosh gallery out -o gallery.html
        """
        _gallery(run, runs, embed, not no_overlay, title, out, body)


def _gallery(
    run: Run, folder: Path, embed: bool, overlay: bool, title: str | None, out: Path | None, body: str
) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the folder that holds your results")
    target = output_path(out or folder / "gallery.html", GALLERY, [], run.force)
    from emosh_cli.workflows.find_results import find_results

    found = find_results(folder)
    if not found:
        raise InputError(f"{folder} holds no result of emosh; make one with: emosh animate, or emosh generate")
    if run.dry_run:
        run.show_plan([f"show {each.result} in {target}" for each in found], output=str(target))
        return
    from emosh_cli.workflows.gallery import gallery_entry
    from stages.artifacts.leftovers import temporary_folder
    from stages.export.gallery import gallery_folder, write_gallery

    with temporary_folder() as spool:
        drawn = spool if embed else gallery_folder(target) / "overlays"
        entries = [gallery_entry(run, each, drawn if overlay else None, body) for each in found]
        copied = write_gallery(target, entries, title or folder.resolve().name, embed, run.console.progress)
    run.done(target, f"{counted(len(found), 'run')}, {counted(copied, 'file')} copied", runs=len(found), copied=copied)
