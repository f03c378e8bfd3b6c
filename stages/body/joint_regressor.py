"""Rest joints as linear functions of rest vertices: exact on the whole shape space, independent of expression."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.body.shape_space import Rows, ShapeSpace

NEAREST = 1000


def fit_joint_regressor(space: ShapeSpace) -> Float[np.ndarray, "55 vertices"]:
    """Per joint, the smallest signed weights near it that meet the mean joint, follow every direction and sum to 1.

    Weights cost more with distance. The error is at most 0.1 mm; non-negative weights leave 23 mm at the knee.
    """
    targets = _all_rows(space)
    regressor = np.zeros((55, space.mean.vertices.shape[1]))
    for joint in range(55):
        place = space.mean.joints[0, joint]
        distance = np.linalg.norm(space.mean.vertices[0] - place, axis=1)
        near = np.argsort(distance, kind="stable")[:NEAREST]
        ease = 1.0 / (distance[near] + 0.02)
        system = np.concatenate(
            [targets.vertices[:, near].transpose(0, 2, 1).reshape(-1, NEAREST), np.ones((1, NEAREST))]
        )
        target = np.concatenate([targets.joints[:, joint].ravel(), [1.0]])
        # the mean is relative to the joint, which scales the two conditions alike: weights sum to 1, mean joint is met
        system[:3] -= place[:, None]
        target[:3] -= place
        regressor[joint, near] = ease * least_norm(system * ease, target)
    return regressor


def _all_rows(space: ShapeSpace) -> Rows:
    """Mean, directions and expressions as rows; expressions move no joint."""
    vertices = [space.mean.vertices, space.directions.vertices, space.expressions.vertices]
    still = np.zeros((len(space.expressions.vertices), 55, 3))
    return Rows(
        np.concatenate(vertices).astype(np.float64), np.concatenate([space.mean.joints, space.directions.joints, still])
    )


def least_norm(system: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest x with system @ x = target, with a small ridge that keeps the weights safe in float32."""
    gram = system @ system.T
    ridge = 1e-11 * np.trace(gram)
    return system.T @ np.linalg.solve(gram + ridge * np.eye(len(gram)), target)
