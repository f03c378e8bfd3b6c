"""How well shots are told apart: pieces of real clips joined by hard cuts, and the clips themselves, which have none.

    python -m benchmarks.curate_shots CLIP...

Every threshold's hits, misses and false cuts, the scores of the cuts that are missed, and the highest score in any
clip. Pieces of 20 to 44 frames, drawn with a fixed seed; two that follow each other may be of one clip.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from stages.curate.shots import shot_scores
from stages.video.sink import VideoSink
from stages.video.source import read_frames

SIZE, PIECES, SHORTEST, LONGEST, SEED = (320, 180), 40, 20, 45, 0
THRESHOLDS = (5.0, 8.0, 10.0, 12.0, 15.0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    clips = parser.parse_args().clips
    inside = {clip.name: max(shot_scores(clip)) for clip in clips}
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "joined.mp4"
        cuts = join(clips, joined)
        found = shot_scores(joined)
    for threshold in THRESHOLDS:
        said = {index for index, score in enumerate(found) if score >= threshold}
        print(f"threshold {threshold:4.1f}: {len(said & cuts)} of {len(cuts)} cuts found, {len(said - cuts)} false")
    missed = sorted(found[cut] for cut in cuts if found[cut] < max(THRESHOLDS))
    print("scores of cuts below the highest threshold:", ", ".join(f"{each:.1f}" for each in missed) or "none")
    print(f"highest score inside a shot: {max(inside.values()):.1f} ({max(inside, key=lambda name: inside[name])})")


def join(clips: list[Path], out: Path) -> set[int]:
    """Write the pieces one after the other; the first frames of all but the first."""
    random = np.random.default_rng(SEED)
    frames = [[np.asarray(Image.fromarray(each.rgb).resize(SIZE)) for each in read_frames(clip)] for clip in clips]
    cuts, count = set(), 0
    with VideoSink(out, *SIZE, Fraction(25)) as sink:
        for _ in range(PIECES):
            clip = frames[random.integers(len(frames))]
            length = int(random.integers(SHORTEST, LONGEST))
            start = int(random.integers(0, len(clip) - length))
            if count:
                cuts.add(count)
            for frame in clip[start : start + length]:
                sink.write(frame)
            count += length
    return cuts


if __name__ == "__main__":
    main()
