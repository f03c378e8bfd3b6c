"""Widen or narrow the mesh to the person's outline. Needed because of clothes, and because joints do not show girth.

Only the rest pose is changed, along its normals, so that the new girth turns and bends with the body.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.generate.puppet.nearest import nearest_marked
from stages.generate.puppet.parts import layer_of_vertex
from stages.generate.puppet.view import View, facing, pose_view, smoothstep, vertex_normals

REACH_M = 0.045
"""The mesh is moved at most this far; a larger difference means a wrong pose or a held object."""
GROWTH_M = 0.025
"""Largest outward movement. A mesh as wide as a hanging sleeve looks too thick when the arm turns."""
STEP_M = 0.0025
KERNEL_M = 0.05


def fit_girth(
    view: View,
    alpha: Float[np.ndarray, "height width"],
    labels: Int[np.ndarray, "height width"],
    even: frozenset[str] = frozenset(),
) -> None:
    """Change `view.rig.template` so that the outline of the body follows the matte; then pull in the rest.

    even: arms that are widened evenly, as far as the usual place of their outline is. Of an arm before the trunk little
    of the outline is seen, and folds at a bent elbow would stay as knots.
    """
    body = view.rig.body
    soft = body.part_vertices("torso", "left_arm", "right_arm", "left_leg", "right_leg")
    offset, trust = outline_offsets(view, alpha, labels)
    known = soft & (trust > 0)
    if known.sum() > 20:
        spread = _spread(view.rig.template, known, offset, trust)
        arms = body.part_vertices(*even) if even else np.zeros(len(soft), bool)
        if (arms & known).any():
            spread[arms] = _weighted_median(offset[arms & known], trust[arms & known])
        spread *= _fade_near(view.rig.template, ~soft, 0.03) * soft
        view.rig.template += spread[:, None] * vertex_normals(view.rig.template, body.faces)
        pose_view(view)
    for _ in range(2):
        pull_inside(view, alpha, even)


def outline_offsets(view: View, alpha: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per vertex, metres from the mesh's outline to the part's outline in the photo (outward positive), and a weight.

    Only vertices on the visible outline are measured, in steps along their normal in the picture. The weight is a
    quarter where the part ends at another part instead of the background.
    """
    height, width = alpha.shape
    row = layer_of_vertex(view)
    direction = view.normals[:, :2] / np.maximum(np.linalg.norm(view.normals[:, :2], axis=1, keepdims=True), 1e-6)
    metre_px = (view.K[0, 0] / np.maximum(view.points[:, 2], 0.1))[:, None]
    walk = np.arange(-REACH_M, REACH_M + STEP_M / 2, STEP_M)

    def sample(distance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, y = (view.points[:, :2] + distance * metre_px * direction).astype(int).T
        framed = (x >= 1) & (y >= 1) & (x < width - 1) & (y < height - 1)
        x, y = x.clip(0, width - 1), y.clip(0, height - 1)
        person = alpha[y, x] > 0.5
        return person & (labels[y, x] == row), person, framed & view.inside[y, x]

    own, person, framed = (np.stack(column, 1) for column in zip(*(sample(d) for d in walk), strict=True))
    middle = len(walk) // 2
    grown = np.cumprod(own[:, middle:], 1).sum(1)  # steps that stay on the part, from the vertex outward
    shrunk = np.cumprod(~own[:, middle::-1], 1).sum(1)  # steps inward until the part begins
    steps = np.where(own[:, middle], grown - 1, -shrunk)
    ended = np.minimum(middle + np.maximum(grown, 1), len(walk) - 1)
    capped = np.where(own[:, middle], middle + grown >= len(walk), shrunk > middle)
    beside = person[np.arange(len(steps)), ended] & own[:, middle]
    depth = view.fragments.depth
    x, y = view.points[:, 0].astype(int).clip(0, width - 1), view.points[:, 1].astype(int).clip(0, height - 1)
    visible = view.points[:, 2] < np.where(np.isfinite(depth), depth, 1e3)[y, x] + 0.03
    outline = (np.abs(facing(view)) < 0.4) & visible & framed[:, middle] & framed[np.arange(len(steps)), ended]
    trust = outline * ~capped * np.where(beside, 0.25, 1.0)
    return np.minimum(steps * STEP_M, GROWTH_M), trust


def _spread(
    rest: np.ndarray, known: np.ndarray, offset: np.ndarray, trust: np.ndarray
) -> Float[np.ndarray, "vertices"]:
    """Spread offsets from the outline to all vertices: Gaussian over the rest pose, zero far from the outline."""
    from scipy.spatial import KDTree

    sources = np.flatnonzero(known)
    distance, nearest = KDTree(rest[sources]).query(rest, k=min(24, len(sources)))
    weight = trust[sources][nearest] * np.exp(-0.5 * (distance / KERNEL_M) ** 2)
    total = weight.sum(1)
    return (weight * offset[sources][nearest]).sum(1) / np.maximum(total, 1e-9) * smoothstep(0.0, 0.8, total)


def _fade_near(rest: np.ndarray, others: Bool[np.ndarray, "vertices"], reach: float) -> Float[np.ndarray, "vertices"]:
    """0 at the other vertices, 1 at `reach` metres from them and beyond."""
    from scipy.spatial import KDTree

    return smoothstep(0.0, reach, KDTree(rest[others]).query(rest)[0])


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def pull_inside(view: View, alpha: np.ndarray, still: frozenset[str] = frozenset()) -> None:
    """Move vertices that project outside the matte to its nearest point, except hands, feet and `still` parts."""
    from scipy.spatial import KDTree

    body = view.rig.body
    height, width = alpha.shape
    person = alpha > 0.5
    if not person.any():
        return
    distance, rows, columns = nearest_marked(person)
    x, y = view.points[:, 0].astype(int), view.points[:, 1].astype(int)
    framed = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    fixed = body.part_vertices("left_hand", "right_hand", "left_foot", "right_foot", *still)
    shift = np.where((framed & ~fixed)[:, None], np.stack([columns, rows], -1)[y, x] + 0.5 - view.points[:, :2], 0.0)
    shift *= (distance[y, x] > 0)[:, None]
    metres = np.zeros((len(shift), 3))
    metres[:, :2] = shift * view.points[:, 2:] / view.K[0, 0]
    length = np.linalg.norm(metres, axis=1, keepdims=True)
    metres *= np.minimum(1.0, REACH_M / np.maximum(length, 1e-9)) * (length < 2 * REACH_M)
    nearest = KDTree(view.rig.template).query(view.rig.template, k=8)[1]
    metres = metres[nearest].mean(1)
    turn = np.einsum("vk,vkab->vab", view.rig.weights, view.transforms[view.rig.joints][..., :3])
    view.rig.template += np.linalg.solve(turn, metres[..., None])[..., 0].astype(np.float32)
    pose_view(view)
