"""Write PNG files atomically."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path


def write_png(path: Path, rgb: UInt8[np.ndarray, "height width channels"], comment: str = "") -> None:
    """Write 8-bit RGB (or RGBA) atomically. Raises InputError when `path` cannot be written.

    comment: a text that the file carries, as `stages.video.photo.comment_of` reads it.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    assert rgb.dtype == np.uint8
    about = PngInfo()
    if comment:
        about.add_itxt("comment", comment)
    with atomic_path(Path(path)) as part:
        Image.fromarray(np.ascontiguousarray(rgb)).save(part, format="PNG", pnginfo=about)
