"""Turns hips, knees and ankles until points of the feet and knees are where they should be in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.contacts import CONTACT_PARTS, Contacts
from stages.artifacts.motion import Motion
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.contacts.episodes import windows
from stages.contacts.held import ramped, touch_points
from stages.contacts.points import SkinnedPoints
from stages.contacts.soles import place_rows
from stages.contacts.solve import Chain, Held, Task, solve
from stages.contacts.surface import Person, rotations_of

LEG = {"hip": (0.3, 0.15, 0.2), "knee": (0.4, 0.05, 0.03), "ankle": (0.25, 0.1, 0.15)}
"""How far joints turn readily, radians about their x, y (the limb's length) and z axes."""
LEGS = Chain.of({f"{side}_{name}": sigma for side in ("left", "right") for name, sigma in LEG.items()})
SMOOTH_RAD_S2 = 30.0
"""Legs follow the jitter of tracked depth, which is faster than any movement towards a contact."""
WINDOW_S, OVERLAP_S = 20.0, 2.0
KNEES = np.array([name == "knee" for name in (*LEG, *LEG)])
"""Of the joints of LEGS."""
NOTHING_RAD = 1e-6
"""Smaller turns are left out, so that such a joint keeps its angle bit for bit."""


@dataclass(frozen=True)
class Planted:
    """The touches of a shot's contacts with the floor."""

    points: SkinnedPoints
    rows: Int[np.ndarray, "touches 2"]
    weight: Float[np.ndarray, "frames touches"]

    @staticmethod
    def of(person: Person, contacts: Contacts, frames: int) -> Planted:
        """The points on the skin of `person`, and where they are held."""
        chosen = on_floor(contacts)
        spans = contacts.touch_rows[chosen]
        weight = [ramped(slice(0, frames), *span) for span in spans.tolist()]
        points = touch_points(person, contacts, chosen, 0)
        return Planted(points, spans, np.stack(weight, 1) if len(weight) else np.zeros((frames, 0)))

    def __len__(self) -> int:
        """Number of touches."""
        return len(self.rows)

    @property
    def active(self) -> Bool[np.ndarray, "frames touches"]:
        """Rows of each touch."""
        row = np.arange(len(self.weight))[:, None]
        return (self.rows[:, 0] <= row) & (row < self.rows[:, 1])

    def places(self, person: Person, motion: Motion) -> Float[np.ndarray, "frames touches 3"]:
        """Where the points are in the world."""
        return motion.world.points(place_rows(person, self.points, motion))


def on_floor(contacts: Contacts) -> Int[np.ndarray, "touches"]:
    """The touches with the floor."""
    return np.flatnonzero((contacts.parts[contacts.touch_contact] == CONTACT_PARTS.index("floor")).any(1))


def slide_mm(places: Float[np.ndarray, "frames touches 3"], planted: Planted) -> Float[np.ndarray, "steps"]:
    """How far each touch's point goes from one row to the next, as long as it touches."""
    steps = 1e3 * np.linalg.norm(np.diff(places, axis=0), axis=-1)
    return steps[planted.active[1:] & planted.active[:-1]]


def turn_legs(
    person: Person, motion: Motion, planted: Planted, goal: Float[np.ndarray, "frames touches 3"]
) -> Float[np.ndarray, "frames 165"]:
    """The motion's `poses` with the legs turned, as little and as smoothly as possible, until the points are at `goal`
    (world, metres). No knee bends back, or farther back than it does."""
    frames, turning = len(motion), len(LEGS.joints)
    world = motion.world
    offset = (goal - world.t[:, None]) @ world.R
    turned = np.zeros((frames, turning, 3))
    bent = motion.poses.reshape(frames, 55, 3)[:, LEGS.joints, 0].astype(np.float64)
    lowest = np.where(KNEES, np.minimum(-bent, 0.0), -np.inf)
    nowhere = SkinnedPoints(np.zeros(len(planted) + 1, np.int64), np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0))
    fps = float(motion.fps)
    for begin, end in windows([(0, frames)], round(WINDOW_S * fps), round(OVERLAP_S * fps)):
        rows = slice(begin, end)
        used = np.flatnonzero(planted.weight[rows].any(0))
        if not len(used):
            continue
        held = Held(_some(planted.points, used), _some(nowhere, used), offset[rows][:, used],
                    np.full(len(used), -1), planted.weight[rows][:, used])  # fmt: skip
        begun = np.concatenate([np.zeros((2, turning, 3)), turned[:begin]])[-2:]
        free = np.ones((end - begin, turning), bool)
        task = Task(person, rotations_of(motion, rows), motion.trans[rows].astype(np.float64), LEGS, free, held, None,
                    begun, (begin == 0, end == frames), fps, SMOOTH_RAD_S2, lowest[rows])  # fmt: skip
        turned[rows] = solve(task)
    poses = motion.poses.copy()
    for number, joint in enumerate(LEGS.joints):
        changed = np.flatnonzero(np.linalg.norm(turned[:, number], axis=-1) > NOTHING_RAD)
        columns = slice(3 * joint, 3 * joint + 3)
        before = matrix_from_rotvec(poses[changed, columns].astype(np.float64))
        poses[changed, columns] = rotvec_from_matrix(before @ matrix_from_rotvec(turned[changed, number]))
    return poses


def _some(points: SkinnedPoints, chosen: Int[np.ndarray, "chosen"]) -> SkinnedPoints:
    counts = np.diff(points.start)[chosen]
    start = np.concatenate([[0], np.cumsum(counts)])
    entries = np.repeat(points.start[chosen] - start[:-1], counts) + np.arange(start[-1])
    return SkinnedPoints(start.astype(np.int64), points.joint[entries], points.at[entries], points.weight[entries])
