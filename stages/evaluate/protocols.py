"""The named recipes: how two frames are brought to one size, and what is measured on them.

Every word in `rules`, `resize_kernel` and `definitions` goes into the report, so that another tool can repeat it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.errors import InputError
from stages.evaluate import disco, metrics
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.square import crop_back, like_truth, square

Rgb = UInt8[np.ndarray, "_ _ 3"]
"""Two of them may have two sizes."""
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """One recipe. `prepare(result, truth, config, where)` gives both pictures as `metrics` take them."""

    rules: str
    resize_kernel: str
    definitions: dict[str, str]
    metrics: dict[str, Callable[[np.ndarray, np.ndarray], float]]
    prepare: Callable[[Rgb, Rgb, EvaluateConfig, str], Pair]
    has_bars: bool
    """Pads to a square, so that figures without the bars are worth giving."""
    lpips_range: str
    """What LPIPS is fed: "-1..1" as it asks for, or "0..1" as DisCo does."""
    lpips_nets: tuple[str, ...]
    fid: str | None
    """The form of FID that belongs to the recipe; None: the setting's."""


def protocol(name: str) -> Protocol:
    """The recipe of that name. Raises InputError that lists the names."""
    if name not in PROTOCOLS:
        raise InputError(f"no protocol '{name}'; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def unit(picture: np.ndarray) -> Float[np.ndarray, "height width 3"]:
    """A prepared picture of either recipe as float32 in [0, 1]."""
    return picture.astype(np.float32) / np.float32(255) if picture.dtype == np.uint8 else picture


def eight_bits(picture: np.ndarray) -> Rgb:
    """A prepared picture of either recipe as uint8."""
    return picture if picture.dtype == np.uint8 else np.rint(picture * 255).astype(np.uint8)


def _emosh_pictures(result: Rgb, truth: Rgb, config: EvaluateConfig, where: str) -> Pair:
    height, width = truth.shape[:2]
    if config.fit == "pad":
        result = crop_back(result, width, height)
    return square(like_truth(result, width, height, where), config.size), square(truth, config.size)


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
        rules="fit=pad: the result cut back to the centred part that showed the truth; the result brought to the "
        "truth's size; both padded with black to a square, centred; resized to one size; RGB in [0,1], 8 bits a "
        "channel; YUV decoded with the matrix and range named per file; 'picture': the same figures without the bars",
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
        rules="as DisCo's tool/metrics computes it on PNG frames: the result stretched to the truth's size whatever "
        "its shape; uint8 RGB; LPIPS (vgg) fed [0,1] without normalising; FID as pytorch-fid; FVD is left out, since "
        "DisCo makes it of 3 fps GIFs whose palette moves it",
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
"""Recipes by name."""
