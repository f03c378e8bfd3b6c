"""A synthetic person who gestures: the known motion behind every clip that the tracker is measured on.

Each seed is another person (random betas, head betas, scales) who sways, turns the head, talks, blinks and moves arms
and fingers, seen from the hips up at 1280x720 with a known focal length. Hips and legs lie outside the picture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from tests.motions import standing

SIZE = (1280, 720)
FPS = 30

# joint -> amplitude in radians about x, y, z
SWAY = {
    "spine1": (0.04, 0.04, 0.04), "spine2": (0.04, 0.06, 0.04), "spine3": (0.04, 0.06, 0.04),
    "neck": (0.1, 0.15, 0.08), "head": (0.15, 0.25, 0.1), "jaw": (0.0, 0.02, 0.01),
    "collar": (0.04, 0.06, 0.06), "shoulder": (0.25, 0.35, 0.3), "elbow": (0.15, 0.45, 0.05),
    "wrist": (0.2, 0.25, 0.3),
}  # fmt: skip


def random_motion(body: Body, frames: int, seed: int) -> Motion:
    """One person gesturing; every angle a sum of three slow waves about a natural pose."""
    random = np.random.default_rng(seed)
    motion = standing(body, frames, seed=seed, size=SIZE)
    poses = np.zeros((frames, 55, 3))

    def waves() -> Float[np.ndarray, "frames"]:
        rates, phases = random.uniform(0.2, 1.0, 3), random.uniform(0, 2 * np.pi, 3)
        return np.sin(2 * np.pi * rates * np.arange(frames)[:, None] / FPS + phases).sum(1) / 1.7

    for number, name in enumerate(JOINT_NAMES):
        side = -1.0 if name.startswith("right_") else 1.0
        kind = name.removeprefix("left_").removeprefix("right_")
        sway = SWAY.get(kind)
        if sway is not None:
            poses[:, number] = np.stack([amplitude * waves() for amplitude in sway], -1)
        if kind == "shoulder":
            poses[:, number] += side * np.array([0, -0.2, -0.95])
        if kind == "elbow":
            poses[:, number, 1] = np.clip(poses[:, number, 1] - 1.4, -2.4, -0.1) * side
        if kind[-1] in "123" and not kind.startswith(("spine", "thumb")):
            poses[:, number, 2] = -side * np.clip(0.35 + 0.3 * waves(), 0, 1.5)
    poses[:, JOINT_NAMES.index("jaw"), 0] = np.clip(0.15 * waves() + 0.08, 0, 0.4)
    sway = np.stack([0.05 * waves(), 0.15 * waves(), 0.05 * waves()], -1)
    poses[:, 0] = rotvec_from_matrix(np.diag([1.0, -1, -1]) @ matrix_from_rotvec(sway))
    expression = np.zeros((frames, len(body.expression_names)))
    for name in ("eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "mouthPucker"):
        expression[:, body.expression_names.index(name)] = np.clip(0.35 * waves(), 0, 1)
    trans = np.array([0.0, 0.35, 1.5]) + np.stack([0.04 * waves(), 0.02 * waves(), 0.06 * waves()], -1)
    return replace(
        motion,
        poses=poses.reshape(frames, 165).astype(np.float32),
        trans=trans.astype(np.float32),
        expression=expression.astype(np.float32),
        head_scale=float(random.uniform(0.95, 1.05)),
        hand_scale=float(random.uniform(0.95, 1.05)),
    )
