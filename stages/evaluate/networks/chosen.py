"""Which metric networks a report can use: those that are installed, what each measures, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stages.body.store import home
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.networks import load
from stages.evaluate.networks.installed import InstalledNetwork, installed
from stages.evaluate.networks.known_files import files_of
from stages.evaluate.protocols import protocol


@dataclass
class MetricNetworks:
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

    def use(self, figure: str, filed: list[InstalledNetwork]) -> None:
        """Note what made a figure."""
        self.files[figure] = [
            {"part": each.part, "sha256": each.sha256, "form": each.form, "what": each.said, "trusted": each.trusted}
            for each in filed
        ]


def paired(config: EvaluateConfig) -> MetricNetworks:
    """LPIPS as the protocol wants it."""
    from stages.evaluate.networks.lpips import metric

    found, recipe = MetricNetworks(), protocol(config.protocol)
    for net in recipe.lpips_nets:
        figure, opening = f"lpips_{net}", load.lpips(home(), net)
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
    pictures = load.inception(home(), fid_form(config))
    windows = load.i3d(home()) if config.protocol != "disco" else None
    return pictures and pictures[0], windows and windows[0]


def fid_form(config: EvaluateConfig) -> str:
    """Which tool's resize FID uses: the protocol's, else the setting's."""
    return protocol(config.protocol).fid or config.fid


def everything(config: EvaluateConfig) -> MetricNetworks:
    """Which files would judge many clips, without opening one; and what is left out for want of a file."""
    found, filed = MetricNetworks(), installed(home())
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
    return f"{what} is not installed: emosh models add {name} FILE ({files_of(name)})"


def face_network() -> tuple[Any, MetricNetworks]:
    """What embeds aligned faces for `stages.evaluate.identity`, and its record; None where none is installed."""
    found, opening = MetricNetworks(), load.arcface(home())
    if opening is None:
        found.left_out["identity"] = how_to_add("arcface", "the face network")
        return None, found
    embed, filed = opening
    found.use("identity", [filed])
    return embed, found
