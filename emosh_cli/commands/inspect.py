"""`emosh inspect`: shows what a file holds."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emosh_cli import pipes
from emosh_cli.command import FILES, command
from emosh_cli.outputs import PIPE, require_file
from emosh_cli.run import Run
from emosh_cli.terminal import cell
from stages.artifacts.text_files import parse_json
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.describe import Described

ARTIFACT = "a motion, body file, video, report, safetensors file or export"
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help="Any file that emosh writes. - reads a motion from standard input.", show_default=False
    ),
]
SHORT = 64
"""Longer provenance values are cut in the table. --json shows them in full."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "inspect", FILES, run_options=False)
    def inspect(run: Run, files: Files) -> None:
        """Show what a file holds: arrays, shapes, share of valid frames per part, and how it was made.

        It reads motions and body files (.npz), videos, photos, reports (.json) and
        the headers of safetensors files.

        Example: emosh inspect drive.npz
        """
        described = [_describe(path) for path in files]
        for each in described:
            if run.console.as_json:
                run.console.data(asdict(each))
            else:
                _print(each)
        wrong = [each.problem for each in described if each.problem]
        if wrong:
            raise InputError(wrong[0])


def _describe(path: Path) -> Described:
    from stages.artifacts import describe

    require_file(path, ARTIFACT)
    suffix = ".npz" if path == PIPE else path.suffix.lower()
    if suffix == ".npz":
        from stages.artifacts.motion import MOTION
        from stages.body.model import BODY

        with pipes.readable(path) as readable:
            return describe.describe_npz(readable, {"motion": MOTION, "body": BODY})
    if suffix == ".json":
        return _describe_report(describe.describe_json(path))
    if suffix == ".safetensors":
        from stages.artifacts.latents import LATENTS

        return describe.describe_safetensors(path, {LATENTS.kind: LATENTS})
    if suffix in (".glb", ".rrd", ".html"):
        return _describe_export(path)
    return _describe_picture(path)


def _describe_export(path: Path) -> Described:
    """A file for other programs: its size and its provenance."""
    from emosh_cli.provenance_reader import provenance_of
    from stages.artifacts.describe import Described

    record = provenance_of(path)
    figures = {"size_mib": round(path.stat().st_size / 2**20, 2)}
    return Described(str(path), path.suffix[1:].lower(), (), figures, json.loads(record.to_json()) if record else None)


def _describe_report(described: Described) -> Described:
    """A report with the meaning of its sections, checked against its schema. Other JSON files are unchanged."""
    from stages.evaluate.report import KIND, REPORT, read_report

    if described.kind != KIND:
        return described
    meanings = {entry.name: entry.meaning for entry in REPORT}
    rows = tuple((name, size, kind, meanings.get(name, "")) for name, size, kind, _ in described.rows)
    problem = None
    try:
        read_report(Path(described.path))
    except InputError as error:
        problem = str(error)
    return replace(described, rows=rows, problem=problem)


def _describe_picture(path: Path) -> Described:
    """A video or a photo: provenance in its metadata, watermark in its pictures, signature beside them."""
    from stages.artifacts.describe import Described
    from stages.video.metadata import read_metadata
    from stages.video.signing import read_signature
    from stages.video.source import probe
    from stages.video.watermark import read_watermark

    picture = {key: value for key, value in asdict(probe(path)).items() if key != "path"}
    metadata = {} if picture["is_photo"] else read_metadata(path)
    comment = metadata.pop("comment", "")
    try:
        record = parse_json(comment)
    except ValueError:
        record = None
        if comment:
            metadata["comment"] = comment
    tags = {f"tag_{key}": value for key, value in metadata.items()}
    kind = "photo" if picture["is_photo"] else "video"
    figures = {key: _plain(value) for key, value in picture.items()}
    figures |= {"watermark": str(read_watermark(path)), "signature": read_signature(path)}
    return Described(str(path), kind, (), {**figures, **tags}, record if isinstance(record, dict) else None)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bool | type(None)) else str(value)


def _print(each: Described) -> None:
    """Print tables on stdout, 160 columns wide if stdout is not a terminal."""
    from rich.console import Console

    console = Console(width=None if os.isatty(1) else 160, highlight=False)
    console.print(cell(f"{each.path}: {each.kind}", "bold"))
    if each.rows:
        console.print(_table(("array", "shape", "type", "meaning"), each.rows))
    if each.figures:
        console.print(_table(("figure", "value"), list(_lines(each.figures))))
    if each.provenance:
        console.print(_table(("provenance", "value"), list(_flat(each.provenance))))
    else:
        console.print("no provenance: emosh did not write this file, or the record was stripped", style="dim")


def _lines(figures: dict[str, Any]):
    """One line per figure; of a list of texts, one line per text."""
    for key, value in figures.items():
        texts = value if isinstance(value, list) and all(isinstance(each, str) for each in value) else [str(value)]
        yield from ((key, text) for text in texts or ["none"])


def _table(heads: tuple[str, ...], rows: Any):
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def _flat(record: dict[str, Any], prefix: str = ""):
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = str(value)
            yield f"{prefix}{key}", text if len(text) <= SHORT else f"{text[:SHORT]}..."
