"""Everything besides the pictures that changes a figure: protocol, pairing, the files' codecs, package versions."""

from __future__ import annotations

from typing import Any

from stages.artifacts.provenance import VERSION, sha256_file
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.protocols import Protocol
from stages.video.metadata import read_encoding
from stages.video.source import VideoInfo

PAIRINGS = {
    "index": "frame i of the result with frame i of the truth; both must have equally many frames",
    "time": "each frame of the truth with the frame of the result that is on screen at that time",
}
PACKAGES = ("numpy", "scikit-image", "opencv-python-headless", "av")
LOSSLESS = ("png", "bmp", "tiff", "ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "apng", "qtrle", "v210")


def comparison_conditions(described: dict[str, VideoInfo], config: EvaluateConfig, recipe: Protocol) -> dict[str, Any]:
    """What a reader needs to repeat a comparison of `described` (role -> file)."""
    files = {role: _file_description(info) for role, info in described.items()}
    return {
        "protocol": config.protocol,
        "protocol_rules": recipe.rules,
        "resize_kernel": recipe.resize_kernel,
        "size": config.size,
        "fit": config.fit,
        "pairing": PAIRINGS[config.pairing],
        "stride": config.stride,
        "lead_seconds": config.lead_seconds,
        "definitions": recipe.definitions,
        "inputs": {role: sha256_file(info.path) for role, info in described.items()},
        "files": files,
        "lossy": [note for role, file in files.items() if (note := lossy(role, file))],
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of emosh and of the packages that decode and measure."""
    from importlib.metadata import version

    return {"emosh": VERSION, **{name: version(name) for name in PACKAGES}}


def lossy(role: str, file: dict[str, Any]) -> str | None:
    """What the file's codec did to the pictures before the comparison, in words; None for a lossless file.

    A yuv420p round trip alone lowers the PSNR. H.264 in RGB may be lossless or not: the file does not say.
    """
    codec, layout = file["codec"], file["pixel_format"]
    if codec in LOSSLESS and not layout.startswith("yuv"):
        return None
    if "gbr" in layout or "rgb" in layout:
        return f"{role}: {codec} in {layout}, lossless only if it was written lossless" if codec != "gif" else None
    loss = "which keeps colour at a quarter of the pixels" if "420" in layout else "which rounds RGB to YUV"
    return f"{role}: {codec} in {layout}, {loss}; the figures are those of the file, not of the frames the method drew"


def _file_description(info: VideoInfo) -> dict[str, Any]:
    return {
        "name": info.path.name,
        "width": info.width,
        "height": info.height,
        "fps": str(info.fps),
        "frames": info.frame_count,
        "duration_seconds": round(info.duration_seconds, 6),
        **read_encoding(info.path),
    }
