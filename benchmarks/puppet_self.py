"""The puppet driven by the clip that its photo is taken from, against the clip's own frames.

    python -m benchmarks.puppet_self VIDEO... [--frames 12] [--write]

Two photos per clip: its first frame, and the frame with the most turned face. The clip is tracked once; the frames are
drawn in the clip's own camera and compared with the true ones, inside the tracked body and inside the face. Beside it a
still copy of the photo. Tracking errors are in the figures.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.puppet_truth import figures, regions
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion, select_rows
from stages.artifacts.provenance import Provenance
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.store import open_body
from stages.drawing.photo_faults import head_angles
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.generate import detect_face, draw_frames, make_puppet
from stages.track.track import track
from stages.video.png import write_png
from stages.video.source import read_frames

REGIONS = ("person", "face")
COLUMNS = (
    Column("video", "clip"), Column("photo", "photo"), Column("yaw", "its yaw", "degrees", 0),
    Column("drawn", "drawn by"), *(Column(region, f"PSNR {region}", "dB") for region in REGIONS),
    Column("ssim", "SSIM person", digits=3),
)  # fmt: skip


def main() -> None:
    """Print and record two rows per photo."""
    parser = arguments(__doc__)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=12, help="frames compared per photo")
    options = parser.parse_args()
    body = open_body()
    what = "The puppet driven by the clip that its photo is taken from, against the clip's own frames."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for video in options.videos:
            motion, pictures = track(video, body), [frame.rgb for frame in read_frames(video)]
            known = np.flatnonzero(motion.valid_part("face") & motion.valid_part("body"))
            yaws = {int(row): abs(_yaw(motion, int(row), body)) for row in known}
            for name, row in (
                ("first frame", int(known[0])),
                ("most turned face", max(yaws, key=lambda row: yaws[row])),
            ):
                rows = known[np.linspace(0, len(known) - 1, options.frames).round().astype(int)]
                for drawn, score in _scores(motion, pictures, row, rows[rows != row], body).items():
                    found.row(video=video.stem, photo=name, yaw=yaws[row], drawn=drawn, **score)
        found.note("PSNR is the mean over frames; the camera is the clip's, so framing is not judged.")


def _yaw(motion: Motion, row: int, body: Body) -> float:
    posed = pose_motion(body, motion, slice(row, row + 1))
    return head_angles(posed.transforms[0, JOINT_NAMES.index("head"), :, :3])[0]


def _scores(
    motion: Motion, pictures: list[np.ndarray], row: int, rows: np.ndarray, body: Body
) -> dict[str, dict[str, float]]:
    """Mean figures by what drew the frames `rows` from the photo `row`."""
    reference = replace(select_rows(motion, slice(row, row + 1)), provenance=Provenance("track"))
    target = select_rows(motion, rows)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        write_png(photo, pictures[row])
        landmarks = detect_face(photo)
    config = PuppetConfig(framing="drive")  # the camera of the clip is that of the photo
    puppet, exact, _ = make_puppet(pictures[row], reference, target, body, landmarks, config)
    scores: dict[str, list[dict[str, float]]] = {"puppet": [], "copy of the photo": []}
    for number, frame in enumerate(draw_frames(puppet, exact)):
        masks = {name: mask for name, mask in regions(target, number, body).items() if name in REGIONS}
        truth = pictures[rows[number]][: frame.shape[0], : frame.shape[1]]
        for name, picture in (("puppet", frame), ("copy of the photo", pictures[row])):
            scores[name].append(figures(picture[: truth.shape[0], : truth.shape[1]], truth, masks))
    return {
        name: {key: float(np.nanmean([score[key] for score in mine])) for key in (*REGIONS, "ssim")}
        for name, mine in scores.items()
    }


if __name__ == "__main__":
    main()
