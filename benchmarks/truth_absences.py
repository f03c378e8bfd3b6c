"""A clip in which parts really are absent: hands below the picture and behind the back, the person gone, turned away.

What can be seen is counted in pixels: of all that a part would cover if it were alone in an endless picture, the share
that the camera gets. So "measured" can be false: a tracker that reports a hand behind a back loses precision.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from benchmarks.truth_clips import half_size, truth_clip
from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, pose_motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.raster.rasterizer import rasterizer

FRAMES = 180
SEEN, UNSEEN = 0.4, 0.1
"""A part is there from the first share on and absent below the second; between them nothing is judged."""
RAMP = 6
"""Frames that a change takes."""
LOWERED, BEHIND, GONE, AWAY = (20, 45), (55, 80), (95, 125), (140, 165)
HIDDEN_PARTS = (("torso", "head", "left_arm", "right_arm"), None, ("left_hand",), ("right_hand",))
"""Vertices of body, face (the set face_skin) and hands."""
MIN_PIXELS = 30
"""A part that covers less is not there, whatever its share."""
PAD = 1.0
"""Pictures on each side that the endless picture reaches further."""


def absent_clip(body: Body, seed: int) -> Motion:
    """A gesturing person, 640x360: hands lowered out of the picture, then behind the back, then gone, then turned."""
    motion = half_size(truth_clip(body, FRAMES, seed))
    poses = motion.poses.reshape(FRAMES, 55, 3).copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        down, back = _share(LOWERED), _share(BEHIND)
        _toward(poses, f"{side}_shoulder", np.array([0, 0, -1.35 * sign]), down)
        _toward(poses, f"{side}_elbow", np.array([0, -0.15 * sign, 0]), down)
        _toward(poses, f"{side}_shoulder", np.array([0.75, 0, -1.2 * sign]), back)
        _toward(poses, f"{side}_elbow", np.array([0, -0.3 * sign, 0]), back)
        _toward(poses, f"{side}_elbow", np.array([1.2, -0.9 * sign, 0]), back)
    trans = motion.trans.copy()
    trans[:, 0] += 1.6 * _share(GONE)
    trans[:, 1] += 0.2 * _share(LOWERED)
    turn = np.stack([np.zeros(FRAMES), np.pi * _share(AWAY), np.zeros(FRAMES)], 1)
    poses[:, 0] = rotvec_from_matrix(matrix_from_rotvec(poses[:, 0]) @ matrix_from_rotvec(turn))
    return replace(motion, poses=poses.reshape(FRAMES, 165).astype(np.float32), trans=trans.astype(np.float32))


def _share(span: tuple[int, int]) -> Float[np.ndarray, "frames"]:
    """0 outside the span, 1 within, smooth over RAMP frames."""
    frames = np.arange(FRAMES)
    rise = np.clip(np.minimum(frames - span[0], span[1] - frames) / RAMP, 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * rise)


def _toward(poses: np.ndarray, name: str, target: np.ndarray, share: np.ndarray) -> None:
    """Mix a joint's turn with another; small enough angles that a straight mix will do."""
    row = poses[:, JOINT_NAMES.index(name)]
    row += share[:, None] * (target - row)


def shares_seen(body: Body, motion: Motion) -> Float[np.ndarray, "frames 4"]:
    """Of body, face, left and right hand: the pixels seen over those that the part would cover alone and uncut."""
    draw, (width, height) = rasterizer("numba"), motion.image_size
    room = np.array([PAD * width, PAD * height, 0])
    masks = [body.sets["face_skin"] if parts is None else body.part_vertices(*parts) for parts in HIDDEN_PARTS]
    owned = [mask[body.faces].all(1) for mask in masks]
    shares = np.zeros((len(motion), len(masks)))
    for row in range(len(motion)):
        points = project(pose_motion(body, motion, slice(row, row + 1)).vertices[0], motion.K[row])
        whole = draw(points, body.faces, width, height).face
        seen = whole[whole >= 0]
        for column, faces in enumerate(owned):
            size = (round((1 + 2 * PAD) * width), round((1 + 2 * PAD) * height))
            covered = int((draw(points + room, body.faces[faces], *size).face >= 0).sum())
            shares[row, column] = int(faces[seen].sum()) / max(covered, MIN_PIXELS)
    return shares
