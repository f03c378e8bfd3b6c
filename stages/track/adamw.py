"""`--solver adamw`: the paper's recipe (3.2, 0.C, eq. 7 to 11), one joint stage of AdamW over a whole window.

1,250 steps start from moving-average initial poses. At step 1,000 the learning rates fall, smoothness weighs more and
3-D alignment weighs less. At every step each hand is checked again (`adamw_hands`). The paper starts from GVHMR, HaMeR
and a face network. Without imported priors this solver starts from the same closed-form guess as `gn`. Torch, float32,
deterministic on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.track import losses as loss_terms
from stages.track.adamw_body import TorchBody, collapse_vertices, farthest_point_sample, rotation_matrices
from stages.track.adamw_hands import Hand, HandCheck
from stages.track.collapse import CollapsedKeypoints, shape_columns
from stages.track.config import TrackConfig
from stages.track.regularizers import priors_of
from stages.track.solvers import Losses, Task
from stages.track.state import EXPRESSION_START, JOINTS_START, ROOT_COLUMNS, State
from stages.track.targets import BODY_POINTS, TargetGroup

HANDS = ("left_hand", "right_hand")
PARTS = ("body", "face", *HANDS)
CORE_POINTS, LIMB_POINTS = (11, 12, 23, 24), (13, 14, 15, 16, 25, 26, 27, 28)
"""Shoulders and hips; elbows, wrists, knees and ankles."""
BODY_COLUMNS, FINGER_COLUMNS = slice(0, 3 * 21), slice(3 * 24, 3 * 54)
"""Columns of theta: joints 1 to 21, and the fingers. Jaw and eyes lie between them."""
FRAME_FIELDS = ("transl", "root", "theta", "psi")
SMOOTH_TERMS = ("smooth_camera", "smooth_pose", "smooth_vertices", "smooth_expression")
REPORT_EVERY = 25


def solve(task: Task, report_progress: Callable[[float], None]) -> State:
    """Run all steps of AdamW and return the fitted state."""
    config = task.config
    objective = Objective.of(task)
    unknowns = Unknowns.of(moving_average(task.start, task.problem.seconds, config.adamw_average_seconds), task)
    optimizer = torch.optim.AdamW(unknowns.parameter_groups(config), weight_decay=config.adamw_weight_decay)
    for step in range(config.adamw_steps):
        if step == config.adamw_decay_step:
            for group in optimizer.param_groups:
                group["lr"] *= config.adamw_decay
        optimizer.zero_grad()
        objective.weighted_sum(unknowns, weights(config, step)).backward()
        optimizer.step()
        if step % REPORT_EVERY == 0:
            report_progress(step / config.adamw_steps)
    report_progress(1.0)
    found = unknowns.pose().state()
    bound = task.problem.priors.shape_bound
    return replace(found, shape=np.clip(found.shape, -bound, bound))


def losses(task: Task, state: State) -> Losses:
    """Every term at `state`, per frame, unweighted."""
    with torch.no_grad():
        values = Objective.of(task).term_values(Unknowns.of(state, task))
    return {name: value.double().numpy() for name, value in values.items()}


def weights(config: TrackConfig, step: int) -> dict[str, float]:
    """Weight of each term at a step: from `adamw_decay_step` on more smoothness and less 3-D alignment (0.C)."""
    late = step >= config.adamw_decay_step
    table = {
        "keypoints_body": config.adamw_keypoints, "keypoints_face": config.adamw_keypoints,
        "keypoints_hands": config.adamw_keypoints, "align_body": config.adamw_align_body,
        "align_hands": config.adamw_align_hands, "limit_expression": config.adamw_limit,
        "limit_joints": config.adamw_limit, "limit_scale": config.adamw_limit, "limit_depth": config.adamw_limit,
        "smooth_camera": config.adamw_smooth, "smooth_pose": config.adamw_smooth,
        "smooth_vertices": config.adamw_smooth_vertices, "smooth_expression": config.adamw_smooth,
        "prior_pose": config.adamw_prior, "prior_expression": config.adamw_prior, "prior_shape": config.adamw_prior,
    }  # fmt: skip
    factor = {"smooth": config.adamw_smooth_gain, "align": config.adamw_align_decay} if late else {}
    kept = {name: weight for name, weight in table.items() if name not in config.terms_off}
    return {name: weight * factor.get(name.partition("_")[0], 1.0) for name, weight in kept.items()}


@dataclass(frozen=True)
class Unknowns:
    """The leaf tensors that AdamW optimises. Translation and root are stored as steps from the start."""

    transl_step: Float[Tensor, "frames 3"]
    root_step: Float[Tensor, "frames 3"]
    theta: Float[Tensor, "frames 162"]
    psi: Float[Tensor, "frames expression"]
    shape: Float[Tensor, "shape"]
    start: Pose
    columns: Bool[Tensor, "columns"]
    """Frame columns that may change. The others stay at the start, whatever value their leaf takes."""
    shape_active: Bool[Tensor, "shape"]

    @staticmethod
    def of(state: State, task: Task) -> Unknowns:
        """Leaf tensors whose values are those of `state`."""
        start = Pose.of(state)
        zero = torch.zeros_like(start.transl)

        def leaf(values: Tensor) -> Tensor:
            return values.clone().requires_grad_()

        return Unknowns(
            leaf(zero), leaf(zero), leaf(start.theta), leaf(start.psi), leaf(start.shape), start,
            torch.as_tensor(task.columns), torch.as_tensor(task.shape),
        )  # fmt: skip

    def parameter_groups(self, config: TrackConfig) -> list[dict]:
        """Parameter groups of AdamW: pose, translation, expression and identity, each with its own learning rate."""
        return [
            {"params": [self.root_step, self.theta], "lr": config.adamw_lr_pose},
            {"params": [self.transl_step], "lr": config.adamw_lr_camera},
            {"params": [self.psi], "lr": config.adamw_lr_expression},
            {"params": [self.shape], "lr": config.adamw_lr_identity},
        ]

    def pose(self) -> Pose:
        """The pose that the current values describe."""
        active, start = self.columns, self.start
        turn = rotation_matrices(torch.where(active[3:JOINTS_START], self.root_step, 0.0))
        return Pose(
            start.transl + torch.where(active[:3], self.transl_step, 0.0),
            turn @ start.root,
            torch.where(active[JOINTS_START:EXPRESSION_START], self.theta, start.theta),
            torch.where(active[EXPRESSION_START:], self.psi, start.psi),
            torch.where(self.shape_active, self.shape, start.shape),
        )


@dataclass(frozen=True)
class Pose:
    """A `State` in torch."""

    transl: Float[Tensor, "frames 3"]
    root: Float[Tensor, "frames 3 3"]
    theta: Float[Tensor, "frames 162"]
    psi: Float[Tensor, "frames expression"]
    shape: Float[Tensor, "shape"]

    @staticmethod
    def of(state: State) -> Pose:
        """The same state as float32 tensors."""
        values = (state.transl, state.root, state.theta.reshape(len(state), -1), state.psi, state.shape)
        return Pose(*(tensor(value) for value in values))

    def after(self, other: Pose) -> Pose:
        """The frames of `other`, followed by these frames."""
        transl, root, theta, psi = (torch.cat([getattr(other, name), getattr(self, name)]) for name in FRAME_FIELDS)
        return Pose(transl, root, theta, psi, self.shape)

    def state(self) -> State:
        """Back to numpy. Roots are made orthonormal again, because float32 drifts."""
        arrays = [value.detach().double().numpy() for value in (self.transl, self.root, self.theta, self.psi)]
        root = matrix_from_rotvec(rotvec_from_matrix(arrays[1]))
        return State(arrays[0], root, arrays[2].reshape(-1, 54, 3), arrays[3], self.shape.detach().double().numpy())


@dataclass(frozen=True)
class Target:
    """One `targets.TargetGroup` as tensors, with keypoints as the first axis and frames as the second."""

    rows: slice
    """Rows of its keypoints among all points of the body."""
    pixels: Float[Tensor, "keypoints frames 2"]
    per_pixel: Float[Tensor, "keypoints frames"]
    depth: Float[Tensor, "depths frames"]
    per_metre: Float[Tensor, "depths frames"]
    differences: Float[Tensor, "depths keypoints"]

    @staticmethod
    def of(group: TargetGroup, first_row: int, gain: Float[np.ndarray, "frames keypoints"] | None = None) -> Target:
        """The tensors of a group. `gain` multiplies the reprojection weights."""
        frames, keypoints = group.per_pixel.shape
        nothing, none = np.zeros((frames, 0)), np.zeros((0, keypoints))
        depth = nothing if group.depth is None else group.depth
        return Target(
            slice(first_row, first_row + len(group.keypoints)),
            tensor(group.pixels).transpose(0, 1).contiguous(),
            tensor(group.per_pixel if gain is None else group.per_pixel * gain).T.contiguous(),
            tensor(depth).T.contiguous(),
            tensor(nothing if group.per_metre is None else group.per_metre).T.contiguous(),
            tensor(none if group.differences is None else group.differences),
        )


@dataclass(frozen=True)
class Objective:
    """Everything that stays fixed while AdamW changes the unknowns."""

    task: Task
    model: TorchBody
    targets: dict[str, Target]
    """Body and face."""
    hands: tuple[Hand, ...]
    check: HandCheck
    likely_theta: Float[Tensor, "frames 162"]
    """What joints are kept near (eq. 10): the smoothed first guess of the body, zero for the fingers."""
    likely_sigma: Float[Tensor, "*frames columns"]
    """How near. Another tracker's fingers and expression do not narrow it: they are a start and an alignment."""
    vertices: slice
    links: Float[Tensor, "links"]
    """sqrt(30 dt) of each temporal link. The link to the fitted frame before the window, if any, comes first."""
    before: Pose | None
    before_points: Float[Tensor, "keypoints 1 3"] | None

    @staticmethod
    def of(task: Task) -> Objective:
        """The tensors of a task."""
        problem, config = task.problem, task.config
        columns = shape_columns(task.body, config.betas, config.head_betas)
        skin = collapse_vertices(task.body, farthest_point_sample(task.body, config.adamw_vertices), columns)
        sets = {**{part: task.groups[part].keypoints for part in PARTS}, "skin": skin, **_hand_vertices(task, columns)}
        model, rows = TorchBody.of(problem.skeleton, tuple(sets.values())), _rows_of(sets)
        targets = {
            "body": Target.of(task.groups["body"], rows["body"].start, _gain(task.groups["body"], config)),
            "face": Target.of(task.groups["face"], rows["face"].start),
        }
        smoothed = moving_average(task.first, problem.seconds, config.adamw_average_seconds)
        known, held = (_points(model, Pose.of(each)) for each in (task.first, smoothed))
        hands = tuple(_hand(task, side, rows, known, held) for side in range(len(HANDS)))
        size = 2 * tensor(np.array(problem.centre_px))
        check = HandCheck(config.adamw_hand_inside, config.adamw_hand_match, size)
        links = np.sqrt(30 * np.maximum(np.diff(problem.seconds), 1e-3))
        before = None if problem.before is None else Pose.of(problem.before)
        if before is not None:
            links = np.insert(links, 0, np.sqrt(30 * max(problem.gap_before, 1e-3)))
        last = None if before is None else _points(model, before)
        return Objective(
            task, model, targets, hands, check, *_likely(task, smoothed), rows["skin"], tensor(links), before, last
        )

    def weighted_sum(self, unknowns: Unknowns, weighting: dict[str, float]) -> Tensor:
        """The weighted sum of all terms, mean over frames."""
        values = self.term_values(unknowns)
        return torch.stack(
            [weighting[name] * value.mean() for name, value in values.items() if name in weighting]
        ).sum()

    def term_values(self, unknowns: Unknowns) -> dict[str, Float[Tensor, "frames"]]:
        """Every term, per frame, unweighted."""
        pose = unknowns.pose()
        points = _points(self.model, pose)
        return {**self._data_terms(points), **self._prior_terms(pose), **self._smoothness_terms(pose, points)}

    def _data_terms(self, points: Tensor) -> dict[str, Tensor]:
        problem, config = self.task.problem, self.task.config
        centre = tensor(np.array(problem.centre_px))
        flat = {
            part: loss_terms.reprojection(points[each.rows], each.pixels, each.per_pixel, problem.focal_px, centre)
            for part, each in self.targets.items()
        }
        body = self.targets["body"]
        hands = [each.terms(points, self.check, problem.focal_px, centre, config.adamw_lambda_z) for each in self.hands]
        return {
            "keypoints_body": flat["body"],
            "keypoints_face": flat["face"],
            "keypoints_hands": hands[0][0] + hands[1][0],
            "align_body": loss_terms.relative_depth(points[body.rows], body.depth, body.per_metre, body.differences),
            "align_hands": hands[0][1] + hands[1][1],
        }

    def _prior_terms(self, pose: Pose) -> dict[str, Tensor]:
        priors, config = self.task.problem.priors, self.task.config
        joints, faces = slice(JOINTS_START, EXPRESSION_START), slice(EXPRESSION_START, None)
        lower, upper, bound = (tensor(each) for each in (priors.lower, priors.upper, priors.sigma_bound))
        sigma, neutral = self.likely_sigma, torch.zeros_like(pose.psi[0])
        first_root = tensor(self.task.problem.first_root)
        shape_sigma, shape_bound = tensor(priors.shape_sigma), tensor(priors.shape_bound)
        frames = len(pose.transl)
        far = torch.log(
            pose.transl[:, 2:].clamp(min=loss_terms.NEAR_M) / tensor(self.task.problem.first_depth)[:, None]
        )
        reach = torch.full((1,), float(np.log(config.adamw_depth_ratio)))
        return {
            "prior_pose": loss_terms.distance_from_mean(pose.theta, self.likely_theta, sigma[..., joints])
            + loss_terms.rotation_change(pose.root, first_root) / self.task.problem.sigma_root**2,
            "prior_expression": loss_terms.distance_from_mean(pose.psi, neutral, sigma[..., faces]),
            "prior_shape": ((pose.shape / shape_sigma) ** 2).sum().expand(frames),
            "limit_joints": loss_terms.outside_limits(pose.theta, lower[joints], upper[joints], bound[joints]),
            "limit_expression": loss_terms.expression_excess(pose.psi, config.adamw_expression_bound)
            + loss_terms.outside_limits(pose.psi, lower[faces], upper[faces], bound[faces]),
            "limit_scale": loss_terms.outside_limits(
                pose.shape[None], -shape_bound, shape_bound, torch.full_like(shape_bound, config.adamw_sigma_scale)
            ).expand(frames),
            "limit_depth": loss_terms.outside_limits(
                far, -reach, reach, torch.full_like(reach, config.adamw_sigma_depth)
            ),
        }

    def _smoothness_terms(self, pose: Pose, points: Tensor) -> dict[str, Tensor]:
        priors, frames = self.task.problem.priors, len(pose.transl)
        step = tensor(priors.step)
        skin = points[self.vertices]
        if self.before is not None and self.before_points is not None:
            pose = pose.after(self.before)
            skin = torch.cat([self.before_points[self.vertices], skin], 1)
        if len(pose.transl) == 1:
            return dict.fromkeys(SMOOTH_TERMS, torch.zeros(1))
        sigma = step * self.links[:, None]
        root_sigma = sigma[:, ROOT_COLUMNS.start]
        links = {
            "smooth_camera": loss_terms.temporal_change(pose.transl, sigma[:, :3]),
            "smooth_pose": loss_terms.temporal_change(pose.theta, sigma[:, JOINTS_START:EXPRESSION_START])
            + loss_terms.rotation_change(pose.root[1:], pose.root[:-1]) / root_sigma**2,
            "smooth_vertices": loss_terms.vertex_change(skin, self.task.config.adamw_step_vertex_m * self.links),
            "smooth_expression": loss_terms.temporal_change(pose.psi, sigma[:, EXPRESSION_START:]),
        }
        return {name: torch.nn.functional.pad(value, (frames - len(value), 0)) for name, value in links.items()}


def _gain(group: TargetGroup, config: TrackConfig) -> Float[np.ndarray, "frames keypoints"]:
    """Extra weight of body points: the trunk's always, those of limbs where the detector is sure (paper 0.C.2)."""
    assert group.confidence is not None
    gain = np.ones_like(group.per_pixel)
    gain[:, np.isin(BODY_POINTS, CORE_POINTS)] = config.adamw_core_gain
    sure = np.isin(BODY_POINTS, LIMB_POINTS) & (group.confidence > config.adamw_limb_confidence)
    return np.where(sure, config.adamw_limb_gain, gain)


def _likely(task: Task, smoothed: State) -> tuple[Float[Tensor, "frames 162"], Float[Tensor, "*frames columns"]]:
    """Mean of the joints and sigma of all columns for the regularisation (paper eq. 10)."""
    priors, width = task.problem.priors, EXPRESSION_START - JOINTS_START
    theta = np.broadcast_to(priors.mean[..., JOINTS_START:EXPRESSION_START], (len(smoothed), width)).copy()
    theta[:, BODY_COLUMNS] = smoothed.theta.reshape(len(smoothed), width)[:, BODY_COLUMNS]
    theta[:, FINGER_COLUMNS] = 0
    own = priors_of(task.body, task.config).sigma
    loose = np.zeros(priors.sigma.shape[-1], bool)
    loose[JOINTS_START:][FINGER_COLUMNS] = loose[EXPRESSION_START:] = True
    return tensor(theta), tensor(np.where(loose & np.isfinite(priors.sigma), own, priors.sigma))


def _hand_vertices(task: Task, columns: np.ndarray) -> dict[str, CollapsedKeypoints]:
    """Vertices of each hand that another tracker knows in some frame."""
    chosen = {}
    for name, known in zip(HANDS, task.known_hands.T, strict=True):
        if known.any():
            numbers = farthest_point_sample(task.body, task.config.adamw_hand_vertices, task.body.part_vertices(name))
            chosen[f"{name} vertices"] = collapse_vertices(task.body, numbers, columns)
    return chosen


def _rows_of(sets: dict[str, CollapsedKeypoints]) -> dict[str, slice]:
    """Rows of each set among all points."""
    ends = np.cumsum([len(each) for each in sets.values()])
    return {name: slice(int(end) - len(each), int(end)) for (name, each), end in zip(sets.items(), ends, strict=True)}


def _hand(
    task: Task,
    side: int,
    rows: dict[str, slice],
    known: Float[Tensor, "points frames 3"],
    held: Float[Tensor, "points frames 3"],
) -> Hand:
    """The targets of a hand. `known`: all points at the first guess, which holds the hands of other trackers; `held`:
    at the smoothed first guess."""
    problem, config, name = task.problem, task.config, HANDS[side]
    group, own = task.groups[name], rows[name]
    assert group.depth is not None
    assert group.per_metre is not None
    px_per_m = problem.focal_px / np.maximum(problem.first_depth, loss_terms.NEAR_M)
    flat = (group.pixels - group.pixels[:, :1]) / px_per_m[:, None, None]
    weight = tensor(config.adamw_held_hand * task.known_hands[:, side] / (config.sigma_hand_m * px_per_m))
    if "keypoints_hands" in config.terms_off:
        weight = torch.zeros_like(weight)
    vertices = rows.get(f"{name} vertices")
    per_metre = None
    if vertices is not None:
        count = vertices.stop - vertices.start
        each = tensor(task.known_hands[:, side]) * len(group.keypoints) / count / config.sigma_hand_depth_m
        per_metre = each.expand(count, -1) * float("align_hands" not in config.terms_off)
    return Hand(
        own,
        tensor(group.pixels).transpose(0, 1).contiguous(),
        tensor(group.per_pixel).T.contiguous(),
        loss_terms.project(held[own], problem.focal_px, tensor(np.array(problem.centre_px))),
        weight.expand(len(group.keypoints), -1),
        torch.as_tensor(group.per_pixel.any(1) | group.per_metre.any(1)),
        tensor(np.concatenate([flat, group.depth[..., None]], -1)).transpose(0, 1).contiguous(),
        tensor(group.per_metre).T.contiguous(),
        vertices,
        None if vertices is None else known[vertices] - known[own][:1],
        per_metre,
    )


def _points(model: TorchBody, pose: Pose) -> Float[Tensor, "keypoints frames 3"]:
    return model.points(pose.transl, pose.root, pose.theta.reshape(-1, 54, 3), pose.psi, pose.shape)


def tensor(values: np.ndarray) -> Tensor:
    """A float32 copy."""
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def moving_average(state: State, seconds: Float[np.ndarray, "frames"], width: float) -> State:
    """Moving average of the initial poses over `width` seconds; rotations by the chordal mean (paper 0.C)."""
    if len(state) < 3 or width <= 0:
        return state
    half = int(width / (float(np.median(np.diff(seconds))) or 1 / 30) / 2)
    joints = matrix_from_rotvec(state.theta)
    return replace(
        state,
        transl=_mean_over_neighbours(state.transl, half),
        root=_nearest_rotation(_mean_over_neighbours(state.root, half)),
        theta=rotvec_from_matrix(_nearest_rotation(_mean_over_neighbours(joints, half))),
    )


def _mean_over_neighbours(rows: np.ndarray, half: int) -> np.ndarray:
    padded = np.concatenate([np.repeat(rows[:1], half, 0), rows, np.repeat(rows[-1:], half, 0)])
    return np.mean([padded[shift : shift + len(rows)] for shift in range(2 * half + 1)], 0)


def _nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(matrices)
    u[..., 2] *= np.linalg.det(u @ vt)[..., None]
    return u @ vt
