"""The terms of the objective by name, and how to leave terms out (the ablation). Both solvers minimise these terms.

Values are per frame and unweighted, in the loss of the solver (Geman-McClure and squares for `gn`, absolute values and
squares for `adamw`). A term that a solver does not have is absent. Nothing compiled is loaded to check a name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stages.errors import InputError

if TYPE_CHECKING:
    from stages.track.regularizers import Priors
    from stages.track.targets import TargetGroup

TERMS: dict[str, str] = {
    "keypoints_body": "reprojection of body points, weighted by confidence, core joints more (L2D, paper eq. 8)",
    "keypoints_face": "reprojection of face points (L2D)",
    "keypoints_hands": "reprojection of hand points (L2D)",
    "align_body": "depth of body points relative to the shoulders",
    "align_hands": "3-D hand points against the observed hand; depth weighs lambda_z (L3D, paper eq. 9)",
    "hands_in_front": "depth of hands behind the surface of head or trunk over which they are seen (gn)",
    "prior_pose": "distance of joints and root from their likely pose",
    "prior_expression": "distance of the expression from zero",
    "prior_shape": "distance of body shape, head shape and scales from the mean, and of the stature from a given one",
    "limit_joints": "soft limits of jaw, elbows, knees and fingers",
    "limit_expression": "soft limit of the expression: ReLU(|psi| - 4), and [0, 1] where it has a range",
    "limit_scale": "soft limit of head and hand scale (adamw; gn has a hard limit)",
    "limit_depth": "soft limit of the distance from the camera (adamw)",
    "smooth_camera": "change of the translation in time; across the picture, of its steady movement (gn)",
    "smooth_pose": "change of root and joints in time",
    "smooth_vertices": "change of body vertices in time (adamw)",
    "smooth_expression": "change of the expression in time",
}
"""Name -> meaning."""
IN_FRONT = "hands_in_front"
NO_WEIGHT = np.inf
"""Sigma of a term without weight."""


def check_terms(names: tuple[str, ...]) -> None:
    """Raise InputError naming a term that does not exist."""
    for name in names:
        if name not in TERMS:
            raise InputError(f"terms_off names '{name}'; the terms are: {', '.join(TERMS)}")


def priors_without(priors: Priors, off: tuple[str, ...]) -> Priors:
    """The priors with weight 0 for the terms `off`."""
    from stages.track.state import EXPRESSION_START

    sigma, bound, step = priors.sigma.copy(), priors.sigma_bound.copy(), priors.step.copy()
    pose, faces = slice(3, EXPRESSION_START), slice(EXPRESSION_START, None)
    for array, name, columns in (
        (sigma, "prior_pose", pose), (sigma, "prior_expression", faces), (bound, "limit_joints", pose),
        (bound, "limit_expression", faces), (step, "smooth_camera", slice(0, 3)), (step, "smooth_pose", pose),
        (step, "smooth_expression", faces),
    ):  # fmt: skip
        if name in off:
            array[..., columns] = NO_WEIGHT
    shape = np.full_like(priors.shape_sigma, NO_WEIGHT) if "prior_shape" in off else priors.shape_sigma
    return replace(priors, sigma=sigma, sigma_bound=bound, step=step, shape_sigma=shape)


def groups_without(groups: dict[str, TargetGroup], off: tuple[str, ...]) -> dict[str, TargetGroup]:
    """The targets with weight 0 for the terms `off`."""
    return {name: _group_without(name, group, off) for name, group in groups.items()}


def _group_without(name: str, group: TargetGroup, off: tuple[str, ...]) -> TargetGroup:
    part = part_of_group(name)
    if f"keypoints_{part}" in off:
        group = replace(group, per_pixel=np.zeros_like(group.per_pixel))
    if f"align_{part}" in off and group.per_metre is not None:
        group = replace(group, per_metre=np.zeros_like(group.per_metre))
    return group


def part_of_group(name: str) -> str:
    """Last part of the term names that a group of `targets.target_groups` belongs to."""
    return {"rigid_face": "face", "left_hand": "hands", "right_hand": "hands"}.get(name, name)
