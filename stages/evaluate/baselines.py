"""What the public code of each compared method writes: its picture sizes, and how its frames match the truth's.

The facts are from the code named in `source`, read at the commit given there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stages.errors import InputError


@dataclass(frozen=True)
class Baseline:
    """A method's native output. `sizes` are (width, height); an empty tuple means that the size follows the input."""

    title: str
    sizes: tuple[tuple[int, int], ...]
    settings: dict[str, Any]
    """The settings of `EvaluateConfig` that suit this output."""
    source: str
    note: str = ""


PRESETS = {
    "ours": Baseline("Ours", (), {}, "emosh generate: the driver's rate and duration"),
    "wan-animate": Baseline(
        "Wan-Animate", (), {"pairing": "time"},
        "copies of Wan2.2's preprocess_data.py: --resolution_area 1280 720, --fps 30 (-1: the source's rate)",
        "keeps the reference's shape within that area",
    ),
    "hypermotion": Baseline(
        "HyperMotion", ((1024, 576), (576, 1024)), {"pairing": "time", "fit": "pad", "lead_seconds": 1 / 16},
        "vivoCameraResearch/Hyper-Motion@aac2340 scripts/inference.py: sample_size [576, 1024], fps 16, 49 frames",
        "its script leaves the first frame out of the file, so the result starts 1/16 s late",
    ),
    "mimicmotion": Baseline(
        "MimicMotion", ((576, 1024), (1024, 576)), {"pairing": "time", "fit": "pad"},
        "Tencent/MimicMotion@08f5e7c configs/test.yaml: resolution 576, sample_stride 2, fps 15",
        "takes every second frame of a 30 fps source; for another rate, set stride = 2 and pairing = \"index\"",
    ),
    "moore-aa": Baseline(
        "Moore-AA", ((512, 784),), {"fit": "pad"},
        "MooreThreads/Moore-AnimateAnyone@7ccc423 scripts/pose2vid.py: -W 512 -H 784, the pose video's rate",
        "its script writes reference, pose and result side by side: crop to the last third first",
    ),
    "stableanimator": Baseline(
        "StableAnimator", ((512, 512), (576, 1024)), {"fit": "pad"},
        "Francis-Rings/StableAnimator@0392639 README: 512x512 or 576x1024",
        "writes PNG frames and a GIF; make a lossless video from the PNG frames",
    ),
    "unianimate": Baseline(
        "UniAnimate", ((512, 768), (768, 1216)), {"fit": "pad", "stride": 2},
        "ali-vilab/UniAnimate@111cd26 configs/UniAnimate_infer.yaml: resolution [512, 768], frame_interval 2",
    ),
    "unianimate-dit": Baseline(
        "UniAnimate-DiT", ((480, 832), (720, 1280)), {"fit": "pad"},
        "ali-vilab/UniAnimate-DiT@f20e4cf README: 832x480 (height x width); copies of its 480p script save at 15 fps",
        "paired by frame number, since the file does not say its frame interval; for every second frame set stride = 2",
    ),
    "champ": Baseline(
        "Champ", (), {},
        "fudan-generative-vision/champ@02e5533 inference.yaml: 512x512; inference.py resizes to the reference's size",
        "draws at 512x512 for every reference, so references of another shape are squeezed",
    ),
}  # fmt: skip
"""Name of the `preset` in comparison.toml -> its baseline."""


def baseline(name: str, where: str) -> Baseline:
    """The preset of that name. Raises InputError with all names."""
    if not isinstance(name, str) or name not in PRESETS:
        raise InputError(f"{where}: no preset is called '{name}'; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
