"""Observations made from a known motion: exact keypoints, with optional noise. No detector is involved."""

from __future__ import annotations

import numpy as np

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import Body, keypoints_from, motion_template, pose_motion
from stages.detect.observations import Observations


def observe(body: Body, motion: Motion, noise: float = 0.0, seed: int = 0) -> Observations:
    """The results of a perfect detector. `noise` 1 is 2 % (body), 1.2 % (hands) and 0.4 % (face) of the face height in
    the picture, and 3 cm in MediaPipe's world depths, as in notes/tracker.
    """
    random = np.random.default_rng(seed)
    template = motion_template(body, motion)
    posed = pose_motion(body, motion)
    space = keypoints_from(body, template, posed).astype(np.float64)
    order = {name: row for row, name in enumerate(body.keypoint_names)}
    pixels = project(space, motion.K)
    top, chin = (pixels[:, order[name], :2] for name in ("face_010", "face_152"))
    unit = np.linalg.norm(top - chin, axis=-1)[:, None, None]

    def part(prefix: str, digits: int, count: int, share: float) -> np.ndarray:
        rows = [order[f"{prefix}{number:0{digits}d}"] for number in range(count)]
        points = pixels[:, rows].copy()
        points[..., :2] += noise * share * unit * random.normal(size=points[..., :2].shape)
        depth = space[:, rows, 2] - space[:, rows[:1], 2]
        points[..., 2] = depth * motion.K[:, :1, 0] / space[:, rows[:1], 2]
        return points

    pose = part("pose_", 2, 33, 0.02)
    pose[..., 2] = 1.0
    width, height = motion.image_size
    outside = ((pose[..., :2] < 0) | (pose[..., :2] > (width, height))).any(-1)
    pose[..., 2][outside] = 0.1
    world = space[:, [order[f"pose_{number:02d}"] for number in range(33)]]
    world = world - world[:, 23:25].mean(1, keepdims=True)
    world[..., 2] += noise * 0.03 * random.normal(size=world.shape[:2])
    frames = len(motion)
    return Observations(
        image_size=motion.image_size,
        fps=float(motion.fps),
        is_photo=frames == 1,
        duration_seconds=motion.duration_seconds,
        other_people=0,
        frame_index=motion.frame_index,
        pts_seconds=motion.pts_seconds,
        pose=pose.astype(np.float32),
        pose_world=world.astype(np.float32),
        face=part("face_", 3, 478, 0.004).astype(np.float32),
        left_hand=part("left_hand_", 2, 21, 0.012).astype(np.float32),
        right_hand=part("right_hand_", 2, 21, 0.012).astype(np.float32),
        found=np.ones((frames, 4), bool),
        score=np.ones((frames, 4), np.float32),
        person_box=np.tile([0, 0, *motion.image_size], (frames, 1)).astype(np.float32),
        evidence=np.tile([1.0, 0.0, 0.0, np.nan], (frames, 1)).astype(np.float32),
        shot=np.zeros(frames, int) if motion.shot is None else motion.shot,
        identity=np.zeros(frames, int),
    )
