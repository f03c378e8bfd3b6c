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

from stages.body.model import pose_joints, shaped_template
from stages.body.rotations import rotvec_from_matrix
from stages.body.skinning import SparseWeights, skin
from stages.raster.rasterizer import rasterizer
from stages.track.collapse import shape_columns
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
    hands = {name: task.groups[name] for name in HANDS if task.groups[name].per_pixel.any()}
    rows = np.flatnonzero(sum(group.per_pixel.any(1) for group in hands.values()))
    if not len(rows):
        return ()
    some, size = state.rows(rows), task.problem.skeleton.size(state.shape)[0]
    pose = kinematics(task.problem.skeleton, some, derivatives=False)
    points = {name: pose_keypoints(group.keypoints, pose, some).points for name, group in hands.items()}
    depths = surface_depths(task, some, points)
    found = []
    for name, group in hands.items():
        used = group.per_pixel[rows].any(1, keepdims=True)
        nearest = np.where(used, depths[name], np.inf)
        if not behind(points[name], nearest).any():
            continue
        surface = np.full(group.per_pixel.shape, np.inf)
        surface[rows] = nearest
        over = np.isfinite(surface)
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
    task: Task, state: State, points: dict[str, Float[np.ndarray, "frames keypoints 3"]]
) -> dict[str, Float[np.ndarray, "frames keypoints"]]:
    """Depth of the nearest surface of head and trunk in the direction of each point, metres; inf where there is none,
    within one pixel of an outline, or where the point is far behind it. `points` of each hand in the camera frame. The
    surface is that of the rest face, without pose correctives."""
    body, config = task.body, task.config
    near = body.part_vertices("head", "torso")
    faces = (np.cumsum(near) - 1)[body.faces[near[body.faces].all(1)]]
    shape = np.zeros(body.shapedirs.shape[2], np.float32)
    shape[shape_columns(body, config.betas, config.head_betas)] = state.shape
    template, weights = shaped_template(body, shape), SparseWeights.of(body.weights[near])
    poses = np.concatenate([rotvec_from_matrix(state.root)[:, None], state.theta], 1).reshape(len(state), 165)
    depths = {name: np.full(each.shape[:2], np.inf) for name, each in points.items()}
    for start in range(0, len(state), FRAMES_AT_ONCE):
        rows = slice(start, start + FRAMES_AT_ONCE)
        transforms = pose_joints(body, template, poses[rows], state.transl[rows])[1]
        skins = skin(np.repeat(template[near][None], len(transforms), 0), weights, transforms)
        for frame, vertices in enumerate(skins, start):
            for name, each in points.items():
                depths[name][frame] = _depths_at(each[frame], vertices, faces, task.problem.focal_px)
    return {name: np.where(points[name][..., 2] - each < DEEPEST_M, each, np.inf) for name, each in depths.items()}


def _depths_at(
    points: Float[np.ndarray, "keypoints 3"],
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    focal_px: float,
) -> Float[np.ndarray, "keypoints"]:
    """Draw the surface over the hand, and read it at the points; the farthest of nine pixels, so that an outline does
    not count."""
    import cv2

    flat, seen = (focal_px * each[:, :2] / np.maximum(each[:, 2:], 0.05) for each in (points, vertices))
    corner, size = flat.min(0), float(np.ptp(flat, 0).max()) * 1.1 + 1e-6
    scale = GRID / size
    corner = corner - 0.05 * size
    drawn = rasterizer("numba")(np.concatenate([(seen - corner) * scale, vertices[:, 2:]], 1), faces, GRID, GRID)
    depth = cv2.dilate(drawn.depth, np.ones((3, 3), np.uint8))
    at = np.clip(((flat - corner) * scale).astype(int), 0, GRID - 1)
    return depth[at[:, 1], at[:, 0]]
