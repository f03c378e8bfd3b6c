"""The protocols by name: how two frames are brought to the same size, and what is measured on them.

`rules`, `resize_kernel` and `definitions` are copied into the report, so that another tool can repeat the measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from stages.errors import InputError
from stages.evaluate import disco, metrics
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.square import at_truth_size, crop_back, padded_square

Rgb = UInt8[np.ndarray, "_ _ 3"]
"""Two pictures of this type may differ in size."""
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """One protocol. `prepare(result, truth, config, where)` returns both pictures in the form that `metrics` take."""

    rules: str
    resize_kernel: str
    definitions: dict[str, str]
    metrics: dict[str, Callable[[np.ndarray, np.ndarray], float]]
    prepare: Callable[[Rgb, Rgb, EvaluateConfig, str], Pair]
    has_bars: bool
    """Whether pictures are padded to a square; then figures are also given without the black bars."""
    lpips_range: str
    """Value range of LPIPS's input: "-1..1" as LPIPS expects, or "0..1" as DisCo feeds it."""
    lpips_nets: tuple[str, ...]
    fid: str | None
    """The FID tool whose resize the protocol uses; None: that of the setting `fid`."""


def protocol(name: str) -> Protocol:
    """The protocol of that name. Raises InputError with all names."""
    if name not in PROTOCOLS:
        raise InputError(f"no protocol is called '{name}'; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def eight_bits(picture: np.ndarray) -> Rgb:
    """A prepared picture of any protocol as uint8."""
    return picture if picture.dtype == np.uint8 else np.rint(picture * 255).astype(np.uint8)


def _emosh_pictures(result: Rgb, truth: Rgb, config: EvaluateConfig, where: str) -> Pair:
    height, width = truth.shape[:2]
    if config.fit == "pad":
        result = crop_back(result, width, height)
    return padded_square(at_truth_size(result, width, height, where), config.size), padded_square(truth, config.size)


def _disco_pictures(result: Rgb, truth: Rgb, config: EvaluateConfig, where: str) -> Pair:
    import cv2

    height, width = truth.shape[:2]
    if config.fit == "pad":
        result = crop_back(result, width, height)
    if result.shape != truth.shape:
        result = cv2.resize(result, (width, height))
    return result, truth


PROTOCOLS = {
    "emosh": Protocol(
        rules="with fit=pad the result is cropped to the centred part that shows the truth; the result is resized to "
        "the truth's size; both are padded with black to a centred square and resized to one size; RGB in [0,1], "
        "8 bits per channel; YUV is decoded with the matrix and range named for each file; 'picture': the same figures "
        "without the black bars",
        resize_kernel="cv2 INTER_AREA down, INTER_CUBIC up",
        definitions=metrics.DEFINITIONS,
        metrics=metrics.METRICS,
        prepare=_emosh_pictures,
        has_bars=True,
        lpips_range="-1..1",
        lpips_nets=("alex", "vgg"),
        fid=None,
    ),
    "disco": Protocol(
        rules="as DisCo's tool/metrics computes it on PNG frames: the result is stretched to the truth's size whatever "
        "its shape; uint8 RGB; LPIPS (vgg) gets [0,1] without normalising; FID as in pytorch-fid; FVD is left out, "
        "because DisCo computes it from 3 fps GIFs and their palette changes it",
        resize_kernel="cv2 INTER_LINEAR (cv2.resize's default, no antialiasing)",
        definitions=disco.DEFINITIONS,
        metrics=disco.METRICS,
        prepare=_disco_pictures,
        has_bars=False,
        lpips_range="0..1",
        lpips_nets=("vgg",),
        fid="pytorch",
    ),
}
"""Protocols by name."""
