"""A picture of another size, fitted into the size of the condition map."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from stages.video.source import VideoInfo


def fit_to_map(rgb: UInt8[np.ndarray, "h w 3"], info: VideoInfo) -> UInt8[np.ndarray, "height width 3"]:
    """The whole picture scaled into the map's size, centred, with black borders."""
    from PIL import Image

    picture = Image.fromarray(rgb)
    scale = min(info.width / picture.width, info.height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (info.width, info.height))
    canvas.paste(picture, ((info.width - size[0]) // 2, (info.height - size[1]) // 2))
    return np.asarray(canvas)
