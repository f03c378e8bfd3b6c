"""Hand-made motions for tests: a person who stands in front of the camera and moves the arms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance
from stages.body.model import JOINT_NAMES, Body


def joint(name: str) -> slice:
    """Columns of a joint in `poses`."""
    at = 3 * JOINT_NAMES.index(name)
    return slice(at, at + 3)


def standing(body: Body, frames: int = 4, seed: int | None = None, size: tuple[int, int] = (512, 512)) -> Motion:
    """Arms half raised, mouth open, facing the camera from 1.9 m; `seed` adds a random shape."""
    poses = np.zeros((frames, 165), np.float32)
    poses[:, 0] = np.pi
    sway = 0.1 * np.sin(np.arange(frames))
    for side, sign in (("left", -1), ("right", 1)):
        poses[:, joint(f"{side}_shoulder")] = np.stack([0 * sway, 0 * sway, sign * (0.9 + sway)], -1)
        poses[:, joint(f"{side}_elbow")] = np.stack([0 * sway, sign * (1.3 + sway), 0 * sway], -1)
    poses[:, joint("jaw")] = [0.2, 0, 0]
    random = np.random.default_rng(seed)
    spread = 0.0 if seed is None else 1.0
    width, height = size
    K = np.array([[1.4 * height, 0, width / 2], [0, 1.4 * height, height / 2], [0, 0, 1]], np.float32)
    return Motion(
        trans=np.tile(np.array([[0, 0.4, 1.9]], np.float32), (frames, 1)),
        poses=poses,
        expression=np.zeros((frames, len(body.expression_names)), np.float32),
        betas=(spread * random.normal(size=10)).astype(np.float32),
        head_betas=(spread * random.normal(size=25)).astype(np.float32),
        head_scale=1.0,
        hand_scale=1.0,
        K=np.tile(K, (frames, 1, 1)),
        image_size=size,
        fps=Fraction(25),
        frame_index=np.arange(frames),
        pts_seconds=np.arange(frames) / 25,
        duration_seconds=frames / 25,
        valid=np.ones((frames, 4), bool),
        confidence=np.ones((frames, 4), np.float32),
        error_px=np.zeros((frames, 4), np.float32),
        face_height_px=np.full(frames, 80, np.float32),
        shoulder_width_px=np.full(frames, 130, np.float32),
        body_model=body.name,
        body_sha256=body.sha256,
        provenance=Provenance("test", config={"seed": seed}),
    )
