"""Write PNG files atomically."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from stages.artifacts.atomic import atomic_path


def write_png(path: Path, rgb: UInt8[np.ndarray, "height width channels"]) -> None:
    """Write 8-bit RGB (or RGBA) atomically. Raises InputError when `path` cannot be written."""
    from PIL import Image

    assert rgb.dtype == np.uint8
    with atomic_path(Path(path)) as part:
        Image.fromarray(np.ascontiguousarray(rgb)).save(part, format="PNG")
