"""Observations in, motion out: the joint fit of body, hands, face and camera over a clip (paper 3.2 and 0.C).

A clip longer than one window is fitted in two rounds. The first round fits the shape from frames spread over the whole
clip. The second round fits the poses window by window with that shape. Each window is linked to the last fitted frame
before it and reads some frames past its own end. Memory does not grow with the clip beyond the observations and the
result.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.motion import PARTS, Motion
from stages.artifacts.provenance import Provenance, config_dict
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import rotvec_from_matrix
from stages.body.same_body import body_points
from stages.camera.focal import turned_focal
from stages.camera.path import camera_path
from stages.detect.gates import CONFIDENCE, MISSED, GateConfig, Gates, check_gates, gate
from stages.detect.observations import Observations
from stages.detect.sides import SIDES, exchanged_sides, with_sides_exchanged
from stages.priors.prior import Prior
from stages.progress import Progress, silent
from stages.track.collapse import CollapsedKeypoints, Skeleton, shape_columns, skeleton_of
from stages.track.config import UNSOLVED, TrackConfig
from stages.track.doubt import Doubt, doubt, doubt_points
from stages.track.focal import SHORT_FIT, Focal, estimated_focal, known_focal, spread_frames, terms_at, usual_focal
from stages.track.hands_and_face import with_hands_and_face
from stages.track.initial_guess import FirstPose, first_guess, first_pose
from stages.track.jacobian import keypoint_jacobian, pose_keypoints
from stages.track.objective import Problem, Stature
from stages.track.overlay import DOUBTED, GATE_ANGLES
from stages.track.prior_targets import (
    known_hands,
    priors_around,
    priors_of_rows,
    start_from_prior,
    with_prior_depth,
)
from stages.track.regularizers import Priors, priors_of
from stages.track.solvers import Task, solver
from stages.track.state import EXPRESSION_START, State, concatenate, joint_columns, joint_places, kinematics
from stages.track.summary import FACE_PER_SHOULDERS
from stages.track.targets import (
    BODY_POINTS,
    KNEES,
    VISIBILITY_MIN,
    Scene,
    TargetGroup,
    collapsed_parts,
    inside_picture,
    target_groups,
    with_mean_size,
)
from stages.track.terms import NO_WEIGHT, check_terms, groups_without, priors_without
from stages.track.threads import single_threaded_algebra

LEG_JOINTS = tuple(f"{side}_{name}" for side in ("left", "right") for name in ("hip", "knee", "ankle", "foot"))
HAND_MISSED_SHARE = 0.15
"""A hand with a mean error in the fit above this share of the face height was detected in a wrong place (d5: 0.24)."""


def fit(
    observations: Observations,
    body: Body,
    config: TrackConfig = TrackConfig(),
    progress: Progress = silent,
    prior: Prior | None = None,
    shape: Float[np.ndarray, "shape"] | None = None,
    metadata_px: float | None = None,
) -> Motion:
    """Fit one clip or photo. Frames without a person are filled in from their neighbours and marked invalid.

    prior: the result of another tracker, one row per frame (`stages.priors.prior.align_to_clip`). shape: a known shape
    that is not fitted: betas, head betas, head scale - 1, hand scale - 1. metadata_px: the focal length in pixels that
    the file states (`stages.video.lens`).

    Linear algebra runs in a single thread of each core, see `threads`.
    """
    check_terms(config.terms_off)
    check_gates(config.gates_off)
    with single_threaded_algebra():
        return _Fit(_Clip.of(observations, body, config), config, progress, prior, shape, metadata_px).motion()


def prepare(body: Body, config: TrackConfig) -> None:
    """Load the solver and the compiled code of the fit, by one use of it on the body in its rest pose."""
    solver(config.solver)
    columns = shape_columns(body, config.betas, config.head_betas)
    still = np.zeros((1, 3)), np.eye(3)[None], np.zeros((1, 54, 3)), np.zeros((1, len(body.expression_names)))
    state = State(*still, shape=np.zeros(len(columns)))
    pose = kinematics(skeleton_of(body, columns), state, derivatives=True)
    for keypoints in collapsed_parts(body, config).values():
        placed = pose_keypoints(keypoints, pose, state)
        keypoint_jacobian(keypoints, pose, placed, state, np.zeros((1, len(keypoints), 2, 3)))


@dataclass(frozen=True)
class _Clip:
    """What a fit works on: observations with sides repaired, what the gates say of them, and the tables of the body."""

    observations: Observations
    exchanged: Bool[np.ndarray, "frames"]
    gates: Gates
    body: Body
    columns: Int[np.ndarray, "shape"]
    skeleton: Skeleton
    priors: Priors
    keypoints: dict[str, CollapsedKeypoints]
    pose: FirstPose

    @staticmethod
    def of(observations: Observations, body: Body, config: TrackConfig) -> _Clip:
        gates = gate(observations, GateConfig(off=config.gates_off))
        exchanged = np.zeros(len(observations), bool)
        if SIDES not in config.gates_off:
            exchanged = exchanged_sides(observations, gates.valid[:, 0], gates.valid[:, 1])
        if exchanged.any():
            observations = with_sides_exchanged(observations, exchanged)
            gates = gate(observations, GateConfig(off=config.gates_off))
        columns, priors = shape_columns(body, config.betas, config.head_betas), priors_of(body, config)
        return _Clip(
            observations, exchanged, gates, body, columns, skeleton_of(body, columns), priors,
            collapsed_parts(body, config), first_pose(observations, gates.valid, body, priors),
        )  # fmt: skip

    def select(self, rows: Int[np.ndarray, "chosen"]) -> _Clip:
        """Some frames. They are judged as in the whole clip: gates and sides look at neighbouring frames."""
        return replace(
            self,
            observations=self.observations.select(rows),
            exchanged=self.exchanged[rows],
            gates=self.gates.select(rows),
            pose=self.pose.select(rows),
        )

    def without_expression(self) -> _Clip:
        """The expression is not fitted; jaw and eyes are."""
        disabled = self.priors.disabled.copy()
        disabled[EXPRESSION_START:] = 1
        return replace(self, priors=replace(self.priors, disabled=disabled))


class _Fit:
    """One fit: its inputs, and the methods that share them."""

    def __init__(
        self,
        clip: _Clip,
        config: TrackConfig,
        progress: Progress,
        prior: Prior | None = None,
        shape: Float[np.ndarray, "shape"] | None = None,
        metadata_px: float | None = None,
    ) -> None:
        self.clip, self.config, self.progress = clip, config, progress
        self.observations, self.body = clip.observations, clip.body
        self.exchanged, self.gates = clip.exchanged, clip.gates
        self.columns, self.skeleton, self.keypoints = clip.columns, clip.skeleton, clip.keypoints
        self.valid = self.gates.valid
        body, self.priors = clip.body, clip.priors
        observations = with_mean_size(clip.observations, self.valid[:, 0], body)
        width, height = observations.image_size
        self.focal = self._known_focal(metadata_px) or self._estimated_focal()
        self.focal_px = self.focal.px
        self.centre_px = (width / 2, height / 2)
        self.camera = self._camera()
        self.guess, self.scene = first_guess(
            clip.pose, observations, self.valid, body, self.skeleton, self.priors, self.focal_px, self.centre_px
        )
        if config.solver == UNSOLVED:
            self.guess = with_hands_and_face(self.guess, observations, self.valid, body, self.skeleton)
        self.known_hands = np.zeros((len(observations), 2), bool)
        if prior is not None:
            self.known_hands = known_hands(prior)
            self.guess = start_from_prior(self.guess, prior, self.skeleton, body.expression_names)
            self.priors = priors_around(self.priors, prior, body, config)
            observations = with_prior_depth(observations, prior, self.guess, body, self.scene.px_per_m)
        self.priors = priors_without(self.priors, config.terms_off)
        self.stature = stature_of(body, self.columns, config.height_cm) if config.height_cm else None
        if self.stature is not None:
            self.guess = replace(self.guess, shape=shape_of_stature(self.stature, self.guess.shape))
        self.targets = observations
        self.active = self._active_columns()
        self.active_shape = self._active_shape()
        if shape is not None:
            self.guess = replace(self.guess, shape=shape)
            self.active_shape = np.zeros_like(self.active_shape)

    def motion(self) -> Motion:
        """Fit the clip, at once or window by window."""
        frames = len(self.observations)
        if frames <= self.config.window_frames:
            return self._as_motion(self.solved())
        if not self.active_shape.any():
            return self._as_motion(self._windows())
        chosen = np.unique(np.linspace(0, frames - 1, self.config.identity_frames).astype(int))
        seen = chosen[self.valid[chosen, :2].any(1)]
        settled = self._solve(seen if len(seen) else chosen, self.active_shape, None, "finding the shape")
        self.guess = replace(self.guess, shape=settled.shape)
        return self._as_motion(self._windows())

    def _known_focal(self, metadata_px: float | None) -> Focal | None:
        """The focal length of the settings, else that of a camera that turns, else that of the file's metadata."""
        size, frames = self.observations.image_size, self.observations.frame_index
        given = known_focal(size, self.config, None)
        if given is not None:
            return given
        turned = turned_focal(self.observations.background, slice(int(frames[0]), int(frames[-1]) + 1), size)
        return known_focal(size, self.config, metadata_px) if turned is None else Focal(turned, "the camera's turn")

    def _camera(self) -> Float[np.ndarray, "frames 3 3"]:
        """Rotation from the camera of each frame to that of the first; none where nothing is known of it."""
        background, index = self.observations.background, self.observations.frame_index
        if background is None:
            return np.tile(np.eye(3), (len(index), 1, 1))
        first, count = int(index[0]), int(index[-1] - index[0]) + 1
        size, scale = self.observations.image_size, background.scale
        return camera_path(background.segments, first, count, size, scale, self.focal_px).R[index - first]

    def _estimated_focal(self) -> Focal:
        """The focal length from short fits of some frames; without a fit the usual one."""
        if self.config.solver == UNSOLVED:
            return usual_focal(self.observations.image_size)
        rows = spread_frames(np.flatnonzero(self.valid[:, 0]))
        if not len(rows):
            return usual_focal(self.observations.image_size)
        some, short = self.clip.select(rows).without_expression(), replace(self.config, **SHORT_FIT)
        some = replace(some, observations=replace(some.observations, background=None))  # its path is slow to find

        def losses_at(focal_px: float) -> dict[str, float]:
            one = _Fit(some, replace(short, focal_px=focal_px), silent)
            losses, diagonal_px = one.losses(one.solved()), np.hypot(*self.observations.image_size)
            seen = one.scene.px_per_m[one.valid[:, 0]]
            return {term: losses[term] for term in terms_at(float(diagonal_px / np.median(seen)))}

        return estimated_focal(self.observations.image_size, len(rows), losses_at)

    def solved(self) -> State:
        """All frames fitted at once."""
        return self._solve(np.arange(len(self.observations)), self.active_shape, None)

    def _windows(self) -> State:
        """Fit window by window with the shape fixed."""
        frames, done = len(self.observations), 0
        kept: list[State] = []
        nothing = np.zeros(len(self.columns), bool)
        config = replace(self.config, tolerance=min(self.config.tolerance, self.config.window_tolerance))
        while done < frames:
            end = min(done + self.config.window_frames, frames)
            ahead = min(end + self.config.overlap_frames, frames)
            state = self._solve(np.arange(done, ahead), nothing, kept[-1] if kept else None, config=config)
            kept.append(state.rows(slice(0, end - done)))
            done = end
        return concatenate(kept)

    def _solve(
        self,
        rows: np.ndarray,
        shape: np.ndarray,
        before: State | None,
        label: str = "fitting",
        config: TrackConfig | None = None,
    ) -> State:
        base = int(rows[0])

        def report_progress(share: float) -> None:
            self.progress(label, base + round(share * len(rows)), len(self.observations))

        task = self._task(self.guess.rows(rows), rows, shape, before)
        return solver(self.config.solver).solve(replace(task, config=config or self.config), report_progress)

    def _task(self, start: State, rows: np.ndarray, shape: np.ndarray, before: State | None) -> Task:
        config, first, seconds = self.config, self.guess.rows(rows), self.observations.pts_seconds
        sigma_root = NO_WEIGHT if "prior_pose" in config.terms_off else config.sigma_root_rad
        previous = np.concatenate([np.maximum(rows[:1] - 1, 0), rows[:-1]])
        turn = np.swapaxes(self.camera[rows], -1, -2) @ self.camera[previous]
        problem = Problem(
            self.skeleton, (), priors_of_rows(self.priors, rows), self.focal_px, self.centre_px, first.root, sigma_root,
            first.transl[:, 2], seconds[rows], turn, np.zeros((len(rows), 3)), robust_depth=False,
            before=before and before.rows(slice(-1, None)), gap_before=float(seconds[rows[0]] - seconds[rows[0] - 1]),
            stature=self.stature,
        )  # fmt: skip
        return Task(
            problem, self._groups(rows), start, first, self.known_hands[rows], self.active, shape, self.body, config
        )

    def _groups(self, rows: np.ndarray) -> dict[str, TargetGroup]:
        """Targets of some frames. The targets of a whole long clip would take more memory than its observations."""
        scene = Scene(self.focal_px, self.scene.depth_m[rows])
        targets = self.targets.select(rows)
        groups = target_groups(self.keypoints, targets, self.valid[rows], scene, self.body, self.config)
        return groups_without(groups, self.config.terms_off)

    def _window_rows(self) -> list[np.ndarray]:
        """The frames of the clip, cut into windows."""
        frames, step = len(self.observations), self.config.window_frames
        return [np.arange(at, min(at + step, frames)) for at in range(0, frames, step)]

    def losses(self, state: State) -> dict[str, float]:
        """Each term of the objective at the end of the fit, mean over frames."""
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for rows in self._window_rows():
            before = state.rows(rows[:1] - 1) if rows[0] else None
            task = self._task(state.rows(rows), rows, self.active_shape, before)
            for name, value in solver(self.config.solver).losses(task, task.start).items():
                found[name].append(value)
        return {name: round(float(np.concatenate(values).mean()), 6) for name, values in found.items()}

    def _active_columns(self) -> Bool[np.ndarray, "columns"]:
        """Columns that are fitted. Legs that are hardly ever seen, unseen hands and disabled expressions are not."""
        active = self.priors.disabled == 0
        active[joint_columns("left_foot", "right_foot")] = False
        visibility = np.nan_to_num(self.observations.pose[:, list(KNEES), 2])
        seen = (visibility.max(1) > 0.5) & self.valid[:, 0]
        if seen.sum() < self.config.knees_seen_share * max(1, self.valid[:, 0].sum()):
            active[joint_columns(*LEG_JOINTS)] = False
            for joint in LEG_JOINTS:
                self.guess.theta[:, JOINT_NAMES.index(joint) - 1] = 0
        for part, side in ((2, "left"), (3, "right")):
            if not self.valid[:, part].any():
                fingers = [name for name in JOINT_NAMES if name.startswith(f"{side}_") and name[-1] in "123"]
                active[joint_columns(*fingers)] = False
        return active

    def _active_shape(self) -> Bool[np.ndarray, "shape"]:
        """Shape entries that are fitted. Head scale needs visible shoulders, hand scale needs visible hands."""
        active = np.ones(len(self.columns), bool)
        seen = [
            self._groups(rows)["body"].per_pixel[:, 3:5].all(1) & self.valid[rows, 1] for rows in self._window_rows()
        ]
        active[-2] = np.concatenate(seen).mean() > 0.3
        active[-1] = bool(self.valid[:, 2:].any())
        return active

    def _as_motion(self, state: State) -> Motion:
        observations = self.observations
        frames = len(observations)
        width, height = observations.image_size
        betas = state.shape[: self.config.betas]
        head_betas = state.shape[self.config.betas : -2]
        poses = np.concatenate([rotvec_from_matrix(state.root)[:, None], state.theta], 1).reshape(frames, 165)
        errors, shoulder_width = self._errors(state), self._shoulder_width(state)
        face_height = _face_height(observations, self.valid[:, 1])
        missed = self._missed_hands(errors, face_height, shoulder_width)
        expected_mm, expected_px = self._expected(state)
        errors[:, 2:][missed] = 0
        kept = np.concatenate([np.ones_like(missed), ~missed], 1)
        K = np.array([[self.focal_px, 0, width / 2], [0, self.focal_px, height / 2], [0, 0, 1]], np.float32)
        return Motion(
            trans=state.transl.astype(np.float32),
            poses=poses.astype(np.float32),
            expression=state.psi.astype(np.float32),
            betas=betas.astype(np.float32),
            head_betas=head_betas.astype(np.float32),
            head_scale=float(1 + state.shape[-2]),
            hand_scale=float(1 + state.shape[-1]),
            K=np.tile(K, (frames, 1, 1)),
            image_size=(width, height),
            fps=Fraction(observations.fps).limit_denominator(100_000),
            frame_index=observations.frame_index,
            pts_seconds=observations.pts_seconds,
            duration_seconds=observations.duration_seconds,
            valid=self.valid & kept,
            confidence=np.where(kept, self.gates.score, 0).astype(np.float32),
            error_px=errors,
            expected_mm=expected_mm,
            expected_px=expected_px,
            face_height_px=face_height,
            shoulder_width_px=shoulder_width,
            body_model=self.body.name,
            body_sha256=self.body.sha256,
            body_points=body_points(self.body),
            provenance=Provenance(
                "track",
                config=config_dict(self.config),
                weights={"body": self.body.sha256},
                notes={"losses": self.losses(state), "focal_source": self.focal.source},
            ),
            gates=self._gate_columns(missed),
            gate_names=(
                *GATE_ANGLES,
                *self.gates.rejected,
                *(f"{hand}: {MISSED}" for hand in PARTS[2:]),
                SIDES,
                DOUBTED,
            ),
        )

    def _errors(self, state: State) -> Float[np.ndarray, "frames 4"]:
        """Mean distance of the used keypoints from their targets per part, pixels; 0 where the part is invalid."""
        return np.concatenate([self._errors_of_rows(state.rows(rows), rows) for rows in self._window_rows()])

    def _errors_of_rows(self, state: State, rows: np.ndarray) -> Float[np.ndarray, "chosen 4"]:
        pose = kinematics(self.skeleton, state, derivatives=False)
        errors, groups = np.zeros((len(state), 4), np.float32), self._groups(rows)
        for column, name in enumerate(PARTS):
            group = groups[name]
            points = pose_keypoints(group.keypoints, pose, state).points
            projected = self.focal_px * points[..., :2] / points[..., 2:] + np.array(self.centre_px)
            used = (group.per_pixel > 0) & inside_picture(group.pixels, self.observations.image_size)
            distance = np.linalg.norm(projected - group.pixels, axis=-1)
            total = np.where(used, distance, 0).sum(1) / np.maximum(used.sum(1), 1)
            errors[:, column] = np.where(self.valid[rows, column], total, 0)
        return errors

    def _expected(
        self, state: State
    ) -> tuple[Float[np.ndarray, "frames 8"] | None, Float[np.ndarray, "frames 8"] | None]:
        """How far off each part may be, mm and pixels; None without a fit."""
        if self.config.solver == UNSOLVED:
            return None, None
        points = doubt_points(self.body, self.config)
        windows = [self._doubt(state, rows, points) for rows in self._window_rows()]
        mm, px = (
            np.concatenate([getattr(each, name)() for each in windows]) for name in ("expected_mm", "expected_px")
        )
        return mm.astype(np.float32), px.astype(np.float32)

    def _doubt(self, state: State, rows: np.ndarray, points: CollapsedKeypoints) -> Doubt:
        before = state.rows(rows[:1] - 1) if rows[0] else None
        return doubt(self._task(state.rows(rows), rows, self.active_shape, before), state.rows(rows), points)

    def _missed_hands(self, errors, face_height, shoulder_width) -> Bool[np.ndarray, "frames 2"]:
        """Left and right hands whose error in the fit is too large: the detected points are not of this hand. Without a
        fit the error says nothing about them."""
        if self.config.solver == UNSOLVED:
            return np.zeros((len(errors), 2), bool)
        size = np.where(face_height > 0, face_height, FACE_PER_SHOULDERS * shoulder_width)
        return (errors[:, 2:] > HAND_MISSED_SHARE * size[:, None]) & (MISSED not in self.config.gates_off)

    def _gate_columns(self, missed: Bool[np.ndarray, "frames 2"]) -> Float[np.ndarray, "frames gates"]:
        """Face angles in degrees (0 where unseen), one column per gate (1 where it rejected or repaired something), and
        the number of doubted points."""
        angles = np.nan_to_num(self.gates.face_angles)
        rejected = np.stack(list(self.gates.rejected.values()), -1)
        columns = [angles, rejected, missed, self.exchanged[:, None], self._doubted_counts()]
        return np.concatenate(columns, 1, dtype=np.float32)

    def _doubted_counts(self) -> Float[np.ndarray, "frames 1"]:
        """Number of pose points of a valid body that the confidence gate rejected."""
        low = np.nan_to_num(self.observations.pose[:, list(BODY_POINTS), 2]) <= VISIBILITY_MIN
        is_on = CONFIDENCE not in self.config.gates_off
        return (low & self.valid[:, :1]).sum(1, keepdims=True) * float(is_on)

    def _shoulder_width(self, state: State) -> Float[np.ndarray, "frames"]:
        """Distance between the shoulder joints, as if facing the camera at their depth, pixels."""
        shoulders = [JOINT_NAMES.index(name) for name in ("left_shoulder", "right_shoulder")]
        pair = joint_places(self.skeleton, state)[:, shoulders]
        width = np.linalg.norm(pair[:, 0] - pair[:, 1], axis=-1)
        return (self.focal_px * width / np.maximum(pair[..., 2].mean(1), 0.1)).astype(np.float32)


def stature_of(body: Body, columns: np.ndarray, height_cm: float) -> Stature:
    """The height over the soles in the rest pose, as a linear function of the fitted shape columns."""
    up = body.v_template[:, 1]
    ends = np.array([int(up.argmax()), int(up.argmin())])
    slope = body.shapedirs[ends, 1][:, columns].astype(float)
    return Stature(float(up[ends[0]] - up[ends[1]]), slope[0] - slope[1], height_cm / 100)


def shape_of_stature(stature: Stature, shape: Float[np.ndarray, "shape"]) -> Float[np.ndarray, "shape"]:
    """The shape with the first coefficient, the overall size, that gives the known height."""
    out = shape.copy()
    out[0] -= (stature.mean_m + float(stature.slope @ shape) - stature.target_m) / stature.slope[0]
    return out


def _face_height(observations: Observations, seen: Bool[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
    """Hairline to chin (landmarks 10 and 152) in the picture, pixels; 0 where unseen."""
    height = np.linalg.norm(observations.face[:, 10, :2] - observations.face[:, 152, :2], axis=-1)
    return np.where(seen, np.nan_to_num(height), 0).astype(np.float32)
