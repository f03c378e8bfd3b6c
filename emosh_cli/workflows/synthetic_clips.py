"""`emosh curate --synthetic N`: draws clips of synthetic people with their exact motion, and writes a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emosh_cli.outputs import CLIPS, output_folder, require_file
from emosh_cli.run import Run
from stages.counted import counted
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workers.local import Engine

MANIFEST = "manifest.jsonl"


def write_synthetic(
    run: Run, count: int, first: int, out: Path | None, motions: list[Path], engine: Engine, body: str
) -> None:
    """Draw `count` clips, numbered from `first`, into the folder. Clips that exist already are kept."""
    if count < 1:
        raise InputError("--synthetic takes the number of clips to draw, 1 or more")
    if out is None:
        raise InputError("name the folder for the clips with -o, for example: -o clips/")
    config = run.load_config("people")
    for path in motions:
        require_file(path, "a motion .npz for the people")
    drawn = min((each.name for each in out.glob("person-*.mp4")), default="person.mp4")
    target = output_folder(out, CLIPS, motions, run.force, out, "", drawn)
    from stages.body.store import open_body
    from stages.people.clips import PersonJob, draw_person, load_inputs

    body_file, moved_by = open_body(body, progress=run.console.progress).path, tuple(map(Path.absolute, motions))
    load_inputs(body_file, moved_by)
    size = f"{counted(config.frames, 'frame')} of {config.width}x{config.height}"
    if run.dry_run:
        run.show_plan([f"draw {counted(count, 'clip')} of synthetic people, {size} -> {target}"], output=str(target))
        return
    from emosh_cli.workers.local import DIED_MESSAGE, run_jobs
    from stages.artifacts.leftovers import made_folder
    from stages.artifacts.manifest import read_manifest, write_manifest

    jobs = [
        PersonJob(number, config, target.absolute(), body_file.absolute(), moved_by)
        for number in range(first, first + count)
    ]
    with made_folder(target), run_jobs(engine, draw_person, jobs, run.console.progress, "drawing people") as finished:
        drawn = [line for _, line in finished if line]
    manifest = target / MANIFEST
    known = {line.video.name: line for line in read_manifest(manifest)} if manifest.is_file() else {}
    known |= {line.video.name: line for line in drawn}
    write_manifest(manifest, [known[name] for name in sorted(known)])
    if len(drawn) < count:
        run.console.note(f"{count - len(drawn)} were not drawn: {DIED_MESSAGE}")
    run.done(manifest, f"{counted(len(drawn), 'clip')} of {size}", clips=len(drawn))
