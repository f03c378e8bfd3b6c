"""What each compared method's own code writes: size, rate, and how its frames meet the truth's.

Facts are from the public code named in `source`, read at the commit given; None is what that code leaves to its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stages.errors import InputError


@dataclass(frozen=True)
class Baseline:
    """A method's native output. `sizes` are (width, height); an empty tuple: it follows its input."""

    title: str
    sizes: tuple[tuple[int, int], ...]
    fps: int | None
    settings: dict[str, Any]
    """Of `EvaluateConfig`, that fit this output."""
    source: str
    note: str = ""


PRESETS = {
    "ours": Baseline("Ours", (), None, {}, "emosh generate: the driver's rate and duration"),
    "wan-animate": Baseline(
        "Wan-Animate", (), 30, {"pairing": "time"},
        "Wan2.2's preprocess_data.py, as copies of it have it: --resolution_area 1280 720, --fps 30 (-1: the source's)",
        "keeps the reference's shape within that area",
    ),
    "hypermotion": Baseline(
        "HyperMotion", ((1024, 576), (576, 1024)), 16, {"pairing": "time", "fit": "pad", "lead_seconds": 1 / 16},
        "vivoCameraResearch/Hyper-Motion@aac2340 scripts/inference.py: sample_size [576, 1024], fps 16, 49 frames",
        "its script leaves the first frame out of the file, so the result starts 1/16 s late",
    ),
    "mimicmotion": Baseline(
        "MimicMotion", ((576, 1024), (1024, 576)), 15, {"pairing": "time", "fit": "pad"},
        "Tencent/MimicMotion@08f5e7c configs/test.yaml: resolution 576, sample_stride 2, fps 15",
        "takes every second frame of a 30 fps source; of another source, set stride = 2 and pairing = \"index\"",
    ),
    "moore-aa": Baseline(
        "Moore-AA", ((512, 784),), None, {"fit": "pad"},
        "MooreThreads/Moore-AnimateAnyone@7ccc423 scripts/pose2vid.py: -W 512 -H 784, the pose video's rate",
        "its script writes reference, pose and result side by side: cut the last third out first",
    ),
    "stableanimator": Baseline(
        "StableAnimator", ((512, 512), (576, 1024)), None, {"fit": "pad"},
        "Francis-Rings/StableAnimator@0392639 README: 512x512 or 576x1024",
        "writes PNG frames and a GIF; make the video of the PNGs, losslessly",
    ),
    "unianimate": Baseline(
        "UniAnimate", ((512, 768), (768, 1216)), None, {"fit": "pad", "stride": 2},
        "ali-vilab/UniAnimate@111cd26 configs/UniAnimate_infer.yaml: resolution [512, 768], frame_interval 2",
    ),
    "unianimate-dit": Baseline(
        "UniAnimate-DiT", ((480, 832), (720, 1280)), 15, {"fit": "pad"},
        "ali-vilab/UniAnimate-DiT@f20e4cf README: 832x480 (height x width); copies of its 480p script save at 15 fps",
        "by number, since what its frame interval was is not in the file; a stride of 2: set stride = 2",
    ),
    "champ": Baseline(
        "Champ", (), None, {},
        "fudan-generative-vision/champ@02e5533 inference.yaml: 512x512; inference.py resizes to the reference's size",
        "draws at 512x512 whatever the reference's shape, so other shapes were squeezed",
    ),
}  # fmt: skip
"""By the name that comparison.toml gives as `preset`."""


def baseline(name: str, where: str) -> Baseline:
    """The preset of that name. Raises InputError that lists them."""
    if name not in PRESETS:
        raise InputError(f"{where}: no preset is called '{name}'; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
