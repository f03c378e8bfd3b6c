"""Motions of synthetic people: from one random pose to the next, while they talk, blink and look around.

A pose is chosen joint by joint from a few typical poses of arms, hands and legs. Between poses every joint moves along
the shortest rotation (minimum jerk, Flash and Hogan 1985). Coordinates are the body's own: x to the person's left, y
up, z forward; the root rotation turns the person in front of the camera.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.camera import UPRIGHT
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.smplx_layout import joint

ARMS = {
    "down": (-1.22, 0.05, 0.0, 0.25), "gesture": (-1.05, 0.25, 0.1, 1.5), "chest": (-1.15, 0.25, 0.8, 1.9),
    "wave": (-0.25, 0.2, -1.4, 1.7), "aside": (-0.15, 0.1, 0.0, 0.25), "forward": (-0.35, 1.1, 0.0, 0.4),
    "overhead": (0.85, 0.25, -0.6, 0.5), "hip": (-0.85, -0.15, 1.2, 1.6), "half raised": (-0.6, 0.4, -0.5, 1.2),
}  # fmt: skip
"""Poses of the left arm, radians: raised about z, forward about y, twisted about its own axis, bent at the elbow."""
ARM_ODDS = (0.2, 0.22, 0.12, 0.1, 0.08, 0.08, 0.06, 0.05, 0.09)
FINGERS = ("index", "middle", "ring", "pinky")
MIRROR = np.array([1.0, -1.0, -1.0])
"""Factors that mirror a rotation vector at the plane x = 0."""


def random_motion(
    body: Body, frames: int, fps: float, seconds_per_pose: float, whole: bool, random: np.random.Generator
) -> tuple[Float[np.ndarray, "frames 165"], Float[np.ndarray, "frames expression"]]:
    """Random poses and expressions; the root rotation is in the person's own frame. `whole`: legs move too."""
    times = np.arange(frames) / fps
    moments = _key_times(times[-1], seconds_per_pose, random)
    turn = 0.35 * random.normal() + (random.uniform(-np.pi, np.pi) if random.random() < 0.1 else 0.0)
    keys = np.stack([_random_pose(turn, whole, random) for _ in moments])
    poses = eased(keys, moments, times)
    poses += _sway(times, random)
    return poses.reshape(frames, 165).astype(np.float32), _face(body, poses, times, random)


def from_tracked(
    motion: Motion, frames: int, fps: float, random: np.random.Generator
) -> tuple[Float[np.ndarray, "frames 165"], Float[np.ndarray, "frames expression"]]:
    """A random part of a tracked motion at `fps`, mirrored in half of the cases; root in the person's own frame."""
    length = (frames - 1) / fps
    start = random.uniform(0, max(0.0, float(motion.pts_seconds[-1]) - length))
    times = np.clip(start + np.arange(frames) / fps, motion.pts_seconds[0], motion.pts_seconds[-1])
    rows = np.clip(np.searchsorted(motion.pts_seconds, times, side="right") - 1, 0, len(motion) - 2)
    span = motion.pts_seconds[rows + 1] - motion.pts_seconds[rows]
    share = np.clip((times - motion.pts_seconds[rows]) / span, 0, 1)
    turns = matrix_from_rotvec(motion.poses.reshape(len(motion), 55, 3).astype(np.float64))
    turns[:, 0] = UPRIGHT @ turns[:, 0]
    step = rotvec_from_matrix(np.swapaxes(turns[rows], -1, -2) @ turns[rows + 1])
    poses = rotvec_from_matrix(turns[rows] @ matrix_from_rotvec(step * share[:, None, None]))
    expression = motion.expression[rows] + share[:, None] * (motion.expression[rows + 1] - motion.expression[rows])
    if random.random() < 0.5:
        poses = MIRROR * poses[:, _SWAPPED]
    return poses.reshape(frames, 165).astype(np.float32), expression.astype(np.float32)


def in_camera(poses: Float[np.ndarray, "frames 165"]) -> Float[np.ndarray, "frames 165"]:
    """The same poses with the root rotation in the camera frame; a zero rotation faces the camera."""
    result = poses.copy()
    result[:, :3] = rotvec_from_matrix(UPRIGHT @ matrix_from_rotvec(poses[:, :3].astype(np.float64)))
    return result


def eased(
    keys: Float[np.ndarray, "keys 55 3"], moments: Float[np.ndarray, "keys"], times: Float[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames 55 3"]:
    """Poses at `times`: every joint moves from key to key along the shortest rotation and rests at each key."""
    rows = np.clip(np.searchsorted(moments, times, side="right") - 1, 0, len(moments) - 2)
    t = np.clip((times - moments[rows]) / (moments[rows + 1] - moments[rows]), 0, 1)
    share = t**3 * (10 - 15 * t + 6 * t**2)
    turns = matrix_from_rotvec(keys)
    step = rotvec_from_matrix(np.swapaxes(turns[:-1], -1, -2) @ turns[1:])
    return rotvec_from_matrix(turns[rows] @ matrix_from_rotvec(step[rows] * share[:, None, None]))


def _key_times(end: float, seconds: float, random: np.random.Generator) -> Float[np.ndarray, "keys"]:
    moments = [-random.uniform(0, seconds)]
    while len(moments) < 2 or moments[-1] < end:
        moments.append(moments[-1] + seconds * random.uniform(0.6, 1.6))
    return np.array(moments)


def _random_pose(turn: float, whole: bool, random: np.random.Generator) -> Float[np.ndarray, "55 3"]:
    """One random key pose."""
    pose = np.zeros((55, 3))
    pose[0] = 0.04 * random.normal(), turn + 0.2 * random.normal(), 0.03 * random.normal()
    for name in ("spine1", "spine2", "spine3"):
        pose[joint(name)] = random.normal(size=3) * (0.05, 0.08, 0.04)
    for name in ("neck", "head"):
        pose[joint(name)] = random.normal(size=3) * (0.10, 0.20, 0.06)
    for side in ("left", "right"):
        _set_arm(pose, side, random)
        _set_hand(pose, side, random)
    if whole:
        _set_legs(pose, random)
    return pose


def _set_arm(pose: np.ndarray, side: str, random: np.random.Generator) -> None:
    name = str(random.choice(list(ARMS), p=ARM_ODDS))
    up, forward, twist, bend = np.array(ARMS[name]) + random.normal(size=4) * (0.12, 0.12, 0.15, 0.2)
    mirror = MIRROR if side == "right" else 1.0
    turn = _about(2, up) @ _about(1, -forward) @ _about(0, twist)
    pose[joint(f"{side}_shoulder")] = mirror * rotvec_from_matrix(turn)
    pose[joint(f"{side}_collar")] = mirror * np.array([0, 0, 0.12 * max(0.0, up + 0.6)])
    pose[joint(f"{side}_elbow")] = mirror * np.array([0, -np.clip(bend, 0.05, 2.3), 0])
    pose[joint(f"{side}_wrist")] = mirror * random.normal(size=3) * (0.25, 0.12, 0.20)


def _set_hand(pose: np.ndarray, side: str, random: np.random.Generator) -> None:
    """Set a hand: relaxed, open, a fist, or pointing."""
    kind = str(random.choice(["relaxed", "open", "fist", "point"], p=[0.45, 0.3, 0.12, 0.13]))
    mirror = MIRROR if side == "right" else 1.0
    for finger in FINGERS:
        curl = {"relaxed": 0.35, "open": 0.05, "fist": 1.25, "point": 0.1 if finger == "index" else 1.2}[kind]
        spread = {"index": 0.10, "middle": 0.02, "ring": -0.05, "pinky": -0.14}[finger] * (kind == "open")
        for number in (1, 2, 3):
            bent = np.clip(curl + 0.1 * random.normal(), -0.1, 1.5)
            pose[joint(f"{side}_{finger}{number}")] = mirror * np.array([0, spread * (number == 1), -bent])
    pose[joint(f"{side}_thumb1")] = mirror * np.array([0.2, -0.2 - 0.3 * (kind == "fist"), 0.0])


def _set_legs(pose: np.ndarray, random: np.random.Generator) -> None:
    """Set the legs: standing, a step, slightly crouched, or a kick."""
    kind = str(random.choice(["stand", "step", "crouch", "kick"], p=[0.5, 0.3, 0.14, 0.06]))
    crouch = abs(random.normal()) * 0.3 if kind == "crouch" else 0.03
    for side, sign in (("left", 1), ("right", -1)):
        swing = {"stand": 0.03, "step": 0.3, "crouch": 0.05, "kick": 0.5 * (sign > 0)}[kind] * sign
        swing += 0.04 * random.normal()
        knee = crouch * 2 + max(0.0, -1.2 * swing) + abs(0.05 * random.normal())
        pose[joint(f"{side}_hip")] = [-crouch - swing, 0.1 * sign, sign * (0.04 + 0.05 * random.random())]
        pose[joint(f"{side}_knee")] = [knee, 0, 0]
        pose[joint(f"{side}_ankle")] = [-0.5 * crouch, 0, 0]


def _sway(times: Float[np.ndarray, "frames"], random: np.random.Generator) -> Float[np.ndarray, "frames 55 3"]:
    """The small, slow sway of a person who stands still."""
    sway = np.zeros((len(times), 55, 3))
    for name in ("spine2", "neck", "head", "left_shoulder", "right_shoulder", "left_wrist", "right_wrist"):
        rate, phase = random.uniform(0.2, 0.7, 3), random.uniform(0, 2 * np.pi, 3)
        sway[:, joint(name)] = 0.02 * np.sin(2 * np.pi * rate * times[:, None] + phase)
    return sway


def _face(body: Body, poses: np.ndarray, times: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Expression of talking, blinking, smiling and looking around; changes jaw and eyes in `poses` in place."""
    expression = np.zeros((len(times), len(body.expression_names)), np.float32)

    def show(name: str, value: np.ndarray | float) -> None:
        if name in body.expression_names:
            expression[:, body.expression_names.index(name)] = value

    talk = float(random.random() < 0.6)
    rate, phase = random.uniform(3, 5), random.uniform(0, 6.3)
    words = np.clip(1.5 * np.sin(2 * np.pi * random.uniform(0.5, 0.9) * times + phase), 0, 1)
    poses[:, joint("jaw"), 0] += 0.02 + 0.22 * talk * words * (0.5 - 0.5 * np.cos(2 * np.pi * rate * times))
    round_lips = 0.4 * talk * words * (0.5 + 0.5 * np.sin(2 * np.pi * 0.6 * rate * times + phase))
    show("mouthPucker", round_lips)
    smile = float(random.choice([0.0, 0.3, 0.7]))
    blinks = np.arange(random.uniform(0, 3), times[-1] + 1, 2.7)
    for side in ("Left", "Right"):
        show(f"eyeBlink{side}", np.exp(-(((times[:, None] - blinks) / 0.07) ** 2)).sum(1).clip(0, 1))
        show(f"mouthSmile{side}", smile * (0.8 + 0.2 * np.sin(times)))
    show("browInnerUp", 0.5 * np.clip(np.sin(0.9 * times + phase), 0, 1))
    look = 0.15 * np.sin(2 * np.pi * 0.3 * times + phase)
    for name in ("left_eye_smplhf", "right_eye_smplhf"):
        poses[:, joint(name), 1] += look
    return expression


def _about(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
    vector = np.zeros(3)
    vector[axis] = angle
    return matrix_from_rotvec(vector)


def _swapped() -> np.ndarray:
    other = {"left": "right", "right": "left"}
    names = [
        f"{other[name.split('_')[0]]}_{name.split('_', 1)[1]}" if name.split("_")[0] in other else name
        for name in JOINT_NAMES
    ]
    return np.array([JOINT_NAMES.index(name) for name in names])


_SWAPPED = _swapped()
