"""The built-in detector of this checkout against that of another one: found parts, distances, processor time.

    python -m benchmarks.detector_versions VIDEO... --against TREE --python TREE/.venv/bin/python [--write]

TREE is a checkout of the commit to compare with, and --python an environment with its packages. Both read every VIDEO
as `emosh track` does. Distances are in pixels of the source, over frames in which both found the part; of the pose only
points with a visibility above 0.5 in both count. Hands are those that the gates accept.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import Column, Recorder, arguments

HERE = Path(__file__).resolve().parents[1]
OBSERVE = """
import sys
from pathlib import Path
import numpy as np
from stages.detect.config import DetectConfig
from stages.detect.gates import gate
from stages.detect.holistic import detect
seen = detect(Path(sys.argv[1]), DetectConfig())
names = ("pose", "face", "left_hand", "right_hand")
np.savez(sys.argv[2], valid=gate(seen).valid, **{name: getattr(seen, name) for name in names})
"""
COLUMNS = (
    Column("clip", "clip"), Column("frames", "frames", digits=0),
    Column("pose", "pose apart", "px, median", 2), Column("face", "face apart", "px, median", 2),
    Column("hands", "hands apart", "px, median", 2),
    Column("old_faces", "faces before", digits=0), Column("new_faces", "faces now", digits=0),
    Column("old_hands", "hands before", digits=0), Column("new_hands", "hands now", digits=0),
    Column("old_cpu", "before", "processor ms per frame", 0), Column("new_cpu", "now", "processor ms per frame", 0),
)  # fmt: skip


def observe(python: str, tree: Path, video: Path, out: Path) -> tuple[dict[str, np.ndarray], float]:
    """The points that one checkout finds, and the processor seconds of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", OBSERVE, str(video), str(out)], cwd=tree, check=True, stderr=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONPATH": str(tree)})  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with np.load(out, allow_pickle=False) as arrays:
        return dict(arrays), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def apart(old: np.ndarray, new: np.ndarray) -> float | None:
    """Median distance of points that both have."""
    distances = np.linalg.norm((new - old)[..., :2], axis=-1)
    return float(np.nanmedian(distances)) if np.isfinite(distances).any() else None


def compared(video: Path, tree: Path, python: str, folder: Path) -> dict:
    """One row."""
    old, old_seconds = observe(python, tree, video, folder / "old.npz")
    new, new_seconds = observe(sys.executable, HERE, video, folder / "new.npz")
    frames = len(new["pose"])
    seen = (old["pose"][..., 2] > 0.5) & (new["pose"][..., 2] > 0.5)
    pose = [np.where(seen[..., None], each["pose"], np.nan) for each in (old, new)]
    hands = [np.concatenate([each["left_hand"], each["right_hand"]]) for each in (old, new)]
    return {
        "clip": video.stem, "frames": frames, "pose": apart(*pose), "face": apart(old["face"], new["face"]),
        "hands": apart(*hands), "old_faces": old["valid"][:, 1].sum(), "new_faces": new["valid"][:, 1].sum(),
        "old_hands": old["valid"][:, 2:].sum(), "new_hands": new["valid"][:, 2:].sum(),
        "old_cpu": 1000 * old_seconds / frames, "new_cpu": 1000 * new_seconds / frames,
    }  # fmt: skip


def main() -> None:
    """Print and record a row per clip."""
    parser = arguments(__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--against", type=Path, required=True, metavar="TREE")
    parser.add_argument("--python", default=sys.executable, help="the other checkout's Python")
    options = parser.parse_args()
    what = "MediaPipe's networks run by onnxruntime against mediapipe 0.10.21's own graph, on the same clips."
    with Recorder(what, *COLUMNS, keep=options) as found, tempfile.TemporaryDirectory() as folder:
        for video in options.videos:
            found.row(**compared(video.resolve(), options.against.resolve(), options.python, Path(folder)))
        found.note("Processor time is of the whole process, imports and opening of the networks included.")


if __name__ == "__main__":
    main()
