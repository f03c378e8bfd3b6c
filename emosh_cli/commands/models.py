"""`emosh models`: the model files that can be installed, and those that emosh makes itself."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emosh_cli.catalogue import CATALOGUE, DETECTOR_NAMES, JUDGE_NAMES, LICENSED_NAMES, installed, named, place
from emosh_cli.run import MACHINE, Run, command
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.catalogue import ModelFile
    from stages.wan.recognise import Recognised

Baked = Annotated[str, typer.Argument(metavar="open|ehm", help="Which body.", show_default=False)]
Fetched = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="One of the names in: emosh models list; wan: all that --backend wan needs.",
        show_default=False,
    ),
]  # fmt: skip
Source = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER|FILE", help="A diffusers folder, one of its parts, or a weights file.", show_default=False
    ),
]
LicensedFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="Its file, where the first word is a name: smplx, flame, dwpose, lpips.",
        show_default=False,
    ),
]
As = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Which model it is. Without it: told by its config and headers."),
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy it. Without it: a link to where it lies.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Take a network file (lpips, inception, i3d, arcface) of unknown sha256: it can run code."
    ),
]
Transformer = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", help="A transformer folder. Without it: the installed one.", show_default=False),
]
BODIES = ("open", *LICENSED_NAMES, *DETECTOR_NAMES, *JUDGE_NAMES)
"""Rows that are no part of the diffusion model."""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        name="models",
        help="Model files: licence, source, where each goes.\n\nExample: emosh models list",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    app.add_typer(group, rich_help_panel=MACHINE)

    @command(group, "list", "Commands", works=False)
    def list_(run: Run) -> None:
        """List every model file with its licence, source, size and sha256, and whether it is installed.

        Example: emosh models list
        """
        rows = [{**asdict(entry), "place": str(place(entry)), "installed": installed(entry)} for entry in CATALOGUE]
        if run.console.as_json:
            run.console.data({"models": rows})
        else:
            _print(rows)

    @command(group, "bake", "Commands", works=False)
    def bake(run: Run, name: Baked) -> None:
        """Make a body file. `open` needs only the installed packages, `ehm` your own SMPL-X and FLAME.

        Example: emosh models bake open
        """
        if name == "ehm":
            _bake_ehm(run)
            return
        if name != "open":
            raise InputError(f"there is no body called '{name}' to bake; choose open or ehm")
        from stages.body.store import body_path, open_body

        body = open_body(name, progress=run.console.progress)
        run.done(body_path(name), f"{len(body.v_template)} vertices, {len(body.expression_names)} facial actions")

    @command(group, "add", "Commands", works=False)
    def add(
        run: Run, source: Source, file: LicensedFile = None, name: As = None, copy: Copy = False, trust: Trust = False
    ) -> None:
        """File model files that you have, after checking that they are whole and the right ones.

        A diffusers pipeline folder is filed part by part. Only configs and headers are read, no weights.
        A body's file is named first: emosh models add smplx SMPLX_NEUTRAL_2020.npz

        Example: emosh models add Wan2.2-Animate-14B-Diffusers
        """
        if file is not None:
            source, name = file, str(source)
        if name in JUDGE_NAMES:
            from emosh_cli import judges

            judges.add(run, name, source, trust)
            return
        if trust:
            raise InputError("--trust is for network files: emosh models add lpips|inception|i3d|arcface FILE --trust")
        _add(run, source, name, copy)

    @command(group, "fetch", "Commands", works=False)
    def fetch(run: Run, name: Fetched) -> None:
        """Download a model file whose licence allows it; size and licence are said first.

        Example: emosh models fetch wan
        """
        _fetch(run, name)

    @command(group, "prepare", "Commands", works=False)
    def prepare(run: Run, folder: Transformer = None) -> None:
        """Make the bf16 base from fp32 shards, once: half the size, and it loads in half the memory.

        Example: emosh models prepare
        """
        _prepare(run, folder)


# ---- add
def _add(run: Run, source: Path, name: str | None, copy: bool) -> None:
    from stages.body.store import home
    from stages.wan.store import file_part, link_transformer

    entry = None if name is None else named(name)
    if name is not None and (entry is None or name == "open"):
        raise InputError(f"no model is called '{name}' that could be added; see: emosh models list")
    if entry is not None and entry.name in LICENSED_NAMES:
        _add_licensed(run, entry.name, source)
        return
    if entry is not None and entry.name in DETECTOR_NAMES:
        _add_detector(run, entry, source, copy)
        return
    filed = []
    for found in _recognised(source, name):
        entry = named(found.name)
        assert entry is not None
        filed.append(file_part(found.path, place(entry), copy=copy, progress=run.console.progress))
        run.console.note(f"{found.name}: {found.said}, {found.size_bytes / 1e9:.2f} GB")
    link_transformer(home())
    run.done(filed[0] if len(filed) == 1 else filed[0].parent, _next_step(), filed=[str(path) for path in filed])


def _recognised(source: Path, name: str | None) -> list[Recognised]:
    from stages.wan.recognise import recognise

    found = recognise(source)
    if name is None:
        return found
    chosen = [each for each in found if each.name == name]
    if not chosen:
        held = ", ".join(sorted({each.name for each in found}))
        raise InputError(f"{source} is {held}, not {name}; leave --name out, or name another folder")
    return chosen


def _add_licensed(run: Run, name: str, source: Path) -> None:
    """One of the ehm body's files: its arrays are checked and kept."""
    from stages.body.licensed import LICENSED, file_licensed, licensed
    from stages.body.store import licensed_folder

    row = licensed(name)
    assert row is not None
    place = file_licensed(row, source, licensed_folder())
    missing = [each.name for each in LICENSED if each.required and not (licensed_folder() / each.file).is_file()]
    then = f"still missing for --body ehm: {', '.join(missing)}" if missing else "next: emosh models bake ehm"
    run.done(place, f"filed as {name}; {then}")


def _add_detector(run: Run, entry: ModelFile, source: Path, copy: bool) -> None:
    """A detector's network: it is run once on a blank picture, then linked or copied."""
    from stages.detect.onnx_network import check_network
    from stages.wan.store import file_part

    if not source.is_file():
        raise InputError(f"{source} does not exist, expected the file of {entry.name}")
    said = check_network(entry.name, source)
    filed = file_part(source, place(entry), copy=copy, progress=run.console.progress)
    run.done(filed, f"filed as {entry.name}: {said}; use it with emosh track --detector dwpose")


def _bake_ehm(run: Run) -> None:
    from stages.body.model import load_body
    from stages.body.store import bake_licensed

    path, absent = bake_licensed(run.console.progress)
    if absent:
        run.console.note(f"baked without the optional {', '.join(absent)}; see: emosh models list")
    body = load_body(path)
    run.done(
        path, f"{len(body.v_template)} vertices, {len(body.expression_names)} facial actions; use it with --body ehm"
    )


def _next_step() -> str:
    """What the diffusion model still needs."""
    from stages.body.store import home
    from stages.wan.catalogue import missing, part

    absent = missing(home())
    if absent:
        return f"still missing for --backend wan: {', '.join(absent)}"
    if not part("wan-base").installed(home()):
        return "--backend wan has its parts; load it in half the time after: emosh models prepare"
    return "--backend wan has its parts"


# ---- fetch
def _fetch(run: Run, name: str) -> None:
    from stages.artifacts.disk import check_room
    from stages.body.store import home
    from stages.wan.catalogue import parts
    from stages.wan.fetch import ask, fetch
    from stages.wan.recognise import recognise
    from stages.wan.store import HOME_ELSEWHERE, link_transformer

    entry = named(name)
    if entry is not None and name in BODIES:
        raise InputError(f"{name} cannot be fetched; it comes from {entry.source}: {entry.how}")
    wanted = [each for each in parts(name) if not each.installed(home())]
    offers = []
    for each in wanted:
        offer = ask(each)
        offers.append(offer)
        run.console.note(
            f"{each.name}: {offer.size_bytes / 1e9:.2f} GB in {len(offer.files)} files, licence {each.licence}, "
            f"from {each.repo} at {offer.revision[:12]}"
        )
    if not offers:
        raise InputError(f"{name} is installed already; see: emosh models list")
    total = sum(offer.size_bytes for offer in offers)
    check_room(home(), total, f"fetching {name}", HOME_ELSEWHERE)
    run.console.note(f"downloading {total / 1e9:.2f} GB to {home()}; Ctrl-C stops, a rerun continues")
    for offer in offers:
        recognise(fetch(offer, home(), progress=run.console.progress))
    link_transformer(home())
    made = [offer.weights.where(home()) for offer in offers]
    run.done(made[0] if len(made) == 1 else made[0].parent, _next_step(), filed=[str(path) for path in made])


# ---- prepare
def _prepare(run: Run, folder: Path | None) -> None:
    from stages.body.store import home
    from stages.wan.catalogue import part
    from stages.wan.prepare import prepare
    from stages.wan.store import link_transformer

    source = folder if folder is not None else _fp32_transformer(home())
    if (source / "transformer" / "config.json").is_file():
        source = source / "transformer"
    out = part("wan-base").where(home())
    out.parent.mkdir(parents=True, exist_ok=True)
    size = prepare(source, out, run.console.progress)
    link_transformer(home())
    run.done(out, f"{size / 1e9:.2f} GB in bf16 from {source}; the original may go if you need the room")


def _fp32_transformer(home: Path) -> Path:
    from stages.wan.catalogue import part

    for name in ("wan-animate", "wan-i2v"):
        if part(name).installed(home):
            return part(name).where(home)
    raise InputError("no transformer is installed; add one with: emosh models add FOLDER, or emosh models fetch wan")


def _print(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if os.isatty(1) else 200, highlight=False)
    for row in rows:
        state = Text("installed", "green") if row["installed"] else Text("not installed", "yellow")
        console.print(Text.assemble((row["name"], "bold"), f": {row['purpose']}, ", state))
        for label in ("licence", "source", "size", "sha256", "place", "how"):
            console.print(Text(f"  {label}: {row[label]}"), soft_wrap=True)
