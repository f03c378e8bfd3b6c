"""How a fit uses another tracker's results: as first guess, as expected pose of every frame, as depth of the hands.

The paper takes its initial poses and the targets of its regularisers from such estimators, and aligns hands in 3-D with
those of HaMeR (0.C). Where a prior has no value (NaN), the fit is the same as without a prior.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.body.model import JOINT_NAMES, Body, keypoints_from, pose_body
from stages.body.rotations import rotvec_from_matrix
from stages.detect.observations import Observations
from stages.priors.prior import BODY_JOINTS, EYES, HANDS, JAW, Prior
from stages.track.collapse import Skeleton
from stages.track.config import TrackConfig
from stages.track.regularizers import Priors
from stages.track.state import EXPRESSION_START, JOINTS_START, State, joint_places

ROWS_AT_ONCE = 16
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


def start_from_prior(state: State, prior: Prior, skeleton: Skeleton, expressions: tuple[str, ...] = ()) -> State:
    """The first guess with the rotations of the prior, and with the `expressions` of the body that the prior knows.
    The shoulders stay where the first guess has them.
    """
    root = np.where(np.isfinite(prior.root), prior.root, state.root)
    theta = np.where(np.isfinite(prior.joints), prior.joints, state.theta)
    for number, side in enumerate(HANDS):
        theta = _with_wrist_turned(theta, root, prior.wrists[:, number], side, skeleton)
    psi, (columns, values) = state.psi.copy(), _known_expressions(prior, expressions)
    psi[:, columns] = np.where(np.isfinite(values), values, psi[:, columns])
    rotated = replace(state, root=root, theta=theta, psi=psi)
    shoulders = [JOINT_NAMES.index(f"{side}_shoulder") for side in HANDS]
    before, after = (joint_places(skeleton, each)[:, shoulders] for each in (state, rotated))
    return replace(rotated, transl=state.transl + (before.mean(1) - after.mean(1)))


def _with_wrist_turned(theta, root, orientation, side: str, skeleton: Skeleton) -> Float[np.ndarray, "frames 54 3"]:
    """theta with the local wrist rotation that gives the hand its orientation in the camera."""
    known = np.isfinite(orientation).all((1, 2))
    if not known.any():
        return theta
    from stages.body.model import joint_transforms
    from stages.body.rotations import matrix_from_rotvec

    wrist = JOINT_NAMES.index(f"{side}_wrist")
    local = np.concatenate([root[:, None], matrix_from_rotvec(theta)], 1)[known]
    world = joint_transforms(skeleton.parents, local, skeleton.joints, np.zeros((len(local), 3)))[..., :3]
    out = theta.copy()
    out[known, wrist - 1] = rotvec_from_matrix(
        np.swapaxes(world[:, skeleton.parents[wrist]], -1, -2) @ orientation[known]
    )
    return out


def priors_around(priors: Priors, prior: Prior, body: Body, config: TrackConfig) -> Priors:
    """The pose priors with the pose of the other tracker as mean: one row per frame instead of one for all frames."""
    frames = len(prior)
    mean, sigma = np.tile(priors.mean, (frames, 1)), np.tile(priors.sigma, (frames, 1))
    joint_sigma = np.full(54, config.sigma_prior_body_rad)
    joint_sigma[JAW], joint_sigma[EYES] = config.sigma_prior_jaw_rad, config.sigma_prior_jaw_rad
    for columns in HANDS.values():
        joint_sigma[columns] = config.sigma_prior_hand_rad
    values = prior.joints.reshape(frames, -1)
    _set_known(mean, sigma, slice(JOINTS_START, EXPRESSION_START), values, np.repeat(joint_sigma, 3))
    columns, values = _known_expressions(prior, body.expression_names)
    blink = np.array([body.expression_names[column] in BLINKS for column in columns], bool)
    width = np.where(blink, config.sigma_prior_blink, config.sigma_prior_expression)
    _set_known(mean, sigma, [EXPRESSION_START + column for column in columns], values, width)
    return replace(priors, mean=mean, sigma=sigma)


def _known_expressions(prior: Prior, names: tuple[str, ...]) -> tuple[list[int], Float[np.ndarray, "frames known"]]:
    """Columns of the expressions that the prior knows, and their values: eyelids, and FLAME's on the ehm body."""
    rows = dict(zip(BLINKS, prior.eyelids.T, strict=True))
    rows |= {f"expression_{number:02d}": row for number, row in enumerate(prior.expression.T)}
    columns = [column for column, name in enumerate(names) if name in rows]
    values = [rows[names[column]] for column in columns]
    return columns, np.stack(values, 1) if values else np.zeros((len(prior), 0))


def _set_known(mean: np.ndarray, sigma: np.ndarray, columns, values: np.ndarray, width: np.ndarray) -> None:
    known = np.isfinite(values)
    mean[:, columns] = np.where(known, values, mean[:, columns])
    sigma[:, columns] = np.where(known, np.minimum(width, sigma[:, columns]), sigma[:, columns])


def priors_of_rows(priors: Priors, rows: Int[np.ndarray, "chosen"]) -> Priors:
    """The priors of some frames. Priors with one row for all frames are returned unchanged."""
    if priors.mean.ndim == 1:
        return priors
    return replace(priors, mean=priors.mean[rows], sigma=priors.sigma[rows])


def with_prior_depth(
    observations: Observations, prior: Prior, state: State, body: Body, px_per_m: Float[np.ndarray, "frames"]
) -> Observations:
    """Observations with the depths of the prior. `state` is the first guess that already has the prior's rotations.

    Body points take their depth from the prior where it knows the body, hand points where it knows the fingers and
    either the arm or the wrist.
    """
    placed = _known_body(prior)
    hands = {f"{side}_hand": known for side, known in zip(HANDS, known_hands(prior).T, strict=True)}
    world = observations.pose_world.copy()
    points = {name: getattr(observations, name).copy() for name in hands}
    known_rows = np.flatnonzero(np.any([placed, *hands.values()], 0))
    for rows in np.array_split(known_rows, max(1, -(-len(known_rows) // ROWS_AT_ONCE))):
        if not len(rows):
            continue
        depth = _keypoint_depth(body, state, rows)
        chosen = placed[rows]
        z = np.stack([depth[f"pose_{number:02d}"] for number in range(33)], -1)
        world[rows[chosen], :, 2] = (z - z[:, 23:25].mean(1, keepdims=True))[chosen]
        for name, known in hands.items():
            z = np.stack([depth[f"{name}_{number:02d}"] for number in range(21)], -1)
            pixels = (z - z[:, :1]) * px_per_m[rows, None]
            points[name][rows[known[rows]], :, 2] = pixels[known[rows]]
    return replace(observations, pose_world=world, **points)


def known_hands(prior: Prior) -> Bool[np.ndarray, "frames 2"]:
    """Frames in which the prior knows the fingers of the left and right hand, and either the arm or the wrist."""
    placed = _known_body(prior)
    columns = [
        np.all(np.isfinite(prior.joints[:, fingers]), (1, 2))
        & (placed | np.all(np.isfinite(prior.wrists[:, number]), (1, 2)))
        for number, fingers in enumerate(HANDS.values())
    ]
    return np.stack(columns, 1)


def _known_body(prior: Prior) -> Bool[np.ndarray, "frames"]:
    return np.all(np.isfinite(prior.joints[:, BODY_JOINTS]), (1, 2)) & np.all(np.isfinite(prior.root), (1, 2))


def _keypoint_depth(body: Body, state: State, rows: np.ndarray) -> dict[str, Float[np.ndarray, "rows"]]:
    """Depth of every keypoint of the mean body shape in these rows of the state, metres."""
    poses = np.concatenate([rotvec_from_matrix(state.root[rows])[:, None], state.theta[rows]], 1)
    none = np.zeros((len(rows), len(body.expression_names)), np.float32)
    origin = np.zeros((len(rows), 3), np.float32)
    posed = pose_body(body, body.v_template, poses.reshape(len(rows), 165).astype(np.float32), origin, none)
    z = keypoints_from(body, body.v_template, posed)[..., 2]
    return dict(zip(body.keypoint_names, z.T, strict=True))
