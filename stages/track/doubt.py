"""How far the fitted body may be from the truth, part by part and frame by frame.

The normal equations at the end of a fit are the inverse covariance of its unknowns. Their marginal for one frame,
pushed through the derivatives of a part's points, is the spread of these points: small where a part is seen, large
where only the prior and the neighbouring frames hold it, and large along the line of sight. It knows nothing of a
network that is wrong in every frame alike, nor of a body that is not this person's. So the expected error has three
terms:

    expected^2 = constant^2 + (spread factor * spread)^2 + (distance factor * distance)^2

with the distance of the fitted points from the detector's. The factors are those under which the true errors of known
motions are most likely (`python -m benchmarks.track_doubt`). The shape counts as known: how wrong it usually is, is in
the constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import BODY_PARTS
from stages.body.model import Body
from stages.track.block_arrow import marginals
from stages.track.collapse import CollapsedKeypoints, collapse, shape_columns
from stages.track.config import TrackConfig
from stages.track.gauss_newton import FLOOR
from stages.track.jacobian import keypoint_jacobian, moving_columns, pose_keypoints
from stages.track.objective import NEAR_M, NormalEquations, normal_equations, with_groups
from stages.track.solvers import Task
from stages.track.state import EXPRESSION_START, FRAMES_AT_ONCE, Kinematics, State, joint_columns, kinematics
from stages.track.targets import BODY_POINTS, TargetGroup

EVIDENCE = ("body", "rigid_face", "left_hand", "right_hand")
"""Target groups whose curvature counts. The many points of the face err together: its rigid ones say enough."""
UNDOUBTED = ("jaw", "left_eye_smplhf", "right_eye_smplhf", "left_foot", "right_foot")
"""Joints that move none of the points below."""


@dataclass(frozen=True)
class Part:
    """What the expected error of one part is about."""

    points: tuple[str, ...]
    """Their root mean square distance from the truth is the error."""
    anchors: tuple[str, ...]
    """For the error in mm the middle of these is laid on that of the truth."""
    group: str
    """The target group of the detector's points ..."""
    numbers: tuple[int, ...] | None
    """... and which of them, as pose points; None: all."""
    mm: tuple[float, float, float]
    """Constant in mm, spread factor, distance factor."""
    px: tuple[float, float, float]
    """The same for the error in the picture; the constant in mm at the person."""
    joint: str
    """Where this joint is not fitted, as those of unseen legs, nothing is known of the part."""


Factors = tuple[tuple[float, float, float], tuple[float, float, float]]
"""`mm` and `px` of a part."""


def _body(
    points: tuple[int, ...], anchors: tuple[int, ...], numbers: tuple[int, ...], factors: Factors, joint: str
) -> Part:
    names = [tuple(f"pose_{number:02d}" for number in each) for each in (points, anchors)]
    return Part(names[0], names[1], "body", numbers, factors[0], factors[1], joint)


def _hand(side: str) -> Part:
    points = tuple(f"{side}_hand_{number:02d}" for number in range(2, 21, 2))
    return Part(points, (f"{side}_hand_00",), f"{side}_hand", None, HAND[0], HAND[1], f"{side}_index1")


SHOULDERS, HIPS = (11, 12), (23, 24)
FACE = tuple(f"face_{number:03d}" for number in (4, 10, 33, 263, 127, 356))
TORSO = ((72.9, 0.41, 1.09), (0.0, 2.15, 0.97))
HEAD = ((27.0, 0.91, 9.60), (5.2, 1.05, 2.87))
ARM = ((42.4, 2.90, 1.63), (0.0, 2.19, 0.70))
LEG = ((85.7, 0.99, 0.93), (4.9, 1.01, 1.08))
HAND = ((20.3, 1.45, 6.43), (0.0, 1.38, 3.40))
PARTS = {
    "torso": _body(HIPS, SHOULDERS, (*SHOULDERS, *HIPS), TORSO, "spine1"),
    "head": Part(FACE, ("pose_11", "pose_12"), "rigid_face", None, HEAD[0], HEAD[1], "head"),
    "left_arm": _body((13, 15), SHOULDERS, (13, 15), ARM, "left_shoulder"),
    "right_arm": _body((14, 16), SHOULDERS, (14, 16), ARM, "right_shoulder"),
    "left_leg": _body((25, 27), HIPS, (25, 27), LEG, "left_knee"),
    "right_leg": _body((26, 28), HIPS, (26, 28), LEG, "right_knee"),
    "left_hand": _hand("left"),
    "right_hand": _hand("right"),
}
"""In the order of BODY_PARTS."""
assert tuple(PARTS) == BODY_PARTS


@dataclass(frozen=True)
class Doubt:
    """What the expected errors are made of, per frame and part."""

    spread_mm: Float[np.ndarray, "frames parts"]
    """Root mean square spread of the part's points about its anchors, from the curvature."""
    spread_px: Float[np.ndarray, "frames parts"]
    """The same in the picture, without anchors."""
    missed_px: Float[np.ndarray, "frames parts"]
    """Root mean square distance of the fitted points from the detector's; 0 where none is used."""
    px_per_mm: Float[np.ndarray, "frames parts"]
    fitted: Bool[np.ndarray, "parts"]

    def expected_mm(self) -> Float[np.ndarray, "frames parts"]:
        """Expected error of each part in space, mm; NaN where the part is not fitted."""
        constant, spread, missed = np.array([part.mm for part in PARTS.values()]).T
        squared = constant**2 + (spread * self.spread_mm) ** 2 + (missed * self.missed_px / self.px_per_mm) ** 2
        return np.where(self.fitted, np.sqrt(squared), np.nan)

    def expected_px(self) -> Float[np.ndarray, "frames parts"]:
        """Expected error of each part in the picture, pixels; NaN where the part is not fitted."""
        constant, spread, missed = np.array([part.px for part in PARTS.values()]).T
        squared = (constant * self.px_per_mm) ** 2 + (spread * self.spread_px) ** 2 + (missed * self.missed_px) ** 2
        return np.where(self.fitted, np.sqrt(squared), np.nan)


def doubt_points(body: Body, config: TrackConfig) -> CollapsedKeypoints:
    """The points and anchors of PARTS, each once."""
    names = dict.fromkeys(name for part in PARTS.values() for name in (*part.points, *part.anchors))
    return collapse(body, tuple(names), shape_columns(body, config.betas, config.head_betas))


def doubt(task: Task, state: State, keypoints: CollapsedKeypoints) -> Doubt:
    """The doubt about a fitted window. keypoints: `doubt_points`."""
    covariance, columns = frame_covariance(task, state)
    moving = moving_columns(keypoints, state.psi.shape[1])
    kept = np.flatnonzero(columns[moving])
    at = (np.cumsum(columns) - 1)[moving[kept]]
    focal_px, order = task.problem.focal_px, {name: row for row, name in enumerate(keypoints.names)}
    spreads = np.zeros((2, len(state), len(PARTS)))
    missed, px_per_mm = np.zeros(spreads.shape[1:]), np.zeros(spreads.shape[1:])
    for first in range(0, len(state), FRAMES_AT_ONCE):
        rows = slice(first, min(first + FRAMES_AT_ONCE, len(state)))
        part = state.rows(rows)
        pose = kinematics(task.problem.skeleton, part, derivatives=True)
        placed = pose_keypoints(keypoints, pose, part)
        direction = np.tile(np.eye(3), (*placed.points.shape[:2], 1, 1))
        jacobian = keypoint_jacobian(keypoints, pose, placed, part, direction)[..., kept]
        depth = np.maximum(placed.points[..., 2], NEAR_M)
        flat = jacobian[:, :, :2] - (placed.points[..., :2] / depth[..., None])[..., None] * jacobian[:, :, 2:]
        flat *= focal_px / depth[..., None, None]
        for frame, in_space, in_picture in zip(range(first, rows.stop), jacobian, flat, strict=True):
            spreads[:, frame] = _spreads(in_space, in_picture, covariance[frame][np.ix_(at, at)], order)
        for column, each in enumerate(PARTS.values()):
            missed[rows, column] = _missed_px(task.groups[each.group].rows(rows), each, pose, part, task.problem)
            own = [order[name] for name in each.points]
            px_per_mm[rows, column] = focal_px / 1000 / depth[:, own].mean(1)
    fitted = np.array([task.columns[joint_columns(part.joint)].any() for part in PARTS.values()])
    return Doubt(1000 * spreads[0], spreads[1], missed, px_per_mm, fitted)


def frame_covariance(
    task: Task, state: State
) -> tuple[Float[np.ndarray, "frames chosen chosen"], Bool[np.ndarray, "columns"]]:
    """Marginal covariance of the chosen columns of each frame, and which they are. Also columns that were not fitted,
    like those of unseen legs: the prior holds them, widely."""
    columns = task.problem.priors.disabled == 0
    columns[EXPRESSION_START:] = False
    columns[joint_columns(*UNDOUBTED)] = False
    problem = with_groups(task.problem, tuple(task.groups[name] for name in EVIDENCE), robust_depth=True)
    normal = NormalEquations.zeros(len(state), int(columns.sum()), 0)
    normal_equations(problem, state, columns, np.zeros(len(state.shape), bool), normal)
    np.einsum("tcc->tc", normal.blocks)[...] += FLOOR
    marginals(normal.blocks, normal.between)
    return normal.blocks, columns


def _spreads(in_space, in_picture, covariance, order: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """The spreads of one frame, metres and pixels, from the derivatives (points, axes, columns)."""
    still = [
        in_space[[order[name] for name in part.points]] - in_space[[order[name] for name in part.anchors]].mean(0)
        for part in PARTS.values()
    ]
    free = [in_picture[[order[name] for name in part.points]] for part in PARTS.values()]
    sizes = np.array([len(rows) for rows in still])
    found = []
    for parts in (still, free):
        tall = np.concatenate(parts)
        variance = ((tall.reshape(-1, tall.shape[-1]) @ covariance).reshape(tall.shape) * tall).sum((1, 2))
        found.append(np.sqrt(np.add.reduceat(variance, np.cumsum(sizes) - sizes) / sizes))
    return found[0], found[1]


def _missed_px(group: TargetGroup, part: Part, pose: Kinematics, state: State, problem) -> Float[np.ndarray, "frames"]:
    """Root mean square distance of a part's fitted points from the detector's, over the points that are used."""
    chosen = slice(None) if part.numbers is None else [BODY_POINTS.index(number) for number in part.numbers]
    points = pose_keypoints(group.keypoints, pose, state).points[:, chosen]
    projected = problem.focal_px * points[..., :2] / np.maximum(points[..., 2:], NEAR_M) + np.array(problem.centre_px)
    used = group.per_pixel[:, chosen] > 0
    squared = ((projected - group.pixels[:, chosen]) ** 2).sum(-1)
    return np.sqrt(np.where(used, squared, 0).sum(1) / np.maximum(used.sum(1), 1))
