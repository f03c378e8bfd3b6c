"""Which text and watermarks over the picture curation sees.

    python -m benchmarks.curate_text CLIP... [--write]

Every clip as it is, then with each of DRAWN on it, in white with or without a dark edge, encoded again as
H.264 at crf 23: letters found in the longest row, and milliseconds of CPU per frame.
"""

from __future__ import annotations

import tempfile
import time
from itertools import islice
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.record import Column, Recorder, arguments
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
COLUMNS = (
    Column("clip", "clip"), Column("plain", "as it is", digits=0),
    *(Column(text, f"`{text}` {share:g}, {100 * hides:.0f} %", digits=0) for text, share, _, _, hides in DRAWN),
    Column("ms", "looking", "CPU ms per frame", 2),
)  # fmt: skip


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
    """In the longest row of a video, and milliseconds of CPU per frame without decoding."""
    seen, frames = StillText(), frames_of(path)
    began = time.thread_time()
    for frame in frames:
        seen.add_frame(frame)
    found = seen.letters()
    return found, 1000 * (time.thread_time() - began) / len(frames)


def main() -> None:
    """Print and record a row per clip."""
    parser = arguments(__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    options = parser.parse_args()
    limit, caught, plain = CurateConfig().max_letters, 0, []
    what = "Letters that curation finds in a row of text that stays: clips as they are, and with text drawn over them."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for path in options.clips:
            seen, milliseconds = letters(path)
            plain.append(seen)
            frames, row = frames_of(path), {}
            with tempfile.TemporaryDirectory() as folder:
                for each in DRAWN:
                    drawn = overlay(frames[0].shape[1], frames[0].shape[0], each)
                    share = drawn[..., 3:] / 255
                    over = [(frame * (1 - share) + drawn[..., :3] * share).astype(np.uint8) for frame in frames]
                    row[each[0]] = letters(encoded_again(over, Path(folder) / "over.mp4"))[0]
            caught += sum(each > limit for each in row.values())
            found.row(clip=path.stem, plain=seen, **row, ms=milliseconds)
        found.note(f"A clip is rejected above {limit} letters: {caught} of {len(plain) * len(DRAWN)} overlays are, and "
                   f"{sum(seen > limit for seen in plain)} of {len(plain)} clips without one.")  # fmt: skip
        found.note("Behind each text: its height over the picture's, and how much it hides.")


if __name__ == "__main__":
    main()
