"""The points of a person that stand or kneel on a floor: heels, balls of the feet, knees. World frame, metres.

A point is a patch of skin: its lowest vertex says how high it is, its middle where it is. The line of sight matters
because a tracker knows a point's place across it five times better than along it: a foot that stands still in the
picture seems to walk towards the camera and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.artifacts.contacts import CONTACT_PARTS
from stages.artifacts.motion import BODY_PARTS, Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body
from stages.contacts.parts import PIECES, piece_of_vertices
from stages.contacts.points import SkinnedPoints, place, skinned_vertices
from stages.contacts.surface import Person, rotations_of

NAMES = ("left_heel", "left_toe", "right_heel", "right_toe", "left_knee", "right_knee")
FEET = slice(0, 4)
PARTS = tuple(
    CONTACT_PARTS.index(f"{name.partition('_')[0]}_{'shin' if name.endswith('knee') else 'foot'}") for name in NAMES
)
"""Row of CONTACT_PARTS of each point."""
LEG = tuple(BODY_PARTS.index(f"{name.partition('_')[0]}_leg") for name in NAMES)
HEEL_M, TOE_M, THICK_M = 0.06, 0.06, 0.012
"""Lengths of the patches behind and below the foot; how far above the lowest vertex a patch reaches."""
KNEE_M = (-0.10, 0.03)
"""Where the patch of the knee begins and ends, above the joint."""
SPEED_S = 0.05
"""A speed is read from places this long before and after."""
ALONG_SHARE = 0.15
"""Speed along the line of sight counts this much: there it is mostly noise."""
ROWS_AT_ONCE = 512


def sole_vertices(body: Body) -> list[Int[np.ndarray, "_"]]:
    """The patch of each of NAMES; its first vertex is the one nearest to its middle."""
    pieces, joints = piece_of_vertices(body), body.J_regressor @ body.v_template
    return [_patch(body.v_template, pieces, joints, *name.split("_")) for name in NAMES]


def _patch(rest: np.ndarray, pieces: np.ndarray, joints: np.ndarray, side: str, name: str) -> Int[np.ndarray, "patch"]:
    if name == "knee":
        knee = joints[JOINT_NAMES.index(f"{side}_knee")]
        rows = np.flatnonzero(pieces == PIECES.index(f"{side}_shin"))
        above, ahead = (rest[rows] - knee)[:, 1:].T
        rows = rows[(above > KNEE_M[0]) & (above < KNEE_M[1]) & (ahead > 0.5 * ahead.max())]
    else:
        rows = np.flatnonzero(pieces == PIECES.index(f"{side}_foot"))
        along, ball = rest[rows, 2], joints[JOINT_NAMES.index(f"{side}_foot"), 2]
        rows = rows[along < along.min() + HEEL_M if name == "heel" else np.abs(along - ball) < TOE_M / 2]
        rows = rows[rest[rows, 1] < rest[rows, 1].min() + THICK_M]
    order = np.linalg.norm(rest[rows] - rest[rows].mean(0), axis=-1).argsort(kind="stable")
    return rows[order]


@dataclass(frozen=True)
class Soles:
    """The points of NAMES over a motion, in the world."""

    patches: list[Float[np.ndarray, "frames _ 3"]]
    ray: Float[np.ndarray, "frames 6 3"]
    """Unit vector from the camera to the point."""
    seen: Bool[np.ndarray, "frames 6"]
    """Whether the picture shows the leg, and the point lies in the picture."""
    fps: float

    @staticmethod
    def of(body: Body, motion: Motion, person: Person) -> Soles:
        """The points of one shot."""
        vertices = sole_vertices(body)
        points = skinned_vertices(body.sparse_weights, person.template, np.concatenate(vertices))
        placed = place_rows(person, points, motion)
        middles = placed[:, np.cumsum([0, *(len(each) for each in vertices[:-1])])]
        flat = project(middles, motion.K.astype(np.float64))
        seen = ((flat[..., :2] >= 0) & (flat[..., :2] <= motion.image_size)).all(-1) & motion.valid[:, :1]
        if motion.expected_mm is not None:
            seen &= np.isfinite(motion.expected_mm[:, LEG])
        world = motion.world
        ray = world.points(middles) - world.t[:, None]
        ray /= np.maximum(np.linalg.norm(ray, axis=-1, keepdims=True), 1e-9)
        patches = np.split(world.points(placed), np.cumsum([len(each) for each in vertices])[:-1], 1)
        return Soles(patches, ray, seen, float(motion.fps))

    @property
    def middle(self) -> Float[np.ndarray, "frames 6 3"]:
        """Where the points are."""
        return np.stack([patch[:, 0] for patch in self.patches], 1)

    def heights(self, up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "frames 6"]:
        """Of each point's lowest vertex, along `up`."""
        return np.stack([(patch @ up).min(1) for patch in self.patches], 1)

    def speeds(self) -> Float[np.ndarray, "frames 6"]:
        """Metres per second; what is along the line of sight counts ALONG_SHARE."""
        places, count = self.middle, len(self.seen)
        reach = max(1, round(SPEED_S * self.fps))
        row = np.arange(count)
        before, after = np.maximum(row - reach, 0), np.minimum(row + reach, count - 1)
        velocity = (places[after] - places[before]) * (self.fps / np.maximum(after - before, 1))[:, None, None]
        along = (velocity * self.ray).sum(-1, keepdims=True)
        return np.linalg.norm(velocity - (1 - ALONG_SHARE) * along * self.ray, axis=-1)


def place_rows(person: Person, points: SkinnedPoints, motion: Motion) -> Float[np.ndarray, "frames points 3"]:
    """Where skinned points are in each row, camera frame."""
    blocks = []
    for start in range(0, len(motion), ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, len(motion)))
        blocks.append(place(points, person.transforms(rotations_of(motion, rows), motion.trans[rows])))
    return np.concatenate(blocks)


def joint_places(person: Person, motion: Motion) -> Float[np.ndarray, "frames 55 3"]:
    """The joints in the world."""
    blocks = []
    for start in range(0, len(motion), ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, len(motion)))
        blocks.append(person.joints(person.transforms(rotations_of(motion, rows), motion.trans[rows])))
    return motion.world.points(np.concatenate(blocks))
