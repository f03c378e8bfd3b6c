"""`emosh curate --synthetic N`: clips of made-up people, with their exact motion, as a manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli.outputs import CLIPS, need, settle_folder
from emosh_cli.run import Run
from stages.errors import InputError

MANIFEST = "manifest.jsonl"
PANEL = "Made-up people"
Synthetic = Annotated[
    int | None,
    typer.Option(
        "--synthetic",
        metavar="N",
        help="Instead of choosing clips, draw N of made-up people, their exact motion beside each.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
First = Annotated[
    int, typer.Option("--first", metavar="N", help="Number of the first one drawn.", rich_help_panel=PANEL)
]
Motions = Annotated[
    list[Path] | None,
    typer.Option(
        "--motion",
        metavar="NPZ",
        help="Move half of them as in this tracked motion. May be repeated.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]


def write_synthetic(run: Run, count: int, first: int, out: Path | None, motions: list[Path] | None, jobs: int) -> None:
    """Draw clips `first` to `first + count` into the folder, those that are there already left as they are."""
    if count < 1 or first < 0:
        raise InputError("--synthetic takes how many clips to draw, 1 or more, and --first a number from 0")
    if out is None:
        raise InputError("name the folder for the clips with -o, for example: -o clips/")
    config = run.configured("people")
    motions = motions or []
    for path in motions:
        need(path, "a motion .npz to move the people by")
    drawn = min((each.name for each in out.glob("person-*.mp4")), default="person.mp4")
    target = settle_folder(out, CLIPS, motions, run.force, out, "", drawn)
    size = f"{config.frames} frames of {config.width}x{config.height}"
    if run.dry_run:
        run.planned([f"draw {count} clips of made-up people, {size} -> {target}"], output=str(target))
        return
    from stages.artifacts.manifest import read_manifest, write_manifest
    from stages.body.store import open_body
    from stages.people.people import write_people

    body = open_body(progress=run.console.progress)
    target.mkdir(exist_ok=True)
    numbers = range(first, first + count)
    lines = write_people(body, numbers, config, target, motions, jobs or os.cpu_count() or 1, run.console.progress)
    manifest = target / MANIFEST
    known = {line.video.name: line for line in read_manifest(manifest)} if manifest.is_file() else {}
    known |= {line.video.name: line for line in lines}
    write_manifest(manifest, [known[name] for name in sorted(known)])
    run.done(manifest, f"{count} clips of {size}", clips=count)
