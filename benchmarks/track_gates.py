"""Each gate of the tracker on a clip that needs it: error and false claims with that gate alone, and with none.

    python -m benchmarks.track_gates [--write]

One clip per gate: known truth, noisy keypoints, and in six frames of forty the failure that the gate is there for.
Error is that of the damaged part in those frames, as it stands relative to the shoulders.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.record import Column, Recorder, arguments
from benchmarks.truth_clips import FAILURES, truth_clip
from stages.artifacts.motion import PARTS, Motion
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.store import open_body
from stages.detect.gates import GATES
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.track.synthetic import observe

FRAMES, SEED = 40, 4
VERTICES = {
    "body": ("torso", "head", "left_arm", "right_arm"), "face": ("head",),
    "left_hand": ("left_arm", "left_hand"), "right_hand": ("right_arm", "right_hand"),
}  # fmt: skip
COLUMNS = (
    Column("gate", "gate"), Column("error_with", "error with it", "mm"), Column("error_without", "without", "mm"),
    Column("false_with", "falsely called measured with it", "part-frames", 0),
    Column("false_without", "without", "part-frames", 0),
)  # fmt: skip


def case(body: Body, gate: str) -> dict[str, float]:
    """Fit the damaged clip twice."""
    truth = truth_clip(body, FRAMES, SEED)
    clean = observe(body, truth, noise=1.0, seed=SEED)
    rows = slice(FRAMES // 2 - 3, FRAMES // 2 + 3)
    names = ("pose", "pose_world", "face", "left_hand", "right_hand", "found", "evidence")
    hurt = replace(clean, **{name: getattr(clean, name).copy() for name in names})
    parts = FAILURES[gate](hurt, rows, np.random.default_rng(SEED))
    measured = np.ones((FRAMES, 4), bool)
    for part in parts:
        measured[rows, PARTS.index(part)] = False
    focal, row = float(truth.K[0, 0, 0]), {}
    for name, off in (("with", tuple(name for name in GATES if name != gate)), ("without", GATES)):
        found = fit(hurt, body, TrackConfig(focal_px=focal, gates_off=off))
        row[f"error_{name}"] = float(part_error_mm(body, found, truth, parts[0])[rows].mean())
        row[f"false_{name}"] = int((found.valid & ~measured).sum())
    return row


def part_error_mm(body: Body, found: Motion, truth: Motion, part: str) -> np.ndarray:
    """Mean vertex distance per frame with the mid-shoulders on each other, mm."""
    chosen = body.part_vertices(*VERTICES[part])
    shoulders = [JOINT_NAMES.index(name) for name in ("left_shoulder", "right_shoulder")]
    moved = []
    for motion in (found, truth):
        posed = pose_motion(body, motion)
        moved.append(posed.vertices[:, chosen] - posed.joints[:, shoulders].mean(1, keepdims=True))
    return 1000 * np.linalg.norm(moved[0] - moved[1], axis=-1).mean(1)


def main() -> None:
    """Print and record the table."""
    options = arguments(__doc__).parse_args()
    body, what = open_body(), "Each gate of the tracker on a clip that needs it: that gate alone, and none."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for gate in FAILURES:
            found.row(gate=gate, **case(body, gate))
        found.note("`off the arm` and `missed by the fit` change what the motion claims to have measured, and not the "
                   "error: the robust loss already ignores such a hand.")  # fmt: skip


if __name__ == "__main__":
    main()
