"""Motions with a known floor and known contacts with it, on any body: walks, side steps, stepping on the spot, swaying,
squats. Each is solved so that heels and balls of the feet are where the script wants them; and noise like a tracker's.

A stance begins with the heel and ends with the toe. World: y down, the floor at y = 0; the camera stands CAMERA_M above
it and looks down by a given angle. 30 frames/s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.body.camera import UPRIGHT
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.contacts.legs import Planted, turn_legs
from stages.contacts.points import skinned_vertices
from stages.contacts.soles import sole_vertices
from stages.contacts.surface import Person, sample_surface
from tests.motions import joint, standing

FPS, SIZE, FOCAL_PX, CAMERA_M = 30, (960, 1080), 900.0, 1.3
ROLL_S, TOE_DOWN_S = 0.15, 0.1
"""A heel leaves the floor this long before the toe; a toe comes down this long after the heel."""
HEEL_UP_RAD, TOE_UP_RAD = 0.45, 0.25
ALWAYS = 1e3


@dataclass(frozen=True)
class Stance:
    """A foot that stands on the floor at x, z from one second to another."""

    begin: float
    end: float
    at: tuple[float, float]


@dataclass(frozen=True)
class FootScript:
    """Where both feet stand, and where the hips are."""

    name: str
    seconds: float
    left: tuple[Stance, ...]
    right: tuple[Stance, ...]
    facing: float = 0.0
    """Turn about the vertical, radians; 0 faces the camera."""
    rolls: bool = True
    """Whether stances begin with the heel and end with the toe."""
    dip: float = 0.0
    """How far the hips go down and up again, every 1.5 s, metres."""
    sway: float = 0.0
    lift: float = 0.08


@dataclass(frozen=True)
class MadeSteps:
    """A motion with its known floor and contacts."""

    name: str
    motion: Motion
    floor: Float[np.ndarray, "4"]
    down: Bool[np.ndarray, "frames 4"]
    """Left heel, left toe, right heel, right toe."""


def foot_scripts() -> list[FootScript]:
    """The six motions."""
    return [
        _walk("walk to the camera", (0.0, 6.5), (0.0, -0.62), 0.0),
        _walk("walk across", (-1.3, 4.5), (0.62, 0.0), np.pi / 2),
        _walk("slow steps aside", (-0.6, 4.5), (0.25, 0.0), 0.0, rolls=False, step_s=0.8),
        _walk("step on the spot", (0.0, 4.5), (0.0, 0.0), 0.0, rolls=False),
        FootScript("stand and sway", 4.0, (Stance(-ALWAYS, ALWAYS, (0.12, 4.5)),),
                   (Stance(-ALWAYS, ALWAYS, (-0.12, 4.5)),), sway=0.07),
        FootScript("squats", 4.5, (Stance(-ALWAYS, ALWAYS, (0.16, 4.5)),), (Stance(-ALWAYS, ALWAYS, (-0.16, 4.5)),),
                   dip=0.3),
    ]  # fmt: skip


def _walk(
    name: str, begin: tuple[float, float], stride: tuple[float, float], facing: float, rolls: bool = True,
    step_s: float = 0.55, steps: int = 6,
) -> FootScript:  # fmt: skip
    """Right and left in turn, half a stride each, the last beside the other foot; both feet stand for a third of a step
    between two steps."""
    aside = 0.1 * np.array([np.cos(facing), np.sin(facing)])
    stances: dict[str, list[Stance]] = {}
    for side, sign, first in (("left", 1.0, 1), ("right", -1.0, 0)):
        moments = [-ALWAYS]
        for step in range(first, steps, 2):
            moments += [0.5 + step_s * step + step_s / 3, 0.5 + step_s * (step + 1)]
        moments.append(ALWAYS)
        stances[side] = []
        for number in range(0, len(moments), 2):
            passed = 0.0 if number == 0 else min(number - 1 + first, steps - 1) / 2
            at = np.array(begin) + passed * np.array(stride) + sign * aside
            stances[side].append(Stance(moments[number], moments[number + 1], (float(at[0]), float(at[1]))))
    return FootScript(name, 1.0 + step_s * steps, tuple(stances["left"]), tuple(stances["right"]), facing, rolls)


def make_steps(
    body: Body, betas: Float[np.ndarray, "10"], script: FootScript, pitch: float = 0.0, roll: float = 0.0
) -> MadeSteps:
    """Solve the script on the body of `betas`, seen by a camera that looks down by `pitch` and is rolled, radians."""
    frames = round(script.seconds * FPS)
    times = np.arange(frames) / FPS
    motion = replace(_standing(body, frames), betas=betas)
    person = Person.of(body, motion, sample_surface(body))
    world_from_rest = UPRIGHT @ matrix_from_rotvec(np.array([0.0, script.facing, 0.0]))
    vertices = [patch[0] for patch in sole_vertices(body)[:4]]
    goal, down, middles = np.zeros((frames, 4, 3)), np.zeros((frames, 4), bool), []
    for number, (side, stances) in enumerate((("left", script.left), ("right", script.right))):
        ankle = person.rest_joints[JOINT_NAMES.index(f"{side}_ankle")]
        feet = person.template[np.concatenate(sole_vertices(body)[2 * number : 2 * number + 2])]
        origin = np.array([ankle[0], feet[:, 1].min(), ankle[2]])
        rest = person.template[vertices[2 * number : 2 * number + 2]] - origin
        columns = slice(2 * number, 2 * number + 2)
        for row, time in enumerate(times):
            goal[row, columns], down[row, columns] = _foot(time, stances, rest, world_from_rest, script)
        middles.append(np.array([_where(time, stances) for time in times]))
    hips = _hips(person, np.stack(middles, 1), script, times)
    camera = matrix_from_rotvec(np.array([0, 0, roll])) @ matrix_from_rotvec(np.array([pitch, 0, 0]))
    above = np.array([0.0, -CAMERA_M, 0.0])
    motion = _placed(person, motion, hips, world_from_rest, camera, above)
    points = skinned_vertices(body.sparse_weights, person.template, np.array(vertices))
    planted = Planted(points, np.tile([0, frames], (4, 1)), np.where(down, 1.0, 0.1))
    motion = replace(motion, poses=turn_legs(person, motion, planted, (goal - above) @ camera.T))
    normal = camera @ np.array([0.0, -1.0, 0.0])
    return MadeSteps(script.name, motion, np.array([*normal, -CAMERA_M]), down)


def _standing(body: Body, frames: int) -> Motion:
    motion = standing(body, frames, size=SIZE)
    poses = np.zeros((frames, 165), np.float32)
    poses[:, joint("left_shoulder")], poses[:, joint("right_shoulder")] = (0, 0, -1.2), (0, 0, 1.2)
    K = np.array([[FOCAL_PX, 0, SIZE[0] / 2], [0, FOCAL_PX, SIZE[1] / 2], [0, 0, 1]], np.float32)
    return replace(motion, poses=poses, fps=Fraction(FPS), K=np.tile(K, (frames, 1, 1)),
                   pts_seconds=np.arange(frames) / FPS, duration_seconds=frames / FPS)  # fmt: skip


def _where(time: float, stances: tuple[Stance, ...]) -> np.ndarray:
    """x, z of the foot, on its way from one stance to the next."""
    for before, after in pairwise(stances):
        if before.end < time < after.begin:
            share = _eased((time - before.end) / (after.begin - before.end))
            return (1 - share) * np.array(before.at) + share * np.array(after.at)
    return np.array(next(stance.at for stance in stances if stance.begin <= time <= stance.end))


def _foot(
    time: float, stances: tuple[Stance, ...], rest: np.ndarray, turn: np.ndarray, script: FootScript
) -> tuple[np.ndarray, np.ndarray]:
    """Heel and toe in the world, and which of them is down."""
    for before, after in pairwise(stances):
        if before.end < time < after.begin:
            share = _eased((time - before.end) / (after.begin - before.end))
            first, _ = _stood(before.end, before, rest, turn, script)
            second, _ = _stood(after.begin, after, rest, turn, script)
            up = np.array([0.0, -4 * share * (1 - share) * script.lift, 0.0])
            return (1 - share) * first + share * second + up, np.zeros(2, bool)
    return _stood(time, next(s for s in stances if s.begin <= time <= s.end), rest, turn, script)


def _stood(
    time: float, stance: Stance, rest: np.ndarray, turn: np.ndarray, script: FootScript
) -> tuple[np.ndarray, np.ndarray]:
    up, pivot, down = 0.0, rest[0], np.ones(2, bool)
    if script.rolls and time > stance.end - ROLL_S:
        up, pivot = HEEL_UP_RAD * _eased((time - stance.end + ROLL_S) / ROLL_S), rest[1]
        down[0] = False
    elif script.rolls and time < stance.begin + TOE_DOWN_S:
        up, pivot = -TOE_UP_RAD * (1 - _eased((time - stance.begin) / TOE_DOWN_S)), rest[0]
        down[1] = False
    tilted = (rest - pivot) @ matrix_from_rotvec(np.array([up, 0.0, 0.0])).T + pivot
    return tilted @ turn.T + np.array([stance.at[0], 0.0, stance.at[1]]), down


def _hips(
    person: Person, feet: Float[np.ndarray, "frames 2 2"], script: FootScript, times: Float[np.ndarray, "frames"]
) -> Float[np.ndarray, "frames 3"]:
    from scipy.ndimage import gaussian_filter1d

    middle = gaussian_filter1d(feet.mean(1), 0.15 * FPS, axis=0, mode="nearest")
    height = person.rest_joints[0, 1] - person.template[:, 1].min() - 0.05
    dipping = script.dip * (1 - np.cos(2 * np.pi * times / 1.5)) / 2
    aside = script.sway * np.sin(2 * np.pi * times / 2.5)
    return np.stack([middle[:, 0] + aside, dipping - height, middle[:, 1]], -1)


def _placed(
    person: Person, motion: Motion, hips: np.ndarray, turn: np.ndarray, camera: np.ndarray, above: np.ndarray
) -> Motion:
    """The motion in the camera's frame, with legs that are bent as the height of the hips wants it."""
    poses = motion.poses.copy()
    at = dict(zip(JOINT_NAMES, person.rest_joints, strict=True))
    leg = at["left_hip"][1] - at["left_ankle"][1]
    reach = np.clip((-hips[:, 1] - (at["pelvis"][1] - at["left_hip"][1]) -
                     (at["left_ankle"][1] - person.template[:, 1].min())) / leg, 0.2, 0.99)  # fmt: skip
    bend = np.arccos(reach)
    for side in ("left", "right"):
        for name, share in (("hip", -1.0), ("knee", 2.0), ("ankle", -1.0)):
            poses[:, joint(f"{side}_{name}").start] = share * bend
    poses[:, :3] = rotvec_from_matrix(camera @ turn)
    pelvis = (hips - above) @ camera.T
    return replace(motion, poses=poses, trans=(pelvis - person.rest_joints[0]).astype(np.float32))


def tracked_like(motion: Motion, seed: int) -> Motion:
    """The motion with noise as a tracker's: see DEPTH_M and the others below."""
    random, frames, fps = np.random.default_rng(seed), len(motion), float(motion.fps)
    ray = motion.trans / np.linalg.norm(motion.trans, axis=-1, keepdims=True)
    trans = motion.trans + DEPTH_M * ray * _wander(random, (frames, 1), fps, NOISE_S)
    trans = trans + ACROSS_M * _wander(random, (frames, 3), fps, NOISE_S)
    poses = motion.poses.copy()
    for name, sigma in JOINT_RAD.items():
        for side in ("left", "right"):
            constant = 0.7 * sigma * random.normal(size=3)
            noise = constant + sigma * _wander(random, (frames, 3), fps, NOISE_S)
            columns = joint(f"{side}_{name}")
            before = matrix_from_rotvec(poses[:, columns].astype(np.float64))
            poses[:, columns] = rotvec_from_matrix(before @ matrix_from_rotvec(noise))
    return replace(motion, trans=trans.astype(np.float32), poses=poses)


DEPTH_M, ACROSS_M, NOISE_S = 0.06, 0.006, 0.12
JOINT_RAD = {"hip": 0.03, "knee": 0.04, "ankle": 0.07}
"""Spread of the noise, and how fast it changes. With them planted points move as fast as those of tracked people who
stand (real views of a folder of truth; printed by benchmarks.feet_truth)."""


def _wander(
    random: np.random.Generator, shape: tuple[int, int], fps: float, seconds: float
) -> Float[np.ndarray, "frames columns"]:
    """Smooth noise of spread 1."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(random.normal(size=shape), seconds * fps, axis=0, mode="reflect")
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * seconds * fps)


def _eased(share: float) -> float:
    return float(share * share * (3 - 2 * share))
