"""How well shots are told apart: pieces of real clips joined by hard cuts, and the clips themselves, which have none.

    python -m benchmarks.curate_shots CLIP... [--write]

Every threshold's hits, misses and false cuts, the scores of the cuts that are missed, and the highest score in any
clip. Pieces of 20 to 44 frames, drawn with a fixed seed; two that follow each other may be of one clip.
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.record import Column, Recorder, arguments
from stages.video.shots import shot_scores
from stages.video.sink import VideoSink
from stages.video.source import read_frames

SIZE, PIECES, SHORTEST, LONGEST, SEED = (320, 180), 40, 20, 45, 0
THRESHOLDS = (5.0, 8.0, 10.0, 12.0, 15.0)
COLUMNS = (
    Column("threshold", "threshold", digits=0), Column("cuts", "cuts", digits=0), Column("found", "found", digits=0),
    Column("false", "false cuts", digits=0),
)  # fmt: skip


def main() -> None:
    """Print and record the table."""
    parser = arguments(__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    options = parser.parse_args()
    inside = {clip.stem: max(shot_scores(clip)) for clip in options.clips}
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "joined.mp4"
        cuts = join(options.clips, joined)
        told = shot_scores(joined)
    what = "How well curation finds hard cuts between pieces of real clips, by threshold."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for threshold in THRESHOLDS:
            said = {index for index, score in enumerate(told) if score >= threshold}
            found.row(threshold=threshold, cuts=len(cuts), found=len(said & cuts), false=len(said - cuts))
        missed = ", ".join(
            f"{told[cut]:.1f}" for cut in sorted(cuts, key=told.__getitem__) if told[cut] < max(THRESHOLDS)
        )
        found.note(f"Scores of the cuts below the highest threshold: {missed or 'none'}.")
        found.note(
            f"The highest score inside a shot: {max(inside.values()):.1f} ({max(inside, key=inside.__getitem__)})."
        )
        found.note("Dissolves are not in the set.")


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
