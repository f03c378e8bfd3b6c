"""What another tracker says, put to use in a fit: first guess, expected pose of every frame, depth of the hands.

The paper takes its initial poses and its regularisers' targets from such estimators, and aligns hands in 3-D with
HaMeR's (0.C). Where a prior is silent (NaN) everything stays as it was without it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

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


def started_from(state: State, prior: Prior, skeleton: Skeleton, expressions: tuple[str, ...] = ()) -> State:
    """The first guess with the prior's turns and, of the named `expressions` of the body, those that it knows; the
    shoulders stay where the guess had put them.
    """
    root = np.where(np.isfinite(prior.root), prior.root, state.root)
    theta = np.where(np.isfinite(prior.joints), prior.joints, state.theta)
    for number, side in enumerate(HANDS):
        theta = _with_wrist(theta, root, prior.wrists[:, number], side, skeleton)
    psi, (columns, told) = state.psi.copy(), _faces(prior, expressions)
    psi[:, columns] = np.where(np.isfinite(told), told, psi[:, columns])
    turned = replace(state, root=root, theta=theta, psi=psi)
    shoulders = [JOINT_NAMES.index(f"{side}_shoulder") for side in HANDS]
    before, after = (joint_places(skeleton, each)[:, shoulders] for each in (state, turned))
    return replace(turned, transl=state.transl + (before.mean(1) - after.mean(1)))


def _with_wrist(theta, root, orientation, side: str, skeleton: Skeleton) -> Float[np.ndarray, "frames 54 3"]:
    """The wrist's local turn that gives the hand its orientation in the camera."""
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


def expected(priors: Priors, prior: Prior, body: Body, config: TrackConfig) -> Priors:
    """The pose priors with the other tracker's pose as their mean: (frames, columns) instead of one row for all."""
    frames = len(prior)
    mean, sigma = np.tile(priors.mean, (frames, 1)), np.tile(priors.sigma, (frames, 1))
    joint_sigma = np.full(54, config.sigma_prior_body_rad)
    joint_sigma[JAW], joint_sigma[EYES] = config.sigma_prior_jaw_rad, config.sigma_prior_jaw_rad
    for columns in HANDS.values():
        joint_sigma[columns] = config.sigma_prior_hand_rad
    told = prior.joints.reshape(frames, -1)
    _believe(mean, sigma, slice(JOINTS_START, EXPRESSION_START), told, np.repeat(joint_sigma, 3))
    columns, told = _faces(prior, body.expression_names)
    blink = np.array([body.expression_names[column] in BLINKS for column in columns], bool)
    width = np.where(blink, config.sigma_prior_blink, config.sigma_prior_expression)
    _believe(mean, sigma, [EXPRESSION_START + column for column in columns], told, width)
    return replace(priors, mean=mean, sigma=sigma)


def _faces(prior: Prior, names: tuple[str, ...]) -> tuple[list[int], Float[np.ndarray, "frames known"]]:
    """Which expressions the prior can speak of, and what it says: eyelids, and FLAME's on FLAME's head."""
    rows = dict(zip(BLINKS, prior.eyelids.T, strict=True))
    rows |= {f"expression_{number:02d}": row for number, row in enumerate(prior.expression.T)}
    columns = [column for column, name in enumerate(names) if name in rows]
    told = [rows[names[column]] for column in columns]
    return columns, np.stack(told, 1) if told else np.zeros((len(prior), 0))


def _believe(mean: np.ndarray, sigma: np.ndarray, columns, told: np.ndarray, width: np.ndarray) -> None:
    known = np.isfinite(told)
    mean[:, columns] = np.where(known, told, mean[:, columns])
    sigma[:, columns] = np.where(known, np.minimum(width, sigma[:, columns]), sigma[:, columns])


def rows_of(priors: Priors, rows: Int[np.ndarray, "chosen"]) -> Priors:
    """The priors of some frames; the same where they are the same for all frames."""
    if priors.mean.ndim == 1:
        return priors
    return replace(priors, mean=priors.mean[rows], sigma=priors.sigma[rows])


def with_prior_depth(
    observations: Observations, prior: Prior, state: State, body: Body, px_per_m: Float[np.ndarray, "frames"]
) -> Observations:
    """Observations whose third dimension is the prior's: `state` is the guess that already has its turns.

    Body points take their depth where the prior knows the body, hand points where it knows the fingers and either the
    arm or the wrist.
    """
    placed = np.isfinite(prior.joints[:, BODY_JOINTS]).all((1, 2)) & np.isfinite(prior.root).all((1, 2))
    hands = {
        f"{side}_hand": np.isfinite(prior.joints[:, columns]).all((1, 2))
        & (placed | np.isfinite(prior.wrists[:, number]).all((1, 2)))
        for number, (side, columns) in enumerate(HANDS.items())
    }
    world = observations.pose_world.copy()
    points = {name: getattr(observations, name).copy() for name in hands}
    wanted = np.flatnonzero(np.any([placed, *hands.values()], 0))
    for rows in np.array_split(wanted, max(1, -(-len(wanted) // ROWS_AT_ONCE))):
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


def _keypoint_depth(body: Body, state: State, rows: np.ndarray) -> dict[str, Float[np.ndarray, "rows"]]:
    """Depth of every keypoint of the mean person in these rows of the state, metres."""
    poses = np.concatenate([rotvec_from_matrix(state.root[rows])[:, None], state.theta[rows]], 1)
    none = np.zeros((len(rows), len(body.expression_names)), np.float32)
    origin = np.zeros((len(rows), 3), np.float32)
    posed = pose_body(body, body.v_template, poses.reshape(len(rows), 165).astype(np.float32), origin, none)
    z = keypoints_from(body, body.v_template, posed)[..., 2]
    return dict(zip(body.keypoint_names, z.T, strict=True))
