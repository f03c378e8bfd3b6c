"""Figures of a tracked clip. Shares are of its frames; lengths are relative to the picture or the body, not pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, motion_template, pose_joints

MOVING = ("head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
SUMMARY = {"error_body": "body_error", "error_face": "face_error", "error_left_hand": "left_hand_error",
           "error_right_hand": "right_hand_error"}  # fmt: skip
"""The tracker's own figures that are kept too: name in the tracker's summary -> name here."""


def clip_figures(motion: Motion, body: Body) -> dict[str, float]:
    """Every figure of a motion that the tracker made.

    body_share, face_share, hand_share (at least one hand), both_hands_share; face_scale: median face height over the
    picture's longer side, 0 without a face; movement: see `movement`; people: everybody in the picture, with the
    tracked person. Median errors of the fit, where there are any: body over the shoulders' width, face and hands over
    the face's height.
    """
    valid, notes = motion.valid, motion.provenance.notes
    heights = motion.face_height_px[motion.face_height_px > 0]
    scale = float(np.median(heights)) / max(motion.image_size) if len(heights) else 0.0
    found = {
        "body_share": float(valid[:, 0].mean()),
        "face_share": float(valid[:, 1].mean()),
        "face_scale": scale,
        "hand_share": float(valid[:, 2:].any(1).mean()),
        "both_hands_share": float(valid[:, 2:].all(1).mean()),
        "movement": movement(motion, body),
        "people": float(1 + notes["other_people"]),
    }
    errors = {name: notes["summary"][key] for key, name in SUMMARY.items() if notes["summary"][key] is not None}
    return {name: round(float(value), 5) for name, value in {**found, **errors}.items()}


def movement(motion: Motion, body: Body) -> float:
    """How far the joint of MOVING that moves most is from its mean position in the picture: root mean square, in
    shoulder widths. Only positions inside the picture count, in frames with the person; a joint with fewer than two of
    them, or in fewer than 30 % of the frames, is left out. 0 if no joint is left."""
    points, inside = _pixels(motion, body)
    inside &= motion.valid[:, :1]
    most = 0.0
    for column in np.flatnonzero(inside.sum(0) >= max(2, 0.3 * len(motion))):
        seen = points[inside[:, column], column]
        most = max(most, float(np.sqrt(((seen - seen.mean(0)) ** 2).sum(1).mean())))
    width = float(np.median(motion.shoulder_width_px))
    return most / width if width > 0 else 0.0


def _pixels(
    motion: Motion, body: Body
) -> tuple[Float[np.ndarray, "frames joints 2"], Bool[np.ndarray, "frames joints"]]:
    """Positions of the joints MOVING in pixels, and whether they are inside the picture."""
    joints, _ = pose_joints(body, motion_template(body, motion), motion.poses, motion.trans)
    joints = joints[:, [JOINT_NAMES.index(name) for name in MOVING]]
    points = project(joints, motion.K)[..., :2]
    inside = (points >= 0).all(-1) & (points < np.array(motion.image_size)).all(-1) & (joints[..., 2] > 0)
    return points, inside
