"""Adds, fetches, bakes and prepares model files in emosh's home: the work of `emosh models`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emosh_cli.run import Run
from emosh_cli.workflows.model_files import DETECTOR_NAMES, LICENSED_NAMES, PART_NAMES, installed_path, model_file
from stages.artifacts.regular_file import require_regular_file
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.model_files import ModelFile
    from stages.evaluate.networks.installed import InstalledNetwork
    from stages.wan.recognise import Recognised


# ---- add
def add(run: Run, source: Path, name: str | None, copy: bool) -> None:
    """Install `source`: a part of the diffusion model, a file of the ehm body, or a detector."""
    from stages.body.store import home
    from stages.wan.install import install_part, link_transformer

    entry = None if name is None else model_file(name)
    if name is not None and (entry is None or name in ("open", "mediapipe")):
        raise InputError(f"no model called '{name}' can be added; see: emosh models list")
    if entry is not None and entry.name in LICENSED_NAMES:
        _add_licensed(run, entry.name, source)
        return
    if entry is not None and entry.name in DETECTOR_NAMES:
        _add_detector(run, entry, source, copy)
        return
    filed = []
    for found in _recognise(source, name):
        entry = model_file(found.name)
        assert entry is not None
        filed.append(install_part(found.path, installed_path(entry), copy=copy, progress=run.console.progress))
        run.console.note(f"{found.name}: {found.description}, {found.size_bytes / 1e9:.2f} GB")
    link_transformer(home())
    run.done(filed[0] if len(filed) == 1 else filed[0].parent, _next_step(), filed=[str(path) for path in filed])


def _recognise(source: Path, name: str | None) -> list[Recognised]:
    from stages.wan.recognise import recognise

    found = recognise(source)
    if name is None:
        return found
    chosen = [each for each in found if each.name == name]
    if not chosen:
        recognised_names = ", ".join(sorted({each.name for each in found}))
        raise InputError(f"{source} is {recognised_names}, not {name}; leave --name out, or name another folder")
    return chosen


def _add_licensed(run: Run, name: str, source: Path) -> None:
    """Install one file of the ehm body, after checking its arrays."""
    from stages.body.licensed import LICENSED, find_licensed, store_licensed
    from stages.body.store import licensed_folder

    row = find_licensed(name)
    assert row is not None
    place = store_licensed(row, source, licensed_folder())
    missing = [each.name for each in LICENSED if each.required and not (licensed_folder() / each.file).is_file()]
    then = f"still missing for --body ehm: {', '.join(missing)}" if missing else "next: emosh models bake ehm"
    run.done(place, f"installed as {name}; {then}")


def _add_detector(run: Run, entry: ModelFile, source: Path, copy: bool) -> None:
    """Install a detector's network: run it once on a blank picture, then link or copy it."""
    from stages.detect.onnx_network import check_network
    from stages.wan.install import install_part

    require_regular_file(source, f"give the file of {entry.name}")
    network = check_network(entry.name, source)
    filed = install_part(source, installed_path(entry), copy=copy, progress=run.console.progress)
    run.done(filed, f"installed as {entry.name}: {network}; use it with emosh track --detector dwpose")


def bake_ehm(run: Run) -> None:
    """Make the ehm body file from the installed licensed files."""
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
    """One sentence: which parts of the diffusion model are missing, or which command comes next."""
    from stages.body.store import home
    from stages.wan.weights import missing_parts, part

    absent = missing_parts(home())
    if absent:
        return f"still missing for --backend wan: {', '.join(absent)}"
    if not part("wan-base").installed(home()):
        return "--backend wan has all its parts; to load it in half the time: emosh models prepare"
    return "--backend wan has all its parts"


# ---- metric networks
def add_network(run: Run, name: str, source: Path, trust: bool) -> None:
    """`emosh models add lpips|inception|i3d|arcface FILE [--trust]`."""
    from stages.body.store import home
    from stages.evaluate.networks.install import install_network
    from stages.evaluate.networks.installed import installed

    require_regular_file(source, f"give the file of {name}")
    filed = install_network(name, source, home(), trust)
    descriptions = "; ".join(f"installed as {each.part}, {each.said}" for each in filed)
    run.done(filed[0].path(home()), f"{descriptions}; {_network_use(name, installed(home()))}")


def _network_use(name: str, filed: dict[str, InstalledNetwork]) -> str:
    if name != "lpips":
        return "emosh evaluate uses it"
    for net in ("alex", "vgg"):
        halves = [half for half in ("backbone", "lins") if f"lpips-{net}-{half}" in filed]
        if len(halves) == 1 and f"lpips-{net}" not in filed:
            missing = "heads (lins) are" if halves == ["backbone"] else "backbone is"
            return f"its {missing} still missing: emosh models add lpips FILE; see emosh models list"
    return "emosh evaluate uses it"


# ---- fetch
def fetch_model(run: Run, name: str) -> None:
    """Download the missing parts of a model. Licence and size are printed first."""
    from stages.artifacts.disk import check_room
    from stages.body.store import home
    from stages.wan.fetch import fetch, query_hub
    from stages.wan.install import HOME_ELSEWHERE, link_transformer
    from stages.wan.recognise import recognise
    from stages.wan.weights import parts

    entry = model_file(name)
    if entry is not None and name not in PART_NAMES:
        raise InputError(f"{name} cannot be fetched; it comes from {entry.source}: {entry.how}")
    missing_parts = [each for each in parts(name) if not each.installed(home())]
    offers = []
    for each in missing_parts:
        offer = query_hub(each)
        offers.append(offer)
        run.console.note(
            f"{each.name}: {offer.size_bytes / 1e9:.2f} GB in {len(offer.files)} files, licence {each.licence}, "
            f"from {each.repo} at {offer.revision[:12]}"
        )
    if not offers:
        raise InputError(f"{name} is installed already; see: emosh models list")
    total = sum(offer.size_bytes for offer in offers)
    check_room(home(), total, f"fetching {name}", HOME_ELSEWHERE)
    run.console.note(f"downloading {total / 1e9:.2f} GB to {home()}; Ctrl-C stops it, and the same command continues")
    for offer in offers:
        recognise(fetch(offer, home(), progress=run.console.progress))
    link_transformer(home())
    made = [offer.weights.installed_path(home()) for offer in offers]
    run.done(made[0] if len(made) == 1 else made[0].parent, _next_step(), filed=[str(path) for path in made])


# ---- prepare
def prepare_base(run: Run, folder: Path | None) -> None:
    """Make the bf16 base model from a transformer's fp32 shards."""
    from stages.body.store import home
    from stages.wan.install import link_transformer
    from stages.wan.prepare import prepare
    from stages.wan.weights import part

    source = folder if folder is not None else _fp32_transformer(home())
    if (source / "transformer" / "config.json").is_file():
        source = source / "transformer"
    out = part("wan-base").installed_path(home())
    out.parent.mkdir(parents=True, exist_ok=True)
    size = prepare(source, out, run.console.progress)
    link_transformer(home())
    run.done(out, f"{size / 1e9:.2f} GB in bf16 from {source}; you may delete the original to free space")


def _fp32_transformer(home: Path) -> Path:
    from stages.wan.weights import part

    for name in ("wan-animate", "wan-i2v"):
        if part(name).installed(home):
            return part(name).installed_path(home)
    raise InputError("no transformer is installed; add one with: emosh models add FOLDER, or emosh models fetch wan")
