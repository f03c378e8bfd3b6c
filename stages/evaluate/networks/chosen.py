"""The metric networks that a report can use: which are installed, what each measures, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stages.body.store import home
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.faces import Face, Rgb
from stages.evaluate.networks import load
from stages.evaluate.networks.dlib_face import installed_dlib, open_dlib
from stages.evaluate.networks.installed import InstalledNetwork, installed
from stages.evaluate.networks.known_files import known_file_names
from stages.evaluate.protocols import protocol

ARCFACE = (
    "cosine of ArcFace embeddings, frame against photo; of the largest face, found by MediaPipe's detectors and face "
    "mesh; a similarity transform brings its irises, nose tip and mouth corners onto insightface's 112x112 template; "
    "mean over the frames with a face; misses_as_zero: mean over all frames, a missed face counts as 0"
)
DLIB = (
    "Euclidean distance of embeddings by dlib's face network, frame against photo, 0 for equal ones; below 0.6 dlib "
    "takes two faces for one person; of the largest face, found by MediaPipe's detectors and face mesh, whose eye "
    "corners and base of the nose place it in dlib's 150x150 chip; mean over the frames with a face"
)
NO_DLIB = 'dlib\'s face network is not installed: pip install "emosh[identity]"'


@dataclass(frozen=True)
class FaceNetwork:
    """A network that tells faces apart, as a section of the report."""

    section: str
    """`identity` or `face_distance`."""
    figure: str
    """The name of what it measures in that section."""
    definition: str
    embed: Callable[[Rgb, Face], np.ndarray]
    """A picture and a face in it -> features."""
    compare: Callable[[np.ndarray, np.ndarray], float]
    """Features of two faces -> the figure."""


@dataclass
class MetricNetworks:
    """The networks that are installed, and the figures that are left out because a network is missing."""

    metrics: dict[str, Callable[..., float]] = field(default_factory=dict)
    """Figure -> function of two prepared pictures."""
    definitions: dict[str, str] = field(default_factory=dict)
    """Figure -> what it means, for the report."""
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Figure -> the network files it is computed with, for the report."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Figure -> why it is missing."""

    @property
    def weights(self) -> dict[str, str]:
        """Part -> sha256, for provenance."""
        return {each["part"]: each["sha256"] for files in self.files.values() for each in files}

    def use(self, figure: str, networks: list[InstalledNetwork]) -> None:
        """Record the network files that a figure is computed with."""
        self.files[figure] = [
            {"part": each.part, "sha256": each.sha256, "form": each.form, "what": each.said, "trusted": each.trusted}
            for each in networks
        ]


def paired_metrics(config: EvaluateConfig) -> MetricNetworks:
    """The LPIPS metrics of the protocol, opened; an LPIPS that is not installed is in `left_out`."""
    from stages.evaluate.networks.lpips import metric

    found, recipe = MetricNetworks(), protocol(config.protocol)
    for net in recipe.lpips_nets:
        figure, opening = f"lpips_{net}", load.lpips(home(), net)
        if opening is None:
            found.left_out[figure] = how_to_add("lpips", f"LPIPS's {net} network")
            continue
        distance, networks = opening
        found.metrics[figure] = metric(distance, recipe.lpips_range)
        found.definitions[figure] = f"LPIPS v0.1 ({net}) of the whole prepared picture, RGB in {recipe.lpips_range}"
        found.use(figure, networks)
    return found


def feature_networks(config: EvaluateConfig) -> tuple[Any, Any]:
    """Functions that extract features for FID and for FVD, or None.

    None means that the network is not installed or that the protocol has no such figure.
    """
    pictures = load.inception(home(), fid_form(config))
    windows = load.i3d(home()) if config.protocol != "disco" else None
    return pictures and pictures[0], windows and windows[0]


def fid_form(config: EvaluateConfig) -> str:
    """The tool whose resize FID uses: that of the protocol, or else that of the setting."""
    return protocol(config.protocol).fid or config.fid


def available_networks(config: EvaluateConfig) -> MetricNetworks:
    """The files that tables over many clips would use, without opening one; figures without a file are left out."""
    found, networks = MetricNetworks(), installed(home())
    for net in protocol(config.protocol).lpips_nets:
        halves = [networks[part] for half in ("backbone", "lins") if (part := f"lpips-{net}-{half}") in networks]
        whole = networks.get(f"lpips-{net}")
        if len(halves) == 2 or whole is not None:
            found.use(f"lpips_{net}", halves if len(halves) == 2 or whole is None else [whole])
        else:
            found.left_out[f"lpips_{net}"] = how_to_add("lpips", f"LPIPS's {net} network")
    for figure, part, what in (("fid", "inception", "Inception"), ("fvd", "i3d", "I3D"), ("ips", "arcface", "ArcFace")):
        if figure == "fvd" and config.protocol == "disco":
            found.left_out[figure] = "DisCo computes it from GIFs and their palette changes it; protocol emosh has FVD"
        elif part in networks:
            found.use(figure, [networks[part]])
            if figure == "fid":
                found.definitions[figure] = f"resized as {fid_form(config)}"
        else:
            found.left_out[figure] = how_to_add(part, what)
    dlib = installed_dlib()
    if dlib is None:
        found.left_out["face_distance"] = NO_DLIB
    else:
        found.use("face_distance", [dlib])
    return found


def how_to_add(name: str, what: str) -> str:
    """Why a figure is left out, and the command that adds its network."""
    return f"{what} is not installed: emosh models add {name} FILE ({known_file_names(name)})"


def face_networks() -> tuple[list[FaceNetwork], MetricNetworks]:
    """The networks that tell faces apart, opened; those that are not installed are in `left_out`."""
    found, opening, dlib = MetricNetworks(), load.arcface(home()), installed_dlib()
    networks = []
    if opening is None:
        found.left_out["identity"] = how_to_add("arcface", "the face network")
    else:
        embed, network = opening
        networks.append(FaceNetwork("identity", "cosine", ARCFACE, lambda _, face: embed([face.aligned])[0], np.dot))
        found.use("identity", [network])
    if dlib is None:
        found.left_out["face_distance"] = NO_DLIB
    else:
        networks.append(FaceNetwork("face_distance", "distance", DLIB, open_dlib(), _distance))
        found.use("face_distance", [dlib])
    return networks, found


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other))
