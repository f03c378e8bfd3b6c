"""Which text and watermarks over the picture curation sees.

    python -m benchmarks.curate_text CLIPS

Every clip of the folder as it is, then with each of DRAWN on it, in white with or without a dark edge, encoded again as
H.264 at crf 23: letters found in the longest row, and milliseconds of CPU a frame.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stages.curate.config import CurateConfig
from stages.curate.still_text import StillText
from stages.video.source import read_frames

MOST_FRAMES = 154
DRAWN = (
    ("This is a drawn subtitle line", 0.055, "bottom", "middle", 1.0), ("subtitle", 0.04, "bottom", "middle", 1.0),
    ("NEWS 24", 0.05, "top", "right", 1.0), ("@user_name", 0.035, "bottom", "left", 1.0),
    ("stock", 0.08, "bottom", "right", 0.45), ("© site.com", 0.03, "bottom", "right", 0.6),
    ("Getty Images", 0.06, "middle", "middle", 0.4), ("shutterstock", 0.05, "bottom", "left", 0.55),
    ("SAMPLE", 0.15, "middle", "middle", 0.35), ("LIVE", 0.04, "top", "left", 0.8),
)  # fmt: skip
"""Text, height of its letters over the picture's, place, and how much it hides."""


def overlay(width: int, height: int, drawn: tuple[str, float, str, str, float]) -> np.ndarray:
    """RGBA from 0 to 255, as float32."""
    text, share, down, across, opacity = drawn
    picture = Image.new("RGBA", (width, height))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(8, round(share * height)))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    margin, free = round(0.03 * height), (width - (right - left), height - (bottom - top))
    x = {"left": margin, "middle": free[0] // 2, "right": free[0] - margin}[across]
    y = {"top": margin, "middle": free[1] // 2, "bottom": free[1] - margin}[down]
    alpha = round(255 * opacity)
    pen.text((x - left, y - top), text, font=font, fill=(255, 255, 255, alpha), stroke_width=int(opacity == 1),
             stroke_fill=(0, 0, 0, alpha))  # fmt: skip
    return np.asarray(picture).astype(np.float32)


def encoded_again(frames: list[np.ndarray], place: Path) -> Path:
    """At crf 23."""
    height, width = frames[0].shape[0] // 2 * 2, frames[0].shape[1] // 2 * 2
    with av.open(str(place), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame[:height, :width], format="rgb24")))
        container.mux(stream.encode(None))
    return place


def frames_of(path: Path) -> list[np.ndarray]:
    """The first ones, as many as a clip has."""
    return [frame.rgb for frame in islice(read_frames(path), MOST_FRAMES)]


def letters(path: Path) -> tuple[int, float]:
    """In the longest row of a video, and milliseconds of CPU a frame without decoding."""
    seen, frames = StillText(), frames_of(path)
    began = time.thread_time()
    for frame in frames:
        seen.add_frame(frame)
    found = seen.letters()
    return found, 1000 * (time.thread_time() - began) / len(frames)


def main() -> int:
    """Print a row a clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    limit, caught, plain = CurateConfig().max_letters, 0, []
    for path in sorted(parser.parse_args().clips.glob("*.mp4")):
        found, milliseconds = letters(path)
        plain.append(found)
        frames = frames_of(path)
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for each in DRAWN:
                drawn = overlay(frames[0].shape[1], frames[0].shape[0], each)
                share = drawn[..., 3:] / 255
                over = [(frame * (1 - share) + drawn[..., :3] * share).astype(np.uint8) for frame in frames]
                rows.append(letters(encoded_again(over, Path(folder) / "over.mp4"))[0])
        caught += sum(row > limit for row in rows)
        print(f"{path.stem[:24]:24} as it is {found}, drawn over {rows}, {milliseconds:.2f} ms a frame", flush=True)
    print(f"{caught} of {len(plain) * len(DRAWN)} overlays above {limit}; {sum(row > limit for row in plain)} clips "
          "without one")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
