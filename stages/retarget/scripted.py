"""A motion from a script instead of a tracker: a person turns, nods, talks and blinks, from the pose of their photo.

It needs no video. It gives a driving clip on a machine without videos, with a known truth to measure errors against.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion, select_rows
from stages.artifacts.provenance import Provenance
from stages.body.model import JOINT_NAMES, Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix

TURN_RAD, NOD_RAD, TILT_RAD = 0.30, 0.16, 0.07
JAW_RAD = 0.20
LEAN_RAD = 0.04
NECK_SHARE = 0.4
BLINKS_AT = (0.18, 0.47, 0.52, 0.83)
"""Times of the blinks, as shares of the clip. Two are close together, as people often blink twice."""
BLINK_SECONDS = 0.13


def scripted_motion(reference: Motion, body: Body, seconds: float = 4.0, fps: Fraction = Fraction(25)) -> Motion:
    """Turn left and right, nod, talk and blink. The motion starts and ends in row 0 of `reference`, in its camera."""
    count = max(2, round(seconds * fps))
    phase = np.arange(count) / (count - 1)
    row = np.zeros(count, int)
    poses = reference.poses[row].copy()
    ease = np.sin(np.pi * phase) ** 0.5
    head = np.stack(
        [
            NOD_RAD * ease * np.sin(6 * np.pi * phase),
            TURN_RAD * np.sin(2 * np.pi * phase),
            TILT_RAD * ease * np.sin(4 * np.pi * phase),
        ],
        -1,
    )
    _turn(poses, "neck", NECK_SHARE * head)
    _turn(poses, "head", (1 - NECK_SHARE) * head)
    _turn(poses, "spine2", np.stack([0 * phase, LEAN_RAD * np.sin(2 * np.pi * phase), 0 * phase], -1))
    mouth = ease * _syllables(phase * seconds)
    _turn(poses, "jaw", np.stack([JAW_RAD * mouth, 0 * phase, 0 * phase], -1))
    expression = reference.expression[row].copy()
    blink = _blinks(phase, seconds)
    for column in (row for row, name in enumerate(body.expression_names) if name.startswith("eyeBlink")):
        expression[:, column] = np.maximum(expression[:, column], blink)
    return replace(
        select_rows(reference, row),
        poses=poses.astype(np.float32),
        expression=expression.astype(np.float32),
        fps=fps,
        frame_index=np.arange(count),
        pts_seconds=np.arange(count) / float(fps),
        duration_seconds=count / float(fps),
        world_R=None,
        world_t=None,
        camera=None,
        floor=None,
        gates=None,
        expected_mm=None,
        expected_px=None,
        gate_names=(),
        provenance=Provenance(
            "scripted",
            config={"seconds": seconds, "fps": str(fps)},
            inputs={"reference": reference.provenance.fingerprint()},
            weights={"body": reference.body_sha256},
        ),
    )


def _turn(poses: Float[np.ndarray, "frames 165"], joint: str, rotvec: Float[np.ndarray, "frames 3"]) -> None:
    """Add a rotation to a joint, about the joint's own axes, in place."""
    at = 3 * JOINT_NAMES.index(joint)
    before = matrix_from_rotvec(poses[:, at : at + 3].astype(np.float64))
    poses[:, at : at + 3] = rotvec_from_matrix(before @ matrix_from_rotvec(rotvec))


def _syllables(seconds: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
    """Mouth opening in [0, 1]: about four syllables per second, in words with pauses between them."""
    word = np.clip(1.6 * np.sin(2 * np.pi * 0.8 * seconds), 0, 1)
    return word * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * seconds))


def _blinks(phase: Float[np.ndarray, "frames"], seconds: float) -> Float[np.ndarray, "frames"]:
    """Lid closing in [0, 1]."""
    distance = np.abs(phase[:, None] - np.array(BLINKS_AT)) * seconds / BLINK_SECONDS
    return np.clip(1.3 * np.exp(-(distance**2) * 2), 0, 1).max(1)
