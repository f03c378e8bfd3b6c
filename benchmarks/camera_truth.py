"""The camera's path and the person's world motion against rendered truth with known cameras.

    python -m benchmarks.camera_truth                     # the camera's estimate, from the true boxes and the true pose
    python -m benchmarks.camera_truth --whole 3           # also `track` as it is, on the first three clips
    python -m benchmarks.camera_truth d1.mp4 d2.mp4 ...   # also what is told of real clips

Without `--whole` the pose in the camera's frame is the true one as a fit with one focal length would find it, and the
focal length is found from the camera's turn where it can be, else it is the true one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as File

import numpy as np
from jaxtyping import Float, UInt8

from benchmarks.camera_clips import FPS, STANDS, TURNS, WALKS, Clip, clip, paths
from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion
from stages.body.model import Body, motion_template
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.store import open_body
from stages.camera.background import Background, joined
from stages.camera.focal import turned_focal
from stages.camera.follow import Follower
from stages.camera.path import camera_path
from stages.camera.people import Covered
from stages.camera.world import with_world
from tests.motions import standing

FRAMES = 60
WIDE_PX = 4
"""Margin around the true box."""
TURNED_RATIO = 0.75
"""Focal length in diagonals for real clips of which none is known: only the kind of camera is told."""


@dataclass(frozen=True)
class Score:
    """How far a tracked world is from the true one."""

    rotation: float
    """Largest rotation error of the camera against its first frame, degrees per second of the clip."""
    path: float
    """Largest distance of the pelvis from its true place in the world, % of its path's length; NaN if it stands."""
    seen: float
    """Mean acceleration of the pelvis in the camera's frame, m/s2."""
    world: float
    """... in the world that was found ..."""
    true: float
    """... and in the true world."""
    turned: float
    """How far the person turns in the world that was found, degrees."""


def score(found: Motion, true: Motion, body: Body) -> Score:
    """Compare two motions of the same frames; the worlds are brought together at the first frame."""
    seconds = len(true) / FPS
    R, true_R = (each.world.R[0].T @ each.world.R for each in (found, true))
    off = np.degrees(np.linalg.norm(rotvec_from_matrix(R.swapaxes(-1, -2) @ true_R), axis=-1))
    ours, truth = (pelvis(each, body) for each in (found, true))
    to_first = found.world.R[0].T
    placed, wanted = (ours - ours[0]) @ to_first.T, (truth - truth[0]) @ true.world.R[0]
    length = float(np.linalg.norm(np.diff(truth, axis=0), axis=1).sum())
    root = found.world.R @ matrix_from_rotvec(found.poses[:, :3].astype(np.float64))
    turned = np.degrees(np.linalg.norm(rotvec_from_matrix(root[-1] @ root[0].T)))
    apart = np.linalg.norm(placed - wanted, axis=1).max()
    return Score(
        float(off.max()) / seconds, 100 * float(apart) / length if length > 0.2 else np.nan,
        acceleration(pelvis(replace(true, world_R=None), body)), acceleration(ours), acceleration(truth),
        float(turned),
    )  # fmt: skip


def pelvis(motion: Motion, body: Body) -> Float[np.ndarray, "frames 3"]:
    """The pelvis in the world."""
    place = motion.trans + body.J_regressor[0] @ motion_template(body, motion)
    return motion.world.points(place[:, None].astype(np.float64))[:, 0]


def acceleration(places: Float[np.ndarray, "frames 3"]) -> float:
    """Mean, m/s2."""
    return float(np.linalg.norm(np.diff(places, 2, axis=0), axis=1).mean()) * FPS**2


def pictures(made: Clip, body: Body) -> tuple[list[UInt8[np.ndarray, "h w 3"]], Background]:
    """The clip's pictures, and its background as followed around the true boxes."""
    follower, shown = Follower(*made.motion.image_size), []
    for row, (picture, covered) in enumerate(made.frames(body)):
        y, x = np.nonzero(covered)
        boxes = () if not len(x) else (np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) + WIDE_PX * SIDES,)
        follower.add(row, picture, Covered(boxes))
        shown.append(picture)
    return shown, joined([follower])


SIDES = np.array([-1, -1, 1, 1])


def as_fitted(true: Motion, body: Body, focal_px: float | None) -> Motion:
    """The true motion as a fit with one focal length finds it: the person's size in the picture is right."""
    K = np.tile(true.K[:1], (len(true), 1, 1))
    K[:, 0, 0] = K[:, 1, 1] = np.exp(np.log(true.K[:, 0, 0]).mean()) if focal_px is None else focal_px
    middle = body.J_regressor[0] @ motion_template(body, true)
    place = true.trans + middle
    place[:, 2] *= K[:, 0, 0] / true.K[:, 0, 0]
    return replace(true, K=K, trans=(place - middle).astype(np.float32), world_R=None, world_t=None, camera=None)


def tracked(shown: Sequence[UInt8[np.ndarray, "h w 3"]], made: Clip, body: Body) -> Motion:
    """What `track` finds in the clip."""
    from stages.track.track import track
    from stages.video.sink import VideoSink

    with tempfile.TemporaryDirectory() as folder:
        file = File(folder) / "clip.mp4"
        with VideoSink(file, *made.motion.image_size, made.motion.fps) as sink:
            for picture in shown:
                sink.write(picture)
        return track(file, body)


def real(file: File) -> str:
    """What is told of the camera of a real clip."""
    from stages.detect.config import DetectConfig
    from stages.detect.holistic import observe

    seen = observe(file, DetectConfig())[0]
    assert seen.background is not None
    focal_px = TURNED_RATIO * float(np.hypot(*seen.image_size))
    kinds = [
        camera_path(seen.background.segments, rows.start, rows.stop - rows.start, seen.image_size,
                    seen.background.scale, turned_focal(seen.background, rows, seen.image_size) or focal_px).kind
        for rows in seen.shots
    ]  # fmt: skip
    return ", ".join(kinds)


def main(words: Sequence[str]) -> None:
    """Measure every clip."""
    parser = arguments(__doc__)
    parser.add_argument("clips", nargs="*", type=File, help="real clips")
    parser.add_argument("--whole", type=int, default=0, metavar="N", help="track the first N clips as well")
    parser.add_argument("--frames", type=int, default=FRAMES)
    options: argparse.Namespace = parser.parse_args(words)
    body = open_body("open")
    like = standing(body, options.frames)
    with Recorder(
        "The camera's path and the walker's path in the world, against rendered truth.",
        Column("clip", "camera"), Column("person", "person"), Column("speed", "speed", "times", 0),
        Column("true", "is"), Column("told", "told"), Column("how", "from"),
        Column("rotation", "rotation error", "degrees per s", 3), Column("path", "world path error", "% of its length"),
        Column("seen", "acceleration seen by the camera", "m/s2"), Column("world", "in our world", "m/s2"),
        Column("truth", "in the true world", "m/s2"), Column("turned", "person turns", "degrees"),
        Column("focal", "focal length found", "% of the true one"), keep=options,
    ) as found:  # fmt: skip
        left = options.whole
        for speed in (1.0, 2.0):
            cases = [(path, WALKS) for path in paths(speed)]
            if speed == 1:
                by_name = {path.name: path for path in paths(speed)}
                cases += [(by_name["still"], TURNS), (by_name["orbit"], STANDS)]
            for path, what in cases:
                made = clip(body, path, like, options.frames, what)
                shown, background = pictures(made, body)
                focal = turned_focal(background, slice(0, len(shown)), made.motion.image_size)
                results = [("true pose", with_world(as_fitted(made.motion, body, focal), body, background), focal)]
                if left:
                    left -= 1
                    whole = tracked(shown, made, body)
                    results.append(("track", whole, float(np.exp(np.log(whole.K[:, 0, 0]).mean()))))
                for how, motion, px in results:
                    figures = score(motion, made.motion, body)
                    middle = float(np.exp(np.log(made.motion.K[:, 0, 0]).mean()))
                    found.row(
                        clip=path.name, person=what, speed=speed, true=path.kind, told=str(motion.world.camera[0]),
                        how=how, rotation=figures.rotation, path=None if np.isnan(figures.path) else figures.path,
                        seen=figures.seen, world=figures.world, truth=figures.true, turned=figures.turned,
                        focal=None if px is None else 100 * px / middle,
                    )  # fmt: skip
        for file in options.clips:
            found.row(clip=file.stem, told=real(file), how="landmarks of the clip")


if __name__ == "__main__":
    main(sys.argv[1:])
