"""A short video of three shots, in several codecs and containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CUTS = (0, 17, 40)
FRAMES = 60


def picture(index: int) -> np.ndarray:
    """Three shots: another gradient each, a bar that moves through all of them."""
    shot = sum(index >= cut for cut in CUTS) - 1
    grid = np.mgrid[0:96, 0:128]
    grey = (20, 150, 75)[shot] + grid[shot % 2] // 2
    rgb = np.stack([grey, grey // 2 + 60 * (shot % 2), 200 - grey], -1)
    rgb[:, 2 * index % 128 : 2 * index % 128 + 8] = 255
    return rgb.astype(np.uint8)


def written(path: Path, codec: str, options: dict[str, str], frames: int = FRAMES) -> Path:
    """The video, in whatever codec and container."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(30000, 1001), options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        container.mux(stream.encode(None))
    return path


CODECS = {
    "b-frames.mp4": ("libx264", {"g": "24", "bf": "3"}),
    "open-gop.mkv": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "one-key.mp4": ("libx264", {"g": "999", "sc_threshold": "0"}),
    "mpeg4.avi": ("mpeg4", {"g": "12", "qscale": "2"}),
    "stream.ts": ("libx264", {"g": "12", "bf": "2"}),
}
