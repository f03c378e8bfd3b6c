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


def how_to_add(name: str, what: str) -> str:
    """Why a figure is left out."""
    from stages.evaluate.networks.known import files_of

    return f"{what} is not installed: emosh models add {name} FILE ({files_of(name)})"
