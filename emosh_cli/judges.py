"""The judges' networks on the command line: filing one, and which of them a run can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.run import Run
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.evaluate.config import EvaluateConfig
    from stages.evaluate.networks.filing import Filed


@dataclass
class Judges:
    """What is installed and what is not. `files` is for the report: figure -> the files that made it."""

    metrics: dict[str, Callable[..., float]] = field(default_factory=dict)
    """Figures of two prepared pictures."""
    definitions: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, str]:
        """Part -> sha256, for provenance."""
        return {each["part"]: each["sha256"] for files in self.files.values() for each in files}

    def use(self, figure: str, filed: list[Filed]) -> None:
        """Note what made a figure."""
        self.files[figure] = [
            {"part": each.part, "sha256": each.sha256, "form": each.form, "what": each.said, "trusted": each.trusted}
            for each in filed
        ]


def add(run: Run, name: str, source: Path, trust: bool) -> None:
    """`emosh models add lpips|inception|i3d|arcface FILE [--trust]`."""
    from stages.body.store import home
    from stages.evaluate.networks.filing import file_network, installed

    if not source.is_file():
        raise InputError(f"{source} does not exist or is a folder, expected the file of {name}")
    filed = file_network(name, source, home(), trust)
    told = "; ".join(f"filed as {each.part}, {each.said}" for each in filed)
    run.done(filed[0].path(home()), f"{told}; {_next(name, installed(home()))}")


def _next(name: str, filed: dict[str, Filed]) -> str:
    if name != "lpips":
        return "emosh evaluate uses it"
    for net in ("alex", "vgg"):
        halves = [half for half in ("backbone", "lins") if f"lpips-{net}-{half}" in filed]
        if len(halves) == 1 and f"lpips-{net}" not in filed:
            missing = "heads (lins) are" if halves == ["backbone"] else "backbone is"
            return f"its {missing} still missing: emosh models add lpips FILE; see emosh models list"
    return "emosh evaluate uses it"


def paired(config: EvaluateConfig) -> Judges:
    """LPIPS as the protocol wants it."""
    from stages.body.store import home
    from stages.evaluate.networks import opened
    from stages.evaluate.networks.lpips import metric
    from stages.evaluate.protocols import protocol

    found, recipe = Judges(), protocol(config.protocol)
    for net in recipe.lpips_nets:
        figure, opening = f"lpips_{net}", opened.lpips(home(), net)
        if opening is None:
            found.left_out[figure] = how_to_add("lpips", f"LPIPS's {net} network")
            continue
        distance, filed = opening
        found.metrics[figure] = metric(distance, recipe.lpips_range)
        found.definitions[figure] = f"LPIPS v0.1 ({net}) of the whole prepared picture, fed RGB in {recipe.lpips_range}"
        found.use(figure, filed)
    return found


def many(config: EvaluateConfig) -> tuple[Any, Any]:
    """What gives features for FID and for FVD; None where its network is not installed or the protocol has none."""
    from stages.body.store import home
    from stages.evaluate.networks import opened

    pictures = opened.inception(home(), fid_form(config))
    windows = opened.i3d(home()) if config.protocol != "disco" else None
    return pictures and pictures[0], windows and windows[0]


def fid_form(config: EvaluateConfig) -> str:
    """Which tool's resize FID uses: the protocol's, else the setting's."""
    from stages.evaluate.protocols import protocol

    return protocol(config.protocol).fid or config.fid


def everything(config: EvaluateConfig) -> Judges:
    """Which files would judge many clips, without opening one; and what is left out for want of a file."""
    from stages.body.store import home
    from stages.evaluate.networks.filing import installed
    from stages.evaluate.protocols import protocol

    found, filed = Judges(), installed(home())
    for net in protocol(config.protocol).lpips_nets:
        halves = [filed[part] for half in ("backbone", "lins") if (part := f"lpips-{net}-{half}") in filed]
        whole = filed.get(f"lpips-{net}")
        if len(halves) == 2 or whole is not None:
            found.use(f"lpips_{net}", halves if len(halves) == 2 or whole is None else [whole])
        else:
            found.left_out[f"lpips_{net}"] = how_to_add("lpips", f"LPIPS's {net} network")
    for figure, part, what in (("fid", "inception", "Inception"), ("fvd", "i3d", "I3D"), ("ips", "arcface", "ArcFace")):
        if figure == "fvd" and config.protocol == "disco":
            found.left_out[figure] = "DisCo makes it of GIFs whose palette moves it; protocol emosh has FVD"
        elif part in filed:
            found.use(figure, [filed[part]])
            if figure == "fid":
                found.definitions[figure] = f"resized as {fid_form(config)}"
        else:
            found.left_out[figure] = how_to_add(part, what)
    return found


def how_to_add(name: str, what: str) -> str:
    """Why a figure is left out."""
    from stages.evaluate.networks.known import files_of

    return f"{what} is not installed: emosh models add {name} FILE ({files_of(name)})"
