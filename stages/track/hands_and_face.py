"""Fingers, wrists, mouth and eyelids frame by frame from the detector's points, in closed form.

Only a motion without a fit (`--solver none`) needs them: a fit starts from relaxed hands and a neutral face, and finds
the rest itself. Gaps are filled in a straight line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import PARTS
from stages.body.model import JOINT_NAMES, Body, rest_keypoints
from stages.body.rotations import rotation_aligning, rotvec_from_matrix
from stages.detect.observations import Observations
from stages.track.collapse import Skeleton
from stages.track.initial_guess import shortest_rotation
from stages.track.state import State, kinematics

PALM = (0, 5, 9, 13, 17)
"""Wrist and knuckles."""
FINGERS = {"thumb": 1, "index": 5, "middle": 9, "ring": 13, "pinky": 17}
"""First of the four points of each finger."""
LIPS, EYE_CORNERS = (13, 14), (33, 263)
LIDS = {"eyeBlinkRight": ((159, 145), (33, 133)), "eyeBlinkLeft": ((386, 374), (263, 362))}
"""Expression -> upper and lower lid, corners of the eye."""
OPEN_PERCENTILE = 95
"""An eye is open at this percentile of its gap over the clip."""
WIDEST_JAW_RAD = 0.5
ARMS_AND_LEGS = tuple(
    f"{side}_{name}" for side in ("left", "right") for name in ("shoulder", "elbow", "hip", "knee")
)  # fmt: skip


def with_hands_and_face(
    guess: State, observations: Observations, valid: Bool[np.ndarray, "frames 4"], body: Body, skeleton: Skeleton
) -> State:
    """The first guess with wrists, fingers, jaw and eyelids as the detector sees them in each valid frame. What is not
    valid lies between its neighbours."""
    theta, psi = guess.theta.copy(), guess.psi.copy()
    rest = dict(zip(body.keypoint_names, rest_keypoints(body), strict=True))
    _fill(theta, _columns(*ARMS_AND_LEGS), valid[:, 0])
    _fill(theta, _columns("neck", "head"), valid[:, 1])
    world = kinematics(skeleton, replace(guess, theta=theta), derivatives=False).world
    for part, side in ((2, "left"), (3, "right")):
        points = getattr(observations, PARTS[part]).astype(float)
        template = np.array([rest[f"{PARTS[part]}_{number:02d}"] for number in range(21)])
        elbow = world[:, JOINT_NAMES.index(f"{side}_elbow")]
        for row in np.flatnonzero(valid[:, part]):
            _set_hand(theta[row], elbow[row], points[row], template, side)
        hand = (f"{side}_{name}{joint}" for name in FINGERS for joint in (1, 2, 3))
        _fill(theta, _columns(f"{side}_wrist", *hand), valid[:, part])
    seen = valid[:, 1]
    face = {number: observations.face[:, number].astype(float) for pair in _face_pairs() for number in pair}
    jaw = skeleton.joints[JOINT_NAMES.index("jaw")]
    corners = np.linalg.norm(rest["face_033"] - rest["face_263"])
    reach = np.linalg.norm(rest["face_014"] - jaw)
    opened = _ratio(face, LIPS, EYE_CORNERS) * corners / reach
    theta[:, JOINT_NAMES.index("jaw") - 1, 0] = np.where(seen, np.clip(np.nan_to_num(opened), 0, WIDEST_JAW_RAD), 0)
    _fill(theta, _columns("jaw"), seen)
    for name, (lids, eye) in LIDS.items():
        if name in body.expression_names and seen.any():
            gap = _ratio(face, lids, eye)
            shut = 1 - gap / max(float(np.percentile(gap[seen], OPEN_PERCENTILE)), 1e-6)
            column = body.expression_names.index(name)
            psi[:, column] = np.where(seen, np.clip(np.nan_to_num(shut), 0, 1), 0)
            _fill(psi, [column], seen)
    return replace(guess, theta=theta, psi=psi)


def _columns(*joints: str) -> list[int]:
    """Rows of theta."""
    return [JOINT_NAMES.index(joint) - 1 for joint in joints]


def _fill(values: np.ndarray, columns: list[int], seen: Bool[np.ndarray, "frames"]) -> None:
    """Put the columns of unseen frames on straight lines between the seen ones, in place."""
    at = np.arange(len(values))
    if not seen.any() or seen.all():
        return
    chosen = values[:, columns].reshape(len(values), -1)
    lines = np.stack([np.interp(at, at[seen], column[seen]) for column in chosen.T], -1)
    values[:, columns] = lines.reshape(values[:, columns].shape)


def _set_hand(theta, elbow, points, template, side: str) -> None:
    """Set the wrist from the palm, and each finger from the directions of its bones, in place."""
    palm = list(PALM)
    hand = rotation_aligning(template[palm], points[palm], np.ones(len(palm)))
    theta[JOINT_NAMES.index(f"{side}_wrist") - 1] = rotvec_from_matrix(elbow.T @ hand)
    for finger, first in FINGERS.items():
        parent = hand
        for joint in range(3):
            start = first + joint
            rest, seen = template[start + 1] - template[start], parent.T @ (points[start + 1] - points[start])
            turn = shortest_rotation(rest / np.linalg.norm(rest), seen / max(float(np.linalg.norm(seen)), 1e-9))
            theta[JOINT_NAMES.index(f"{side}_{finger}{joint + 1}") - 1] = rotvec_from_matrix(turn)
            parent = parent @ turn


def _face_pairs() -> list[tuple[int, int]]:
    return [LIPS, EYE_CORNERS, *(pair for pairs in LIDS.values() for pair in pairs)]


def _ratio(face: dict[int, Float[np.ndarray, "frames 3"]], gap: tuple[int, int], width: tuple[int, int]):
    """The distance of two points of the face in widths, per frame; NaN where unseen."""
    over, under = (np.linalg.norm(face[a] - face[b], axis=-1) for a, b in (gap, width))
    return over / np.maximum(under, 1e-6)
