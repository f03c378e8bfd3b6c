"""The invisible mark on real clips: what it costs the picture, and whether it is found after what videos go through.

    python -m benchmarks.watermark_robustness VIDEO... [--write]

Per clip (40 frames, at most 640 pixels long): PSNR of the marked frames, CPU ms per frame, and the detector's standard
deviations of chance for the unmarked clip and, marked, after H.264 (x264 medium) at crf 23, at half the size and crf
23, the one after the other, and at half the size and crf 28. Found is from 5. At the end, how far chance gets: 10,000
other patterns on every unmarked clip.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.record import Column, Recorder, arguments
from stages.video import watermark
from stages.video.source import read_frames
from stages.video.watermark import FOUND, Marker, evidence, read_watermark

FRAMES, LONGER_SIDE, PATTERNS = 40, 640, 10_000
COLUMNS = (
    Column("clip", "clip"), Column("psnr", "PSNR of the mark", "dB"), Column("cpu", "marking", "CPU ms per frame"),
    Column("unmarked", "unmarked", "deviations"), Column("marked", "marked", "deviations"),
    Column("crf23", "crf 23", "deviations"), Column("half", "half size, crf 23", "deviations"),
    Column("both", "crf 23, then half size, crf 23", "deviations"), Column("worse", "half size, crf 28", "deviations"),
)  # fmt: skip
PROMISED = ("marked", "crf23", "half", "both")


def main() -> None:
    """Print and record a row per clip."""
    parser = arguments(__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    options = parser.parse_args()
    what = (
        "The invisible mark on real clips: what it costs, and by how many deviations of chance it is found afterwards."
    )
    with tempfile.TemporaryDirectory() as folder, Recorder(what, *COLUMNS, keep=options) as found:
        vectors, kept = [], 0
        for video in options.videos:
            frames = first_frames(video)
            vectors.append(np.mean([vector(frame) for frame in frames], axis=0))
            figures = dict(zip((column.key for column in COLUMNS[1:]), row(frames, Path(folder)), strict=True))
            kept += all(figures[key] >= FOUND for key in PROMISED)
            found.row(clip=video.stem, **figures)
        found.note(
            f"A mark is found from {FOUND:g} deviations: in {kept} of {len(vectors)} clips after all but the last."
        )
        found.note(f"{len(vectors) * PATTERNS:,} other patterns on the unmarked clips reach {by_chance(vectors):.2f}.")
        found.note(f"{FRAMES} frames of each clip, at most {LONGER_SIDE} pixels long.")


def first_frames(video: Path) -> list[np.ndarray]:
    """The first frames, made smaller where they are large."""
    frames = []
    for frame in read_frames(video):
        scale = min(1.0, LONGER_SIDE / max(frame.rgb.shape))
        frames.append(cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        if len(frames) == FRAMES:
            break
    return frames


def row(frames: list[np.ndarray], folder: Path) -> list[float]:
    """One clip's figures."""
    marker, began = Marker(*frames[0].shape[:2]), time.process_time()
    marked = [marker.mark(frame) for frame in frames]
    milliseconds = 1000 * (time.process_time() - began) / len(frames)
    error = np.mean([np.mean(np.square(a.astype(float) - b)) for a, b in zip(frames, marked, strict=True)])
    once = coded(marked, 23, 1, folder / "once.mp4")
    again = [frame.rgb for frame in read_frames(once)]
    paths = (
        once,
        coded(marked, 23, 2, folder / "half.mp4"),
        coded(again, 23, 2, folder / "twice.mp4"),
        coded(marked, 28, 2, folder / "worse.mp4"),
    )
    found = [read_watermark(path).deviations for path in paths]
    psnr = 10 * np.log10(255**2 / error)
    return [psnr, milliseconds, evidence(frames).deviations, evidence(marked).deviations, *found]


def coded(frames: list[np.ndarray], crf: int, smaller: int, path: Path) -> Path:
    """H.264 in mp4."""
    height, width = (side // smaller // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            small = np.ascontiguousarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def vector(frame: np.ndarray) -> np.ndarray:
    """What the detector sees of a frame."""
    return watermark._limited(watermark._transformed(watermark._luma(frame)))


def by_chance(vectors: list[np.ndarray]) -> float:
    """The largest response of any of many other patterns, in standard deviations."""
    stacked = np.stack([each / np.sqrt(np.mean(each**2)) for each in vectors])
    random, length, largest = np.random.default_rng(0), stacked.shape[1], 0.0
    for _ in range(PATTERNS // 100):
        patterns = random.integers(0, 2, (100, length)) * 2.0 - 1
        largest = max(largest, float((stacked @ patterns.T).max() / np.sqrt(length)))
    return largest


if __name__ == "__main__":
    main()
