"""The objective of a fit and its Gauss-Newton normal equations (paper eq. 7 to 11, with robust losses).

cost = sum rho(reprojection / sigma) + rho(relative depth / sigma) + pose, expression and shape priors + one-sided
limits + smoothness (differences of neighbouring frames). rho is the Geman-McClure loss, solved by reweighting.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from stages.body.rotations import rotvec_from_matrix
from stages.compiled import njit
from stages.track.collapse import Skeleton
from stages.track.jacobian import PosedKeypoints, keypoint_jacobian, moving_columns, pose_keypoints
from stages.track.regularizers import Priors
from stages.track.state import ROOT_COLUMNS, Kinematics, State, kinematics
from stages.track.targets import TargetGroup
from stages.track.threads import on_all_cores

FRAMES_AT_ONCE = 32
"""Number of frames whose Jacobians one core holds in memory at the same time."""
NEAR_M = 0.1
SIGMA_STATURE_M = 0.01
"""Expected error of a height that the user gives."""
TURN_WIDTH = 2.0
"""Cauchy width, in sigmas, of the change of the root from frame to frame. With a squared loss a full turn in 2 seconds
was 53 degrees behind at its ends."""

STEADY_SECONDS = 0.25
"""Spread of the Gaussian over which a steady movement is averaged."""


@dataclass(frozen=True)
class Stature:
    """A known height: metres of the mean shape in the rest pose, their derivative by the shape, and the target."""

    mean_m: float
    slope: Float[np.ndarray, "shape"]
    target_m: float

    def residual(self, shape: Float[np.ndarray, "shape"]) -> float:
        """Error of the height, in sigmas."""
        return (self.mean_m + float(self.slope @ shape) - self.target_m) / SIGMA_STATURE_M


@dataclass(frozen=True)
class Problem:
    """Everything that stays fixed while a state is optimised."""

    skeleton: Skeleton
    groups: tuple[TargetGroup, ...]
    priors: Priors
    focal_px: float
    centre_px: tuple[float, float]
    first_root: Float[np.ndarray, "frames 3 3"]
    sigma_root: float
    first_depth: Float[np.ndarray, "frames"]
    """Distance of the first guess from the camera, metres: sigmas and hands are converted at this distance."""
    seconds: Float[np.ndarray, "frames"]
    turn: Float[np.ndarray, "frames 3 3"]
    """What the camera's turn does to each frame: from the axes of the frame before to its own."""
    drift: Float[np.ndarray, "frames 3"]
    """Expected movement to each frame from the one before it, metres, see `with_drift`."""
    robust_depth: bool
    before: State | None = None
    """The fitted frame before the first one, if any: the link to it keeps the border of two windows smooth."""
    gap_before: float = 0.0
    """Seconds from `before` to the first frame."""
    stature: Stature | None = None
    """The known height of the person, if any."""
    terms: dict[str, float] = field(default_factory=dict)

    def link_sigma(self) -> Float[np.ndarray, "links columns"]:
        """Temporal sigma of each pair of neighbouring frames: a random walk, sigma_30 sqrt(30 dt)."""
        return self.priors.step * _random_walk_factor(np.diff(self.seconds))[:, None]


@dataclass
class NormalEquations:
    """The normal equations, J'J and -J'r, summed frame by frame."""

    blocks: Float[np.ndarray, "frames columns columns"]
    arrow: Float[np.ndarray, "frames columns shape"]
    shape_block: Float[np.ndarray, "shape shape"]
    gradient: Float[np.ndarray, "frames columns"]
    shape_gradient: Float[np.ndarray, "shape"]
    between: Float[np.ndarray, "links columns"]

    @classmethod
    def zeros(cls, frames: int, columns: int, shape: int) -> NormalEquations:
        """Normal equations with all entries 0."""
        return cls(
            np.zeros((frames, columns, columns)), np.zeros((frames, columns, shape)), np.zeros((shape, shape)),
            np.zeros((frames, columns)), np.zeros(shape), np.zeros((max(frames - 1, 0), columns)),
        )  # fmt: skip

    def clear(self) -> None:
        """Set all entries to 0 in the same memory. Allocating the 60 MB of a window anew took half of the fit."""
        for array in vars(self).values():
            array[...] = 0

    def rows(self, rows: slice) -> NormalEquations:
        """A view of some of the frames, with a separate shape block."""
        return NormalEquations(
            self.blocks[rows], self.arrow[rows], np.zeros_like(self.shape_block),
            self.gradient[rows], np.zeros_like(self.shape_gradient), self.between[rows],
        )  # fmt: skip


def cost(problem: Problem, state: State) -> float:
    """The value of the robust objective."""
    pose = kinematics(problem.skeleton, state, derivatives=False)
    total = 0.0
    for group in problem.groups:
        points = pose_keypoints(group.keypoints, pose, state).points
        pixels, depth = group_losses(problem, group, points, state.shape)
        total += float(pixels.sum()) + (0.0 if depth is None else float(depth.sum()))
    return total + _prior_cost(problem, state)


def group_losses(
    problem: Problem,
    group: TargetGroup,
    points: Float[np.ndarray, "frames keypoints 3"],
    shape: Float[np.ndarray, "shape"],
) -> tuple[Float[np.ndarray, "frames"], Float[np.ndarray, "frames"] | None]:
    """Robust losses of reprojection and of depth of one group, summed over its keypoints."""
    pixels, depth = residuals(problem, group, points, shape)
    flat = _geman_mcclure((pixels**2).sum(-1), group.robust).sum(1)
    return flat, None if depth is None else _geman_mcclure(depth**2, _depth_width(problem, group)).sum(1)


def residuals(
    problem: Problem,
    group: TargetGroup,
    points: Float[np.ndarray, "frames keypoints 3"],
    shape: Float[np.ndarray, "shape"],
) -> tuple[Float[np.ndarray, "frames keypoints 2"], Float[np.ndarray, "frames depths"] | None]:
    """Errors of reprojection and of relative depth, both in sigmas."""
    z = np.maximum(points[..., 2:], NEAR_M)
    projected = problem.focal_px * points[..., :2] / z + np.array(problem.centre_px)
    pixels = (projected - group.pixels) * group.per_pixel[..., None]
    if group.depth is None or group.per_metre is None:
        return pixels, None
    assert group.differences is not None
    found = points[..., 2] @ group.differences.T * _depth_scale(problem, group, points, shape)
    depth = (found - group.depth) * group.per_metre
    return pixels, np.maximum(depth, 0) if group.is_upper_bound else depth


def _depth_scale(problem: Problem, group: TargetGroup, points, shape) -> Float[np.ndarray, "frames 1"]:
    """Factor from depths of the fit to the scale of the group's targets, see `TargetGroup.depth_at`."""
    if group.depth_at is not None:
        return group.depth_at[:, None] / np.maximum(points[:, :1, 2], NEAR_M)
    return np.full((len(points), 1), 1 / problem.skeleton.size(shape)[0])


def normal_equations(
    problem: Problem,
    state: State,
    columns: Bool[np.ndarray, "columns"],
    shape: Bool[np.ndarray, "shape"],
    normal: NormalEquations,
) -> None:
    """Write the normal equations at `state`, for the active frame columns and shape entries, into `normal`."""
    frames, entries = len(state), np.flatnonzero(shape)
    normal.clear()

    def add(start: int) -> NormalEquations:
        rows = slice(start, min(start + FRAMES_AT_ONCE, frames))
        own = normal.rows(rows)
        part = state.rows(rows)
        pose = kinematics(problem.skeleton, part, derivatives=True)
        for group in problem.groups:
            _add_group(problem, group.rows(rows), part, pose, columns, entries, own)
        return own

    for own in on_all_cores(add, range(0, frames, FRAMES_AT_ONCE)):
        normal.shape_block += own.shape_block
        normal.shape_gradient += own.shape_gradient
    _add_priors(problem, state, columns, entries, normal)


def _add_group(
    problem: Problem, group: TargetGroup, state: State, pose: Kinematics, columns, entries, normal: NormalEquations
) -> None:
    used = np.flatnonzero(group.per_pixel.any(1) | (group.per_metre is not None and group.per_metre.any(1)))
    if not len(used):
        return
    if len(used) < len(state):
        group, state, pose = group.rows(used), state.rows(used), _kinematics_rows(pose, used)
    placed = pose_keypoints(group.keypoints, pose, state)
    residual, jacobian = _linearised(problem, group, placed, pose, state)
    moving = moving_columns(group.keypoints, state.psi.shape[1])
    kept = np.flatnonzero(columns[moving])
    at, split = (np.cumsum(columns) - 1)[moving[kept]], len(kept)
    chosen = np.concatenate([kept, len(moving) + entries])
    tall = np.empty((jacobian.shape[1], len(chosen) + 1))
    for frame, rows, missed in zip(used, jacobian, residual, strict=True):
        _gather(rows, chosen, missed, tall)
        square = tall.T @ tall  # numpy multiplies a matrix by its own transpose in half the time
        _add_square(square, at, normal.blocks[frame], normal.arrow[frame], normal.gradient[frame])
        normal.shape_block += square[split:-1, split:-1]
        normal.shape_gradient -= square[split:-1, -1]


@njit(nogil=True)
def _gather(rows, chosen, missed, tall):
    """The chosen columns, and the residuals as the last one."""
    for r in range(len(rows)):
        for c in range(len(chosen)):
            tall[r, c] = rows[r, chosen[c]]
        tall[r, len(chosen)] = missed[r]


@njit(nogil=True)
def _add_square(square, at, block, arrow, gradient):
    """Add the products of the columns `at` with each other, with the shape, and with the residuals."""
    split, last = len(at), len(square) - 1
    for i in range(split):
        for j in range(split):
            block[at[i], at[j]] += square[i, j]
        for j in range(split, last):
            arrow[at[i], j - split] += square[i, j]
        gradient[at[i]] -= square[i, last]


def _linearised(problem: Problem, group: TargetGroup, placed: PosedKeypoints, pose: Kinematics, state: State):
    """Weighted residual rows and their derivatives: two pixel rows per keypoint, then a depth row if it has one."""
    points = placed.points
    pixels, depth = residuals(problem, group, points, state.shape)
    z = np.maximum(points[..., 2], NEAR_M)
    direction = np.zeros((*points.shape[:2], 2 if depth is None else 3, 3))
    scale = problem.focal_px / z * group.per_pixel
    direction[..., 0, 0] = direction[..., 1, 1] = scale
    direction[..., 0, 2] = -scale * points[..., 0] / z
    direction[..., 1, 2] = -scale * points[..., 1] / z
    if depth is not None:
        direction[..., 2, 2] = 1.0
    weight = np.sqrt(_geman_mcclure_weight((pixels**2).sum(-1), group.robust))
    direction[..., :2, :] *= weight[..., None, None]
    jacobian = keypoint_jacobian(group.keypoints, pose, placed, state, direction)
    frames = len(points)
    flat = jacobian[:, :, :2].reshape(frames, 2 * points.shape[1], -1)
    residual = (pixels * weight[..., None]).reshape(frames, -1)
    if depth is None or group.per_metre is None:
        return residual, flat
    depth_weight = np.sqrt(_geman_mcclure_weight(depth**2, _depth_width(problem, group)))
    deep = _depth_jacobian(problem, group, points, state.shape, jacobian[:, :, 2])
    counted = group.per_metre * (depth > 0) if group.is_upper_bound else group.per_metre
    deep *= (depth_weight * counted)[..., None]
    return np.concatenate([residual, depth * depth_weight], 1), np.concatenate([flat, deep], 1)


def _depth_jacobian(
    problem: Problem, group: TargetGroup, points, shape, rows: Float[np.ndarray, "frames keypoints columns"]
) -> Float[np.ndarray, "frames depths columns"]:
    """Derivatives of the scaled differences of depth from the derivatives `rows` of the depths."""
    assert group.differences is not None
    scale = _depth_scale(problem, group, points, shape)
    found = (points[..., 2] @ group.differences.T * scale)[..., None]
    out = group.differences @ rows * scale[..., None]
    if group.depth_at is not None:
        return out - found / np.maximum(points[:, :1, 2:], NEAR_M) * rows[:, :1]
    size, slope = problem.skeleton.size(shape)
    out[..., -len(shape) :] -= found / size * slope
    return out


def _depth_width(problem: Problem, group: TargetGroup) -> float:
    return group.robust_depth if problem.robust_depth else np.inf


def _random_walk_factor(gap_seconds):
    """Spread of a random walk over a gap, relative to one frame at 30 frames per second: sqrt(30 dt)."""
    return np.sqrt(30 * np.maximum(gap_seconds, 1e-3))


def _geman_mcclure(squared, width):
    return squared / (1 + squared / width**2)


def _geman_mcclure_weight(squared, width):
    return 1 / (1 + squared / width**2) ** 2


def _prior_residuals(problem: Problem, state: State):
    """Residual and 1 / sigma per frame column, first of the priors, then of the limits."""
    priors = problem.priors
    vector = state.vector()
    away = vector - priors.mean
    away[:, ROOT_COLUMNS] = rotvec_from_matrix(state.root @ np.swapaxes(problem.first_root, -1, -2))
    inverse = np.broadcast_to(1 / priors.sigma, vector.shape).copy()
    inverse[:, ROOT_COLUMNS] = 1 / problem.sigma_root
    beyond = np.minimum(vector - priors.lower, 0) + np.maximum(vector - priors.upper, 0)
    return away * inverse, inverse, beyond / priors.sigma_bound, (beyond != 0) / priors.sigma_bound


def _temporal_differences(
    state: State, turn: Float[np.ndarray, "links 3 3"], drift: Float[np.ndarray, "links 3"]
) -> Float[np.ndarray, "links columns"]:
    """Differences of neighbouring frames from what is expected; the difference of the root is a rotation vector."""
    step = np.diff(state.vector(), axis=0)
    step[:, :3] -= drift
    step[:, ROOT_COLUMNS] = rotvec_from_matrix(state.root[1:] @ np.swapaxes(turn @ state.root[:-1], -1, -2))
    return step


def prior_losses(problem: Problem, state: State) -> tuple[Float[np.ndarray, "frames columns"], ...]:
    """Squared residuals of the priors and of the limits, per frame and column."""
    prior, _, limit, _ = _prior_residuals(problem, state)
    return prior**2, limit**2


def link_residuals(problem: Problem, state: State) -> Float[np.ndarray, "links columns"]:
    """Temporal differences in sigmas. The link to the frame before the window, if any, comes first."""
    links = _temporal_differences(state, problem.turn[1:], problem.drift[1:]) / problem.link_sigma()
    if problem.before is not None:
        links = np.concatenate([_link_to_frame_before(problem, state)[0][None], links])
    squared = (links[:, ROOT_COLUMNS] ** 2).sum(1, keepdims=True)
    links[:, ROOT_COLUMNS] *= np.sqrt(TURN_WIDTH**2 * np.log1p(squared / TURN_WIDTH**2) / np.maximum(squared, 1e-12))
    return links


def _prior_cost(problem: Problem, state: State) -> float:
    prior, limit = prior_losses(problem, state)
    total = float(prior.sum() + limit.sum()) + float((link_residuals(problem, state) ** 2).sum())
    return total + len(state) * shape_loss(problem, state)


def shape_loss(problem: Problem, state: State) -> float:
    """Squared residuals of the shape prior and of a known height. They count once per frame."""
    known = 0.0 if problem.stature is None else problem.stature.residual(state.shape) ** 2
    return float(((state.shape / problem.priors.shape_sigma) ** 2).sum()) + known


def _cauchy_weight(links: Float[np.ndarray, "links columns"]) -> Float[np.ndarray, "links columns"]:
    """Weight of each squared temporal difference; the three root columns share one Cauchy weight."""
    weight = np.ones_like(links)
    weight[:, ROOT_COLUMNS] = 1 / (1 + (links[:, ROOT_COLUMNS] ** 2).sum(1, keepdims=True) / TURN_WIDTH**2)
    return weight


def _link_to_frame_before(problem: Problem, state: State):
    """The difference between the frame before the window and its first frame, in sigmas, and the sigmas."""
    assert problem.before is not None
    pair = State(
        *(np.concatenate([getattr(problem.before, name)[-1:], getattr(state, name)[:1]]) for name in
          ("transl", "root", "theta", "psi")), shape=state.shape,
    )  # fmt: skip
    sigma = problem.priors.step * _random_walk_factor(problem.gap_before)
    return _temporal_differences(pair, problem.turn[:1], problem.drift[:1])[0] / sigma, sigma


def with_drift(problem: Problem, state: State) -> Problem:
    """The problem in which smoothness is asked of what departs from the expected movement of `state`: what the camera's
    turn does, and a steady movement across the picture.

    A step of neighbouring frames that is compared with zero holds back who walks: at the ends of a clip the trunk was
    20 cm behind, and the person came out 9 % too small, because the steps of a small person are short. Steady is the
    velocity over STEADY_SECONDS. Each axis of it is shrunk by 1 - (sigma / step)^2 (James and Stein 1961): it is zero
    for a person who moves no faster than the noise that the smoothness expects. Along the line of sight there is none:
    tracked depth wanders slowly itself (with it beam cam03 was 85 mm off in place, without it 81).
    """
    transl, seconds, turn = state.transl, problem.seconds, problem.turn
    if problem.before is not None:
        transl = np.concatenate([problem.before.transl[-1:], transl])
        seconds = np.concatenate([seconds[:1] - problem.gap_before, seconds])
    else:
        turn = turn[1:]
    drift = np.zeros((len(state), 3))
    if len(turn):
        skeleton = problem.skeleton
        pelvis = transl[:-1] + skeleton.joints[0] + skeleton.joint_dirs[0] @ state.shape
        carried = (turn @ pelvis[..., None])[..., 0] - pelvis
        gap = np.maximum(np.diff(seconds), 1e-3)[:, None]
        at = (seconds[1:] + seconds[:-1]) / 2
        near = np.exp(-((np.subtract.outer(at, at) / STEADY_SECONDS) ** 2) / 2)
        steady = near @ (np.diff(transl, axis=0) - carried) / (near @ gap) * gap
        noise = (problem.priors.step[:3] * _random_walk_factor(gap)) ** 2
        steady *= np.maximum(1 - noise / np.maximum(steady**2, 1e-12), 0)
        steady[:, 2] = 0
        drift[len(state) - len(turn) :] = carried + steady
    return replace(problem, drift=drift)


def _add_priors(problem: Problem, state: State, columns, entries, normal: NormalEquations) -> None:
    prior, inverse, limit, limit_inverse = _prior_residuals(problem, state)
    diagonal = inverse**2 + limit_inverse**2
    slope = prior * inverse + limit * limit_inverse
    if len(state) > 1:
        sigma, links = problem.link_sigma(), _temporal_differences(state, problem.turn[1:], problem.drift[1:])
        precision = _cauchy_weight(links / sigma) / sigma**2
        pull = links * precision
        diagonal[1:] += precision
        diagonal[:-1] += precision
        slope[1:] += pull
        slope[:-1] -= pull
        normal.between[:] = -precision[:, columns]
    if problem.before is not None:
        pull, sigma = _link_to_frame_before(problem, state)
        weight = _cauchy_weight(pull[None])[0]
        diagonal[0] += weight / sigma**2
        slope[0] += weight * pull / sigma
    np.einsum("tcc->tc", normal.blocks)[...] += diagonal[:, columns]
    normal.gradient -= slope[:, columns]
    precision = len(state) / problem.priors.shape_sigma[entries] ** 2
    normal.shape_block += np.diag(precision)
    normal.shape_gradient -= precision * state.shape[entries]
    if problem.stature is not None:
        slope = problem.stature.slope[entries] / SIGMA_STATURE_M
        normal.shape_block += len(state) * np.outer(slope, slope)
        normal.shape_gradient -= len(state) * problem.stature.residual(state.shape) * slope


def _kinematics_rows(pose: Kinematics, rows: np.ndarray) -> Kinematics:
    assert pose.turn is not None
    assert pose.origin_dirs is not None
    return Kinematics(
        pose.world[rows], pose.origin[rows], pose.local[rows], pose.joints, pose.joint_dirs,
        pose.turn[rows], pose.origin_dirs[rows],
    )  # fmt: skip


def with_groups(problem: Problem, groups: tuple[TargetGroup, ...], robust_depth: bool) -> Problem:
    """The same problem with other target groups, for another stage of the solver."""
    return replace(problem, groups=groups, robust_depth=robust_depth)
