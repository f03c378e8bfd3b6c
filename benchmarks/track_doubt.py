"""How often the tracker's true error is within the error that it expects, per part, on known motions it may not know.

    python -m benchmarks.track_doubt FOLDER [--factors] [--write]

FOLDER holds real clips with 3-D truth, as `benchmarks.real_truth` describes them. Beside them are rendered people
(`emosh people`, all framings, detected and fitted with an estimated focal length) and the rendered gestures of
`benchmarks.truth_scores`. The factors in `stages.track.doubt` are those under which the true errors of the real clips
and of as much of the rendered ones are most likely, each scene with the same weight; `--factors` finds and prints them.
Rendered people of another seed are kept apart. A last set shows the real clips with factors from rendered people alone.

The error of a part in mm is the root mean square distance of its points with the anchors on those of the truth, in
pixels as they stand (`stages.track.doubt.PARTS`). Only frames with a valid body and parts that are
fitted count.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np
from jaxtyping import Float

from benchmarks.real_truth import ROOTS, View, views
from benchmarks.record import Column, Recorder, arguments
from benchmarks.truth_scores import rendered
from stages.artifacts.motion import BODY_PARTS, Motion, load_motion
from stages.body.camera import project
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.body.store import open_body
from stages.detect.holistic import detect
from stages.detect.observations import Observations
from stages.people.clips import make_person, write_person
from stages.people.config import PeopleConfig
from stages.track import doubt, fit
from stages.track.config import TrackConfig

COLUMNS = (
    Column("scenes", "scenes"), Column("part", "part"), Column("frames", "frames", digits=0),
    Column("error_mm", "error", "mm"), Column("expected_mm", "expected", "mm"),
    Column("once_mm", "mm within", "%", 0), Column("twice_mm", "mm within twice", "%", 0),
    Column("error_px", "error", "px"), Column("expected_px", "expected", "px"),
    Column("once_px", "px within", "%", 0), Column("twice_px", "px within twice", "%", 0),
)  # fmt: skip
NAMES = tuple(dict.fromkeys(name for part in doubt.PARTS.values() for name in (*part.points, *part.anchors)))
KINDS = {"torso": "torso", "head": "head", "arms": "arm", "legs": "leg", "hands": "hand"}
"""Row of the table -> end of the parts' names. Both sides have the same factors."""
PEOPLE = PeopleConfig(frames=40, supersample=1)
USED, APART = "rendered people, for the factors", "rendered people, kept apart"
SEEDS = {USED: (16, 14, (11, 12, 13)), APART: (17, 8, (21, 22))}
"""Set -> seed and number of people, seeds of gestures."""


@dataclass(frozen=True)
class Errors:
    """One scene: frames x parts; NaN where the truth is not known or the body is not valid."""

    scenes: str
    found: doubt.Doubt
    mm: Float[np.ndarray, "frames parts"]
    px: Float[np.ndarray, "frames parts"]


def compared(
    scenes: str, body: Body, seen: Observations, truth: Float[np.ndarray, "frames points 3"],
    truth_px: Float[np.ndarray, "frames points 2"], config: TrackConfig, own_scale: bool = False,
) -> Errors:  # fmt: skip
    """Fit a scene and compare it with its truth: NAMES in the camera's frame, metres, and in the picture."""
    kept: list[doubt.Doubt] = []

    def record(*given: object) -> doubt.Doubt:
        kept.append(doubt.doubt(*given))  # pyright: ignore[reportArgumentType]
        return kept[-1]

    with mock.patch.object(fit, "doubt", record):
        motion = fit.fit(seen, body, config)
    ours = points_of(motion, body)
    ours[~motion.valid[:, 0]] = np.nan
    scale = _scale(ours, truth) if own_scale else 1.0
    away = [ours * scale, project(ours, motion.K)[..., :2]]
    mm, px = np.full((2, len(ours), len(BODY_PARTS)), np.nan)
    for column, part in enumerate(doubt.PARTS.values()):
        own, held = ([NAMES.index(name) for name in names] for names in (part.points, part.anchors))
        moved, still = (points[:, own] - points[:, held].mean(1, keepdims=True) for points in (away[0], truth))
        if not kept[-1].fitted[column]:
            continue
        mm[:, column] = 1000 * _root_mean_square(moved - still)
        px[:, column] = _root_mean_square(away[1][:, own] - truth_px[:, own])
    return Errors(scenes, kept[-1], mm, px)


def points_of(motion: Motion, body: Body) -> Float[np.ndarray, "frames points 3"]:
    """NAMES on the body of a motion, camera frame, metres."""
    points = keypoints_from(body, motion_template(body, motion), pose_motion(body, motion))
    return points[:, [body.keypoint_names.index(name) for name in NAMES]].astype(float)


def _root_mean_square(away: Float[np.ndarray, "frames points axes"]) -> Float[np.ndarray, "frames"]:
    """Over points; NaN where less than half of them are known."""
    squared = (away**2).sum(-1)
    known = np.isfinite(squared)
    found = np.sqrt(np.where(known, squared, 0).sum(1) / np.maximum(known.sum(1), 1))
    return np.where(known.sum(1) * 2 >= known.shape[1], found, np.nan)


def _scale(ours: Float[np.ndarray, "frames points 3"], truth: Float[np.ndarray, "frames points 3"]) -> float:
    """The scale of the truth against ours, from the arms about the shoulders."""
    arms = [NAMES.index(f"pose_{number}") for number in range(11, 17)]
    a, b = (points[:, arms] - points[:, arms[:2]].mean(1, keepdims=True) for points in (ours, truth))
    known = np.isfinite(a).all(-1) & np.isfinite(b).all(-1)
    return float((a[known] * b[known]).sum() / (a[known] ** 2).sum())


# ---- the scenes
def rendered_scenes(name: str, body: Body, folder: Path) -> Iterator[Errors]:
    """People and gestures of a set in SEEDS."""
    seed, people, gestures = SEEDS[name]
    config = replace(PEOPLE, seed=seed)
    for number in range(people):
        person = make_person(body, number, config)
        write_person(body, person, config, folder)
        video = folder / f"person-{number:06d}.mp4"
        yield _of_motion(name, body, detect(video), load_motion(video.with_suffix(".npz")), TrackConfig())
    for each in gestures:
        scene = rendered(body, 45, each, folder)
        known = TrackConfig(focal_px=float(scene.motion.K[0, 0, 0]))
        yield _of_motion(name, body, scene.observations, scene.motion, known)


def _of_motion(name: str, body: Body, seen: Observations, truth: Motion, config: TrackConfig) -> Errors:
    points = points_of(truth, body)
    return compared(name, body, seen, points, project(points, truth.K)[..., :2], config)


def real_scene(view: View, body: Body) -> Errors:
    """A view of a real clip. Where the root is the shoulders, the truth's own scale is in doubt and is not counted."""
    import cv2

    seen = detect(view.video)
    truth = np.full((len(seen), len(NAMES), 3), np.nan)
    for column, name in enumerate(NAMES):
        kind, _, number = name.rpartition("_")
        source = {"pose": view.pose, "face": view.face, **view.hands}.get(kind)
        if source is not None:
            truth[:, column] = source[: len(seen), int(number)]
    shoulders = view.root == ROOTS["shoulders"]
    if shoulders:
        truth[:, [NAMES.index(f"pose_{number}") for number in range(23, 29)]] = np.nan
    flat, known = np.full((*truth.shape[:2], 2), np.nan), np.isfinite(truth).all(-1)
    flat[known] = cv2.projectPoints(truth[known], np.zeros(3), np.zeros(3), view.K, view.distortion)[0][:, 0]
    return compared(f"{view.clip} {view.name}", body, seen, truth, flat, TrackConfig(), own_scale=shoulders)


# ---- the factors
def likeliest(scenes: list[Errors], kind: str, unit: str) -> tuple[float, float, float]:
    """Constant, spread factor and distance factor of a kind of part, under which the true errors are most likely: the
    error of a frame is normal with the expected one as its root mean square. Real and rendered scenes weigh the same as
    a whole, and each scene as the others of its group."""
    from scipy.optimize import minimize

    error, weight, terms = [], [], []
    for one in scenes:
        columns = [row for row, part in enumerate(BODY_PARTS) if part.endswith(kind)]
        values = getattr(one, unit)[:, columns]
        known = np.isfinite(values)
        if known.any():
            group = sum((each.scenes in SEEDS) == (one.scenes in SEEDS) and np.isfinite(each.mm[:, columns]).any()
                        for each in scenes)  # fmt: skip
            error.append(values[known])
            weight.append(np.full(known.sum(), 1 / known.sum() / group))
            terms.append(np.stack([each[:, columns][known] for each in _terms(one.found, unit)]))
    errors, weights, parts = np.concatenate(error), np.concatenate(weight), np.concatenate(terms, 1)

    def cost(logarithms: np.ndarray) -> float:
        expected = (np.exp(2 * logarithms)[:, None] * parts**2).sum(0)
        held = 1e-3 * float((logarithms[1:] ** 2).sum())
        return float((weights * (np.log(expected) + errors**2 / expected)).sum() / weights.sum()) + held

    starts = ([3.0, 0, 0], [3.0, 0.7, 0.5], [0.0, 0.7, 0.5])
    found = min((minimize(cost, start, method="Nelder-Mead", options={"maxiter": 4000}) for start in starts),
                key=lambda each: each.fun)  # fmt: skip
    constant, spread, missed = np.exp(found.x).tolist()
    return round(constant, 1), round(spread, 2), round(missed, 2)


def _terms(found: doubt.Doubt, unit: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if unit == "mm":
        return np.ones_like(found.spread_mm), found.spread_mm, found.missed_px / found.px_per_mm
    return found.px_per_mm, found.spread_px, found.missed_px


def main() -> None:
    """Print and record the table."""
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--factors", action="store_true", help="also find and print the factors")
    options = parser.parse_args()
    body = open_body("open")
    what = "How often the tracker's true error is within the error that it expects, and within twice that."
    with Recorder(what, *COLUMNS, keep=options) as table:
        real = [real_scene(view, body) for view in views(options.folder)]
        with tempfile.TemporaryDirectory() as folder:
            for seed, *_ in SEEDS.values():
                (Path(folder) / str(seed)).mkdir()
            made = {name: list(rendered_scenes(name, body, Path(folder) / str(seed)))
                    for name, (seed, *_) in SEEDS.items()}  # fmt: skip
        for group in [*made.values(), *([one] for one in real)]:
            _rows(table, group, group[0].scenes, {})
        alone = {(kind, unit): likeliest(made[USED], kind, unit) for kind in KINDS.values() for unit in ("mm", "px")}
        _rows(table, real, "real clips, factors from rendered people alone", alone)
        if options.factors:
            for kind in KINDS.values():
                print(kind, *(likeliest([*made[USED], *real], kind, unit) for unit in ("mm", "px")))
        table.note("Errors are root mean squares over frames, expected ones too. Of normal errors in three dimensions "
                   "about 60 % of the frames lie within the expected error and 99 % within twice.")  # fmt: skip
        table.note("Torso: the hips about the shoulders; head and arms about the shoulders; legs about the hips; hands "
                   "about the wrist. On desk the truth's scale is in doubt and is not counted.")  # fmt: skip


def _rows(table: Recorder, scenes: list[Errors], name: str, factors: dict[tuple[str, str], tuple]) -> None:
    for row, kind in KINDS.items():
        columns = [number for number, part in enumerate(BODY_PARTS) if part.endswith(kind)]
        cells: dict[str, float] = {}
        for unit in ("mm", "px"):
            error = np.concatenate([getattr(one, unit)[:, columns].ravel() for one in scenes])
            expected = np.concatenate([
                _expected(one.found, unit, factors.get((kind, unit)))[:, columns].ravel() for one in scenes
            ])  # fmt: skip
            known = np.isfinite(error)
            if known.any():
                error, expected = error[known], expected[known]
                cells |= {"frames": float(known.sum()), f"error_{unit}": float(np.sqrt((error**2).mean())),
                          f"expected_{unit}": float(np.sqrt((expected**2).mean())),
                          f"once_{unit}": 100 * float((error <= expected).mean()),
                          f"twice_{unit}": 100 * float((error <= 2 * expected).mean())}  # fmt: skip
        if cells:
            table.row(scenes=name, part=row, **cells)


def _expected(found: doubt.Doubt, unit: str, factors: tuple | None) -> Float[np.ndarray, "frames parts"]:
    """With other factors than the tracker's, if given."""
    if factors is None:
        return getattr(found, f"expected_{unit}")()
    return np.sqrt(sum((factor * term) ** 2 for factor, term in zip(factors, _terms(found, unit), strict=True)))


if __name__ == "__main__":
    main()
