"""Text tags of a video, and how its pictures are coded. The tag `comment` holds emosh's provenance as JSON."""

from __future__ import annotations

from pathlib import Path

from stages.video.container import opened_container
from stages.video.display import HD_LINES, UNSPECIFIED_COLORSPACE
from stages.video.photo import photo_size
from stages.video.source import opened

MATRICES = {0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
RANGES = {1: "limited", 2: "full"}


def read_metadata(path: Path) -> dict[str, str]:
    """All container tags, keys in lower case. Raises InputError for a missing file or one that is not a video."""
    with opened_container(path, "a video") as container:
        return {key.lower(): value for key, value in container.metadata.items()}


def read_encoding(path: Path) -> dict[str, str]:
    """How the pictures are coded: codec, pixel format, and the colour matrix and range used for decoding.

    Values that the file does not state end in "(assumed)". Raises InputError as `read_metadata` does.
    """
    if photo_size(path) is not None:
        return {
            "codec": Path(path).suffix.lower().lstrip("."),
            "pixel_format": "rgb24",
            "matrix": "rgb",
            "range": "full",
        }
    with opened(path) as (_, stream):
        context = stream.codec_context
        is_rgb = any(letter in (context.pix_fmt or "") for letter in ("rgb", "bgr", "gbr", "pal8"))
        return {
            "codec": context.name,
            "pixel_format": str(context.pix_fmt),
            "matrix": "rgb" if is_rgb else _matrix(context.colorspace, stream.height),
            "range": "full"
            if is_rgb or "yuvj" in str(context.pix_fmt)
            else RANGES.get(context.color_range, "limited (assumed)"),
        }


def _matrix(stated: int, lines: int) -> str:
    if stated == UNSPECIFIED_COLORSPACE:
        return "bt709 (assumed)" if lines >= HD_LINES else "bt601 (assumed)"
    return MATRICES.get(stated, f"number {stated}")
