"""The small model beside the puppet, and both tracked again, on the held-out people of `benchmarks.learning`.

    python -m benchmarks.learning_against_puppet WORK/scored/whole-method [--people 12] [--write]

The first argument holds what `benchmarks.learning score` drew. The puppet is given the same photo eight times as large,
with the person's exact motion, and its result is made as small as the model's: more than the model has. Then truth,
model and puppet are enlarged to 512 pixels and tracked by `emosh track`'s own function: in how many frames a body is
found, and there how far shoulders, elbows and wrists lie from the truth, in shoulder widths.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from benchmarks.learning import FRAMES, HELD, Task, measured, people_config, tasks
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion, select_rows
from stages.body.camera import project
from stages.body.model import Body, motion_template, pose_joints
from stages.body.smplx_layout import joint
from stages.body.store import open_body
from stages.errors import InputError
from stages.generate.puppet.generate import PuppetConfig, generate
from stages.people.clips import draw_frames, make_person
from stages.track.track import track
from stages.video.png import write_png
from stages.video.sink import VideoSink
from stages.video.source import read_frames

ENLARGED = 8
COLUMNS = (
    Column("motion", "moved by"), Column("drawn", "drawn by"), Column("psnr", "PSNR", "dB"),
    Column("ssim", "SSIM", digits=3), Column("found", "frames with a body", "share", 2),
    Column("off", "upper joints off, median", "shoulder widths", 2),
)  # fmt: skip
JOINTS = [joint(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist") for side in ("left", "right")]


def enlarged(motion: Motion) -> Motion:
    """The same motion in a picture of so many times the size."""
    K = motion.K.copy()
    K[:, :2] *= ENLARGED
    width, height = motion.image_size
    return replace(
        motion, K=K, image_size=(width * ENLARGED, height * ENLARGED),
        face_height_px=motion.face_height_px * ENLARGED, shoulder_width_px=motion.shoulder_width_px * ENLARGED,
    )  # fmt: skip


def puppet(body: Body, number: int, task: Task, place: Path) -> UInt8[np.ndarray, "frames height width 3"]:
    """The task drawn by the puppet, made small."""
    person = make_person(body, HELD + number, people_config())
    reference = enlarged(select_rows(person.motion, slice(-1, None)))
    photo, out = place / "photo.png", place / "puppet.mp4"
    write_png(photo, next(iter(draw_frames(body, replace(person, motion=reference)))))
    config = PuppetConfig(framing="drive", watermark=False, lossless=True, size=max(reference.image_size))
    generate(photo, reference, enlarged(task.motion), body, config, out)
    width, height = task.motion.image_size
    return np.stack(
        [cv2.resize(frame.rgb, (width, height), interpolation=cv2.INTER_AREA) for frame in read_frames(out)]
    )


def tracked(frames: UInt8[np.ndarray, "frames height width 3"], truth: Motion, body: Body, place: Path) -> np.ndarray:
    """Distances of the upper body's joints from the truth in shoulder widths, one row per frame in which a body is
    found; NaN for the others."""
    path = place / "enlarged.mp4"
    width, height = truth.image_size
    with VideoSink(path, width * ENLARGED, height * ENLARGED, truth.fps) as sink:
        for frame in frames:
            size = (width * ENLARGED, height * ENLARGED)
            sink.write(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC))
    away = np.full((len(frames), len(JOINTS)), np.nan)
    try:
        found = track(path, body)
    except InputError:
        return away
    exact = enlarged(truth)
    distance = np.linalg.norm(_joints(body, found) - _joints(body, exact), axis=-1) / exact.shoulder_width_px[:, None]
    away[found.valid[:, 0]] = distance[found.valid[:, 0]]
    return away


def _joints(body: Body, motion: Motion) -> Float[np.ndarray, "frames chosen 2"]:
    joints, _ = pose_joints(body, motion_template(body, motion), motion.poses, motion.trans)
    return project(joints[:, JOINTS], motion.K)[..., :2]


def rows(scored: Path, people: int) -> Iterator[tuple[str, str, dict[str, float], np.ndarray]]:
    """kind, name, figures and distances of every clip and way of drawing it."""
    body = open_body()
    for at, (kind, task) in enumerate(tasks(body, people)):
        with tempfile.TemporaryDirectory() as folder:
            drawn = {
                "truth": task.truth,
                "small model": np.stack([frame.rgb for frame in read_frames(scored / f"{task.name}.mp4")]),
                "puppet": puppet(body, at // 2, task, Path(folder)),
                "copy of the reference": np.repeat(task.photo[None], FRAMES, 0),
            }
            for name, frames in drawn.items():
                away = tracked(frames, task.motion, body, Path(folder))
                yield kind, name, measured(frames, task) if name != "truth" else {}, away
        print(kind, task.name, flush=True)


def main() -> None:
    """Print and record the table."""
    parser = arguments(__doc__)
    parser.add_argument("scored", type=Path)
    parser.add_argument("--people", type=int, default=12)
    chosen = parser.parse_args()
    what = "The small model beside the puppet on held-out synthetic people, and the results of both tracked again."
    with Recorder(what, *COLUMNS, keep=chosen) as found:
        figures, away = defaultdict(list), defaultdict(list)
        for kind, name, measures, distances in rows(chosen.scored, chosen.people):
            figures[kind, name].append(measures)
            away[kind, name].append(distances)
        for (kind, name), clips in figures.items():
            every = np.concatenate(away[kind, name])
            seen = np.isfinite(every).all(1)
            means = {key: np.mean([clip[key] for clip in clips]) for key in ("psnr", "ssim") if clips[0]}
            off = np.median(every[seen]) if seen.any() else None
            found.row(motion=kind, drawn=name, **means, found=seen.mean(), off=off)
        found.note(f"{chosen.people} people. The puppet is given the photo eight times as large and the exact motion.")


if __name__ == "__main__":
    main()
