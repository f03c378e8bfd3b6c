"""Regularisers of the fit: what is likely before any measurement (pose, limits, expression, shape, smoothness).

Every term is a residual on a single column, so it adds to the diagonal of the Hessian only. Limits are one-sided: they
add only where they are violated. Axes are those of the T-pose: x to the person's left, y up, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stages.body.model import JOINT_NAMES, Body
from stages.track.collapse import shape_columns
from stages.track.config import TrackConfig
from stages.track.state import EXPRESSION_START, JOINTS_START, joint_columns

OWNED_BY_JOINTS = ("jawOpen", "jawLeft", "jawRight", "jawForward", "eyeLook", "tongueOut")
"""Expressions that are not fitted, by name prefix: jaw or eye joints do the same, or no point shows it."""

FLAME_SIGMA, FLAME_BOUND = 1.0, 4.0
"""FLAME's expressions are principal components: positive or negative, each with sigma 1, at most 4 (paper eq. 10)."""

FINGERS = ("index", "middle", "pinky", "ring")

# joint -> (sigma of x, y, z; mean of x, y, z), left side. The right side has the opposite means of y and z.
POSE = {
    "hip": ((0.6, 0.3, 0.3), (0, 0, 0)),
    "knee": ((0.8, 0.08, 0.08), (0.1, 0, 0)),
    "ankle": ((0.3, 0.2, 0.2), (0, 0, 0)),
    "foot": ((0.1, 0.05, 0.05), (0, 0, 0)),
    "collar": ((0.12, 0.12, 0.12), (0, 0, 0)),
    "shoulder": ((0.6, 0.8, 0.8), (0, 0, -1.1)),
    "elbow": ((0.35, 0.8, 0.15), (0, -0.9, 0)),
    "wrist": ((0.35, 0.5, 0.6), (0, 0, 0)),
    "eye_smplhf": ((0.25, 0.25, 0.05), (0, 0, 0)),
    "thumb1": ((0.3, 0.4, 0.4), (0, 0, 0)),
    "thumb2": ((0.15, 0.3, 0.3), (0, 0, 0)),
    "thumb3": ((0.1, 0.4, 0.4), (0, 0, 0)),
    **{f"{finger}1": ((0.12, 0.2, 0.6), (0, 0, -0.3)) for finger in FINGERS},
    **{f"{finger}2": ((0.05, 0.05, 0.7), (0, 0, -0.3)) for finger in FINGERS},
    **{f"{finger}3": ((0.05, 0.05, 0.5), (0, 0, -0.3)) for finger in FINGERS},
}
MIDDLE = {
    "spine1": (0.12, 0.12, 0.12),
    "spine2": (0.12, 0.12, 0.12),
    "spine3": (0.12, 0.12, 0.12),
    "neck": (0.2, 0.2, 0.2),
    "head": (0.35, 0.35, 0.35),
    "jaw": (0.25, 0.05, 0.03),
}

# (joint, axis, lower, upper), left side. On the right side the bounds are negated and swapped.
LIMITS = (
    ("elbow", 1, -2.6, 0.0),
    *((f"{finger}{knuckle}", 2, -1.9, 0.35 if knuckle == 1 else 0.1) for finger in FINGERS for knuckle in (1, 2, 3)),
)
LIMITS_UNMIRRORED = (("left_knee", 0, 0.0, 2.6), ("right_knee", 0, 0.0, 2.6), ("jaw", 0, 0.0, 0.7))

MIRROR = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Priors:
    """Means, sigmas and bounds of the columns of a frame, and of the shape."""

    mean: Float[np.ndarray, "*frames columns"]
    """One row for all frames, or one row per frame when it includes the prior of another tracker."""
    sigma: Float[np.ndarray, "*frames columns"]
    """inf where there is no prior: the translation, and the root, which `Problem` holds."""
    lower: Float[np.ndarray, "columns"]
    upper: Float[np.ndarray, "columns"]
    sigma_bound: Float[np.ndarray, "columns"]
    step: Float[np.ndarray, "columns"]
    """Temporal sigma per frame at 30 frames per second."""
    disabled: Float[np.ndarray, "columns"]
    """1 where the column is never fitted."""
    shape_sigma: Float[np.ndarray, "shape"]
    shape_bound: Float[np.ndarray, "shape"]


def priors_of(body: Body, config: TrackConfig) -> Priors:
    """The tables above as columns for this body."""
    expression = len(body.expression_names)
    width = EXPRESSION_START + expression
    mean, sigma, step = np.zeros(width), np.full(width, np.inf), _steps(config, width)
    for joint, (sigmas, means) in _both_sides():
        sigma[joint_columns(joint)], mean[joint_columns(joint)] = sigmas, means
    lower, upper, sigma_bound = np.full(width, -np.inf), np.full(width, np.inf), np.full(width, config.sigma_limit_rad)
    for joint, axis, low, high in _limits():
        column = joint_columns(joint)[axis]
        lower[column], upper[column] = low, high
    faces = slice(EXPRESSION_START, width)
    blink = np.array([name.startswith("eyeBlink") for name in body.expression_names], bool)
    sigma[faces] = np.where(blink, config.sigma_blink, config.sigma_expression)
    lower[faces], upper[faces], sigma_bound[faces] = 0.0, 1.0, config.sigma_box
    both_ways = EXPRESSION_START + np.flatnonzero([name.startswith("expression_") for name in body.expression_names])
    sigma[both_ways], step[both_ways] = FLAME_SIGMA, FLAME_SIGMA / config.sigma_expression * config.step_expression
    lower[both_ways], upper[both_ways] = -FLAME_BOUND, FLAME_BOUND
    disabled = np.zeros(width)
    disabled[faces] = [name.startswith(OWNED_BY_JOINTS) for name in body.expression_names]
    return Priors(mean, sigma, lower, upper, sigma_bound, step, disabled, *_shape(body, config))


def _both_sides():
    for name, sigmas in MIDDLE.items():
        yield name, (sigmas, (0.0, 0.0, 0.0))
    for name, (sigmas, means) in POSE.items():
        yield f"left_{name}", (sigmas, means)
        yield f"right_{name}", (sigmas, MIRROR * means)


def _limits():
    for name, axis, low, high in LIMITS:
        yield f"left_{name}", axis, low, high
        yield f"right_{name}", axis, -high, -low
    yield from LIMITS_UNMIRRORED


def _steps(config: TrackConfig, width: int) -> Float[np.ndarray, "columns"]:
    step = np.full(width, config.step_joint_rad)
    step[:3] = config.step_transl_m, config.step_transl_m, config.step_depth_m
    step[3:JOINTS_START] = config.step_root_rad
    step[EXPRESSION_START:] = config.step_expression
    step[joint_columns("spine1", "spine2", "spine3")] = config.step_spine_rad
    step[joint_columns("neck", "head")] = config.step_head_rad
    step[joint_columns("jaw")] = config.step_jaw_rad
    step[joint_columns(*range(JOINT_NAMES.index("left_index1"), len(JOINT_NAMES)))] = config.step_finger_rad
    return step


def _shape(body: Body, config: TrackConfig):
    columns = shape_columns(body, config.betas, config.head_betas)
    betas = columns < body.num_betas
    sigma = np.where(betas, config.sigma_betas, config.sigma_head_betas)
    sigma[-2:] = config.sigma_head_scale, config.sigma_hand_scale
    bound = np.full(len(columns), np.inf)
    bound[-2:] = config.scale_bound
    return sigma, bound
