"""`emosh evaluate study`: makes the page of a user study, and computes figures from the raters' answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import STUDY_FIGURES, STUDY_PAGE, output_path, require_file
from emosh_cli.run import Run
from stages.counted import counted
from stages.errors import InputError

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUNS|FILE...",
        help="A folder of results, or the comparison.toml of --table. With --answers: the files of the raters.",
        show_default=False,
    ),
]
Answers = Annotated[bool, typer.Option("--answers", help="Compute figures from the files of the raters.")]
Ours = Annotated[
    str | None,
    typer.Option("--ours", metavar="METHOD", help="The folder of your method. It is compared with every other.",
                 show_default=False),
]  # fmt: skip
Clips = Annotated[
    int | None,
    typer.Option(
        "--clips", metavar="N", min=1, help="Use N clips, chosen at random. Without it: all.", show_default=False
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Seed of the order, the choice of clips and the intervals.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="JSON",
        help="The file that says which video is whose, written with the page and read with --answers. Without it: "
        "NAME.key.json beside them.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "evaluate study", STAGES)
    def study(
        run: Run,
        paths: Paths,
        ours: Ours = None,
        clips: Clips = None,
        seed: Seed = 0,
        answers: Answers = False,
        key: KeyFile = None,
        out: options.Out = None,
    ) -> None:
        """Make a page that asks people to compare results, and count their answers.

        RUNS holds ref/NAME.png, drive/NAME.mp4, and one folder per method with
        NAME.mp4. The page shows pairs A and B without names and works offline.

        Send the page to raters. Each sends back the file that the page saves.
        Keep the key file, and count with it:
        emosh evaluate study --answers ann.json bo.json

        Example: emosh evaluate study runs --ours emosh -o study.html
        """
        if answers:
            _figures(run, paths, key, seed, out)
        else:
            _page(run, paths, ours, clips, seed, key, out)


def _page(
    run: Run, paths: list[Path], ours: str | None, clips: int | None, seed: int, key: Path | None, out: Path | None
) -> None:
    runs = paths[0]
    if len(paths) > 1:
        raise InputError("a study is made from one folder; to read the files of raters, add --answers")
    if not runs.is_dir() and not (runs.is_file() and runs.suffix == ".toml"):
        raise InputError(
            f"{runs} is neither a folder of results nor a comparison.toml; add --answers to read the files of raters"
        )
    if ours is None:
        raise InputError("say which folder is your method: --ours NAME")
    from stages.evaluate.study_design import design_study

    config = run.load_config("study")
    made = design_study(runs, ours, seed, clips)
    files = [path for pair in made.pairs for path in (pair.ref, pair.drive, pair.ours, pair.other)]
    target = output_path(out, STUDY_PAGE, files, run.force, beside=runs.resolve(), ending="-study")
    key = key or target.with_suffix(".key.json")
    if made.left_out:
        run.console.note(f"left out, because a file is missing: {', '.join(made.left_out)}")
    summary = f"{counted(len(made.pairs), 'pair')} of {ours} against {', '.join(made.methods)}"
    if run.dry_run:
        run.show_plan([f"{summary} -> {target}, key {key}"], output=str(target))
        return
    from stages.evaluate.study_page import write_study

    name = write_study(target, key, made, config, seed, run.console.progress)
    size = target.stat().st_size / 2**20
    run.done(target, f"{summary}; {size:.1f} MiB; the key is {key}", study=name, key=str(key), pairs=len(made.pairs))


def _figures(run: Run, answers: list[Path], key: Path | None, seed: int, out: Path | None) -> None:
    from stages.artifacts.atomic import atomic_path
    from stages.artifacts.provenance import Provenance, sha256_file
    from stages.evaluate.study_answers import find_key, read_judgements, read_key
    from stages.evaluate.study_figures import as_markdown, study_figures

    for path in answers:
        require_file(path, "a rater's answers")
    key = require_file(key or find_key(answers), "a study's key")
    target = output_path(out, STUDY_FIGURES, [*answers, key], run.force, beside=key.with_suffix(""), ending="-figures")
    known = read_key(key)
    judged = read_judgements(answers, known)
    if run.dry_run:
        run.show_plan([f"figures of {counted(len(answers), 'rater')} -> {target}"], output=str(target))
        return
    figures = study_figures(judged, seed)
    inputs = {"key": sha256_file(key), **{f"answers{row}": sha256_file(path) for row, path in enumerate(answers)}}
    record = Provenance("study-figures", inputs=inputs, seed=seed)
    whole = {"provenance": json.loads(record.to_json()), "study": known.study, "ours": known.ours, **figures}
    with atomic_path(target) as part:
        part.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    table = as_markdown(figures, known.ours)
    for line in table.splitlines():
        run.console.note(line)
    run.done(
        target,
        f"{counted(figures['raters'], 'rater')}, {counted(figures['judgements'], 'judgement')}",
        **figures,
        markdown=table,
    )
