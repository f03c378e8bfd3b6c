"""Does a long clip shake where one window of the fit ends and the next begins?

    python -m benchmarks.seams VIDEO... [--window 40] [--overlap 20]

Each VIDEO is detected once and fitted in windows. Jitter: length of the second difference of the joints' places in
camera space, mean over the joints, mm a frame squared. Printed: its mean over the frames at borders (the second
differences that straddle one) and over all others, their ratio, and the same ratio for the clip fitted as a whole,
which has no borders, over the same frames: what is left beyond it is the windows' doing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import Body, pose_motion
from stages.body.store import open_body
from stages.detect.holistic import detect
from stages.track.config import TrackConfig
from stages.track.fit import fit


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
    """A row per clip."""
    parser = argparse.ArgumentParser(description="Jitter at window borders against jitter inside.")
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--window", type=int, default=40)
    parser.add_argument("--overlap", type=int, default=TrackConfig().overlap_frames)
    options = parser.parse_args()
    body = open_body("open")
    print("| clip | frames | borders | at borders mm | inside mm | ratio | the same frames, one window |")
    print("|---|---|---|---|---|---|---|")
    for path in options.videos:
        seen = detect(path)
        cut = TrackConfig(window_frames=options.window, overlap_frames=options.overlap)
        whole = TrackConfig(window_frames=len(seen) + 1)
        border, inside = shares(jitter(body, fit(seen, body, cut)), options.window)
        plain = shares(jitter(body, fit(seen, body, whole)), options.window)
        count = (len(seen) - 1) // options.window
        print(f"| {path.stem} | {len(seen)} | {count} | {border:.2f} | {inside:.2f} | {border / inside:.2f} | "
              f"{plain[0] / plain[1]:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
