"""Hands that are seen in front of head or trunk lie in front of them: no finger goes through the skull.

The depth of a hand hangs on the arm alone, so a hand on the head may be fitted inside it. Where a point of a hand that
the detector found lies over head or trunk in the picture, its depth must be less than that of their surface there. A
point that is a hand's length behind the surface is left alone: such a hand is behind the body, and what was found of it
is a guess.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from stages.body.model import Body, pose_joints, shaped_template
from stages.body.rotations import rotvec_from_matrix
from stages.body.skinning import SparseWeights, skin
from stages.raster.rasterizer import rasterizer
from stages.track.collapse import CollapsedKeypoints, shape_columns
from stages.track.jacobian import pose_keypoints
from stages.track.solvers import Task
from stages.track.state import State, kinematics
from stages.track.targets import TargetGroup

HANDS = ("left_hand", "right_hand")
FINGER_M = 0.008
"""Half a finger's thickness: the points of a hand lie inside it."""
DEEPEST_M = 0.15
"""Points farther behind the surface belong to a hand behind the body."""
SIGMA_M = 0.01
"""Expected error of the surface. Chosen here."""
GRID = 96
"""Side of the picture in which the surface is drawn, over the hand alone: about 2 mm per pixel."""
FRAMES_AT_ONCE = 8


def targets_in_front(task: Task, state: State) -> tuple[TargetGroup, ...]:
    """One-sided depth targets of the hands that are now behind the surface of head or trunk; none if all lie before
    it."""
    problem, found = task.problem, []
    size = problem.skeleton.size(state.shape)[0]
    for name in HANDS:
        group = task.groups[name]
        rows = np.flatnonzero(group.per_pixel.any(1))
        surface = np.full(group.per_pixel.shape, np.inf)
        points = _points(task, group.keypoints, state, rows)
        surface[rows] = surface_depths(
            task.body, task.config.betas, task.config.head_betas, state.rows(rows), points, problem.focal_px
        )
        over = np.isfinite(surface)
        if not behind(points, surface[rows]).any():
            continue
        found.append(replace(
            group, per_pixel=np.zeros_like(group.per_pixel), depth=np.where(over, surface - FINGER_M, 0) / size,
            per_metre=np.where(over, size / SIGMA_M, 0), differences=np.eye(len(group.keypoints)), robust_depth=np.inf,
            depth_at=None, is_upper_bound=True,
        ))  # fmt: skip
    return tuple(found)


def behind(
    points: Float[np.ndarray, "frames keypoints 3"], surface: Float[np.ndarray, "frames keypoints"]
) -> Float[np.ndarray, "frames keypoints"]:
    """How far each point lies behind the surface, less the finger, in metres; 0 where it lies before it."""
    return np.maximum(points[..., 2] + FINGER_M - surface, 0.0)


def surface_depths(
    body: Body,
    betas: int,
    head_betas: int,
    state: State,
    points: Float[np.ndarray, "frames keypoints 3"],
    focal_px: float,
) -> Float[np.ndarray, "frames keypoints"]:
    """Depth of the nearest surface of head and trunk in the direction of each point, metres; inf where there is none,
    within one pixel of an outline, or where the point is far behind it. `points` in the camera frame, one hand. The
    surface is that of the rest face, without pose correctives."""
    near = body.part_vertices("head", "torso")
    faces = (np.cumsum(near) - 1)[body.faces[near[body.faces].all(1)]]
    shape = np.zeros(body.shapedirs.shape[2], np.float32)
    shape[shape_columns(body, betas, head_betas)] = state.shape
    template, weights = shaped_template(body, shape), SparseWeights.of(body.weights[near])
    poses = np.concatenate([rotvec_from_matrix(state.root)[:, None], state.theta], 1).reshape(len(state), 165)
    depths = np.full(points.shape[:2], np.inf)
    for start in range(0, len(state), FRAMES_AT_ONCE):
        rows = slice(start, start + FRAMES_AT_ONCE)
        transforms = pose_joints(body, template, poses[rows], state.transl[rows])[1]
        skins = skin(np.repeat(template[near][None], len(transforms), 0), weights, transforms)
        for frame, vertices in enumerate(skins, start):
            depths[frame] = _depths_at(points[frame], vertices, faces, focal_px)
    return np.where(points[..., 2] - depths < DEEPEST_M, depths, np.inf)


def _depths_at(
    points: Float[np.ndarray, "keypoints 3"],
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    focal_px: float,
) -> Float[np.ndarray, "keypoints"]:
    """Draw the surface over the hand, and read it at the points; the farthest of nine pixels, so that an outline does
    not count."""
    from scipy.ndimage import maximum_filter

    flat, seen = (focal_px * each[:, :2] / np.maximum(each[:, 2:], 0.05) for each in (points, vertices))
    corner, size = flat.min(0), float(np.ptp(flat, 0).max()) * 1.1 + 1e-6
    scale = GRID / size
    corner = corner - 0.05 * size
    drawn = rasterizer("numba")(np.concatenate([(seen - corner) * scale, vertices[:, 2:]], 1), faces, GRID, GRID)
    depth = maximum_filter(drawn.depth, 3)
    at = np.clip(((flat - corner) * scale).astype(int), 0, GRID - 1)
    return depth[at[:, 1], at[:, 0]]


def _points(task: Task, keypoints: CollapsedKeypoints, state: State, rows: np.ndarray) -> Float[np.ndarray, "f k 3"]:
    some = state.rows(rows)
    return pose_keypoints(keypoints, kinematics(task.problem.skeleton, some, derivatives=False), some).points
