"""Scenes whose truth is known, and how far a fit is from it: shared by the benchmarks of the tracker.

Lengths are in mm. Aligned errors are taken after a similarity transform per part and frame, because one camera does not
tell depth from size. Absolute is the upper body as it stands in camera space with the true focal length. Jitter is the
mean length of the second difference of upper-body vertices, in mm per frame squared.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.truth_absences import SEEN, UNSEEN, absent_clip, shares_seen
from benchmarks.truth_clips import FAILURES, damaged, half_size, truth_clip, with_drop_outs, write_rendered
from stages.artifacts.motion import PARTS, Motion
from stages.body.model import Body, pose_motion
from stages.detect.holistic import detect
from stages.detect.observations import Observations
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.track.synthetic import observe

SHAPES = {
    "head": ("head",),
    "left hand": ("left_hand",),
    "right hand": ("right_hand",),
    "upper body": ("torso", "head", "left_arm", "right_arm", "left_hand", "right_hand"),
}
UPPER = SHAPES["upper body"]
QUICK = TrackConfig(adamw_steps=300, adamw_decay_step=240)
"""A quarter of AdamW's steps."""


@dataclass(frozen=True)
class Scene:
    """One clip with its truth."""

    motion: Motion
    observations: Observations
    measured: np.ndarray
    """(frames, 4): what the observations really show."""
    judged: np.ndarray
    """(frames, 4): where `measured` is beyond doubt."""
    touched: np.ndarray
    """Frames with a deliberate failure."""


@dataclass(frozen=True)
class Score:
    """One fit against its truth; lengths in mm."""

    aligned: dict[str, float]
    absolute: float
    jitter: float
    jitter_truth: float
    precision: float
    recall: float
    seconds: float
    hurt: float
    """Aligned upper-body error in the touched frames."""
    counts: dict[str, tuple[int, ...]]
    """Per part the frames rightly called measured, called so, really so, and judged at all."""


def noisy(body: Body, frames: int, seed: int) -> Scene:
    """Projected keypoints with the detector's usual noise, and nothing wrong."""
    truth = truth_clip(body, frames, seed)
    seen = observe(body, truth, noise=1.0, seed=seed)
    return Scene(truth, seen, seen.found, np.ones_like(seen.found), np.zeros(frames, bool))


def broken(body: Body, frames: int, seed: int) -> Scene:
    """The same with drop-outs, outliers and every failure that a gate is there for."""
    truth = truth_clip(body, frames, seed)
    hurt, measured, touched = damaged(observe(body, truth, noise=1.0, seed=seed), FAILURES, seed)
    hurt = with_drop_outs(hurt, seed)
    return Scene(truth, hurt, measured & hurt.found, np.ones_like(measured), touched)


def rendered(body: Body, frames: int, seed: int, folder: Path) -> Scene:
    """A video of a dressed body, detected. All parts are in sight or nearly so; what is in doubt is not judged."""
    return _filmed(body, half_size(truth_clip(body, frames, seed)), folder / f"rendered{seed}.mp4", seed)


def absent(body: Body, seed: int, folder: Path) -> Scene:
    """The same with hands out of the picture and behind the back, the person gone, and turned away."""
    return _filmed(body, absent_clip(body, seed), folder / f"absent{seed}.mp4", seed)


def _filmed(body: Body, truth: Motion, path: Path, seed: int) -> Scene:
    write_rendered(body, truth, path, seed)
    shares = shares_seen(body, truth)
    judged = (shares >= SEEN) | (shares < UNSEEN)
    return Scene(truth, detect(path), shares >= SEEN, judged, np.zeros(len(truth), bool))


def score(body: Body, scene: Scene, config: TrackConfig) -> Score:
    """Fit and compare."""
    config = replace(config, focal_px=float(scene.motion.K[0, 0, 0]))
    start = time.perf_counter()
    found = fit(scene.observations, body, config)
    seconds = time.perf_counter() - start
    ours, theirs = (pose_motion(body, motion).vertices for motion in (found, scene.motion))
    aligned = {}
    for name, parts in SHAPES.items():
        chosen = body.part_vertices(*parts)
        pairs = zip(ours[:, chosen][:, ::7], theirs[:, chosen][:, ::7], strict=True)
        aligned[name] = np.array([aligned_error_mm(a, b) for a, b in pairs])
    upper = body.part_vertices(*UPPER)
    believed, true = found.valid & scene.judged, scene.measured & scene.judged
    right = (believed & true).sum(0)
    touched = scene.touched if scene.touched.any() else np.ones(len(found), bool)
    here = scene.measured[:, 0]
    return Score(
        {name: float(errors[here].mean()) for name, errors in aligned.items()},
        float(1000 * np.linalg.norm(ours[here][:, upper] - theirs[here][:, upper], axis=-1).mean()),
        jitter_mm(ours[:, upper]), jitter_mm(theirs[:, upper]),
        float(right.sum() / max(1, believed.sum())), float(right.sum() / max(1, true.sum())), seconds,
        float(aligned["upper body"][touched].mean()),
        {part: (int(right[i]), int(believed[:, i].sum()), int(true[:, i].sum()), int(scene.judged[:, i].sum()))
         for i, part in enumerate(PARTS)},
    )  # fmt: skip


def jitter_mm(vertices: np.ndarray) -> float:
    """Mean length of the second difference, mm per frame squared."""
    return float(1000 * np.linalg.norm(np.diff(vertices, 2, axis=0), axis=-1).mean())


def aligned_error_mm(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean distance after the best similarity transform (Umeyama 1991), millimetres."""
    a, b = (points.astype(np.float64) - points.mean(0, dtype=np.float64) for points in (ours, theirs))
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * sign).sum() / (a**2).sum()
    return float(1000 * np.linalg.norm(scale * a @ (u * sign @ vt).T - b, axis=-1).mean())
