"""Does a long clip shake where one window of the fit ends and the next begins?

    python -m benchmarks.track_window_borders VIDEO... [--window 40] [--overlap 20] [--write]

Each VIDEO is detected once and fitted in windows. Jitter is the length of the second difference of the joints' places
in camera space, mean over the joints: over the frames at borders (the second differences that straddle one) and over
all others. The clip fitted as a whole has no borders; a ratio over the same frames that is higher than its ratio is the
windows' doing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.body.store import open_body
from stages.detect.holistic import detect
from stages.track.config import TrackConfig
from stages.track.fit import fit

COLUMNS = (
    Column("clip", "clip"), Column("frames", "clip", "frames", 0), Column("borders", "borders", digits=0),
    Column("at", "jitter at borders", "mm per frame squared", 2), Column("inside", "inside", "mm per frame squared", 2),
    Column("ratio", "ratio", digits=2), Column("whole", "ratio of the same frames in one window", digits=2),
)  # fmt: skip


def jitter(body: Body, motion: Motion) -> Float[np.ndarray, "inner"]:
    """Of each frame but the first and the last."""
    joints = pose_motion(body, motion).joints.astype(float) * 1000
    return np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).mean(1)


def at_borders(inner: int, window: int) -> np.ndarray:
    """Which second differences straddle a border."""
    middle = np.arange(inner) + 1
    return (middle >= window - 1) & ((middle % window == 0) | (middle % window == window - 1))


def shares(values: Float[np.ndarray, "inner"], window: int) -> tuple[float, float]:
    """Mean jitter at borders and elsewhere."""
    border = at_borders(len(values), window)
    return float(values[border].mean()), float(values[~border].mean())


def main() -> None:
    """Print and record a row per clip."""
    parser = arguments(__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--window", type=int, default=40)
    parser.add_argument("--overlap", type=int, default=TrackConfig().overlap_frames)
    options = parser.parse_args()
    body, what = open_body("open"), "Jitter of the joints where one window of the fit ends and the next begins."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for path in options.videos:
            seen = detect(path)
            cut = TrackConfig(window_frames=options.window, overlap_frames=options.overlap)
            whole = TrackConfig(window_frames=len(seen) + 1)
            border, inside = shares(jitter(body, fit(seen, body, cut)), options.window)
            plain = shares(jitter(body, fit(seen, body, whole)), options.window)
            found.row(clip=path.stem, frames=len(seen), borders=(len(seen) - 1) // options.window, at=border,
                      inside=inside, ratio=border / inside, whole=plain[0] / plain[1])  # fmt: skip
        found.note(f"Windows of {options.window} frames with an overlap of {options.overlap}; the default is "
                   f"{TrackConfig().window_frames}.")  # fmt: skip
        found.note("Where the ratio of one window is high too, more moves in these frames of the clip.")


if __name__ == "__main__":
    main()
