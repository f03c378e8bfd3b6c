"""Whether a motion was fitted on the body in use; poses are valid on that body only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.errors import InputError

POINTS = 1024
"""Number of vertices that stand for a body, beside its joints: a quarter of them on the face of the open body."""
SAME_M = 1e-4
"""Bodies are the same if these points differ by less than this."""


def body_points(body: Body) -> Float[np.ndarray, "points 3"]:
    """POINTS vertices and the 55 joints of the body at rest, metres, at a fixed shape and expression.

    Every column has another share, so that a column that is missing, turned round or in another place moves the points.
    """
    vertices = body.v_template + _mixed(body.shapedirs) + _mixed(body.exprdirs)
    if body.posedirs is not None:
        vertices = vertices + _mixed(body.posedirs)
    chosen = np.linspace(0, len(vertices) - 1, POINTS).astype(int)
    return np.concatenate([vertices[chosen], body.J_regressor @ vertices]).astype(np.float32)


def _mixed(directions: Float[np.ndarray, "vertices 3 columns"]) -> Float[np.ndarray, "vertices 3"]:
    return directions @ (1 / np.arange(1, directions.shape[2] + 1, dtype=np.float32))


def is_same_body(motion: Motion, body: Body) -> bool:
    """Whether the motion was fitted on this body: the same file, or the same body baked on another machine.

    Another processor or another release of a library rounds otherwise, so that the bytes of a baked body differ.
    """
    if motion.body_sha256 == body.sha256:
        return True
    if motion.body_model != body.name or motion.body_points is None:
        return False
    own = body_points(body)
    return own.shape == motion.body_points.shape and bool(np.abs(own - motion.body_points).max() < SAME_M)


def require_same_body(role: str, motion: Motion, body: Body) -> None:
    """Raises InputError for a motion that was fitted on another body; it names `role` and both bodies."""
    if not is_same_body(motion, body):
        raise InputError(
            f"the {role} was fitted on body '{motion.body_model}' ({motion.body_sha256[:12]}), but body "
            f"'{body.name}' ({body.sha256[:12]}) is in use; track it again with --body {body.name}"
        )
