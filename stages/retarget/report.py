"""What retargeting changed, in numbers, so that nobody has to compare videos by eye."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, motion_template, pose_motion
from stages.contacts.measure import ContactFigures
from stages.progress import Progress, silent

ROWS_AT_ONCE = 16
FOOT_ON_GROUND_M = 0.02
"""A foot of the driver that moves less than this from one frame to the next counts as standing."""


@dataclass(frozen=True)
class RetargetReport:
    """before: the driver in its own body; after: the driver in the reference's body. Metres, or cm where named _cm."""

    height_before_m: float
    height_after_m: float
    height_ratio: float
    head_offset_y_m: float
    """Of the first shot."""
    face_in_frame_before: float
    """Share of valid frames in which the whole face is inside the driver's picture."""
    face_in_frame_after: float
    hand_hand_change_mean_cm: float
    """Mean over valid frames of the absolute change of the wrist-to-wrist distance."""
    hand_hand_change_max_cm: float
    hand_face_change_mean_cm: float
    """Mean absolute change of the distance from the head joint to the nearer wrist."""
    hand_face_change_max_cm: float
    foot_slide_before_cm: float
    """Mean movement per frame of the feet that stand in the driver's motion."""
    foot_slide_after_cm: float
    contacts: ContactFigures | None = None
    """None: contacts were not kept."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as a dictionary of plain numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """The line that the command line prints."""
        slide = f"; feet slide {self.foot_slide_before_cm:.2f} -> {self.foot_slide_after_cm:.2f} cm per frame"
        if self.contacts is not None:
            slide = f"{slide if self.contacts.feet is None else ''}; {self.contacts}"
        return (
            f"height {self.height_before_m:.2f} m -> {self.height_after_m:.2f} m (x {self.height_ratio:.3f}), "
            f"moved by {100 * self.head_offset_y_m:+.1f} cm to keep the height of the head, "
            f"face inside the driver's picture {100 * self.face_in_frame_before:.0f} % -> "
            f"{100 * self.face_in_frame_after:.0f} % of frames; distances change by: "
            f"hand to hand {self.hand_hand_change_mean_cm:.1f} cm (at most "
            f"{self.hand_hand_change_max_cm:.1f}), hand to face {self.hand_face_change_mean_cm:.1f} cm (at most "
            f"{self.hand_face_change_max_cm:.1f}){slide}"
        )


@dataclass(frozen=True)
class _MotionFigures:
    """Joints and face visibility of one motion, per frame."""

    joints: Float[np.ndarray, "frames 55 3"]
    face_inside: Bool[np.ndarray, "frames"]


def measure_changes(
    before: Motion,
    after: Motion,
    body: Body,
    head_offset_y_m: float,
    contacts: ContactFigures | None = None,
    progress: Progress = silent,
) -> RetargetReport:
    """Pose both motions a few rows at a time and compare; memory does not grow with the clip beyond its joints."""
    valid = before.valid[:, 0] if before.valid[:, 0].any() else np.ones(len(before), bool)
    old, new = (_figures_of(motion, body, progress) for motion in (before, after))
    height_before, height_after = (float(np.ptp(motion_template(body, motion)[:, 1])) for motion in (before, after))
    hands = np.abs(_hand_hand(new) - _hand_hand(old))[valid] * 100
    face = np.abs(_hand_face(new) - _hand_face(old))[valid] * 100
    standing = _standing(old, valid) & ~before.cuts[:, None]
    return RetargetReport(
        height_before_m=height_before,
        height_after_m=height_after,
        height_ratio=height_after / height_before,
        head_offset_y_m=head_offset_y_m,
        face_in_frame_before=float(old.face_inside[valid].mean()),
        face_in_frame_after=float(new.face_inside[valid].mean()),
        hand_hand_change_mean_cm=float(hands.mean()),
        hand_hand_change_max_cm=float(hands.max()),
        hand_face_change_mean_cm=float(face.mean()),
        hand_face_change_max_cm=float(face.max()),
        foot_slide_before_cm=_slide(old, standing),
        foot_slide_after_cm=_slide(new, standing),
        contacts=contacts,
    )


def _figures_of(motion: Motion, body: Body, progress: Progress) -> _MotionFigures:
    face = np.flatnonzero(body.sets["face_skin"])
    joints, inside = [], []
    width, height = motion.image_size
    for rows in _batches(len(motion)):
        posed = pose_motion(body, motion, rows)
        joints.append(posed.joints)
        pixels = project(posed.vertices[:, face], motion.K[rows])
        within = (pixels[..., :2] >= 0) & (pixels[..., :2] <= (width, height))
        inside.append(within.all((1, 2)))
        progress("comparing", rows.stop, len(motion))
    return _MotionFigures(np.concatenate(joints), np.concatenate(inside))


def _batches(count: int) -> Iterator[slice]:
    for start in range(0, count, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, count))


def _joint(track: _MotionFigures, name: str) -> Float[np.ndarray, "frames 3"]:
    return track.joints[:, JOINT_NAMES.index(name)]


def _hand_hand(track: _MotionFigures) -> Float[np.ndarray, "frames"]:
    return np.linalg.norm(_joint(track, "left_wrist") - _joint(track, "right_wrist"), axis=-1)


def _hand_face(track: _MotionFigures) -> Float[np.ndarray, "frames"]:
    distances = [
        np.linalg.norm(_joint(track, f"{side}_wrist") - _joint(track, "head"), axis=-1) for side in ("left", "right")
    ]
    return np.minimum(*distances)


def _feet_travel(track: _MotionFigures) -> Float[np.ndarray, "steps 2"]:
    feet = np.stack([_joint(track, "left_foot"), _joint(track, "right_foot")], 1)
    return np.linalg.norm(np.diff(feet, axis=0), axis=-1)


def _standing(driver: _MotionFigures, valid: Bool[np.ndarray, "frames"]) -> Bool[np.ndarray, "steps 2"]:
    return (_feet_travel(driver) < FOOT_ON_GROUND_M) & (valid[1:] & valid[:-1])[:, None]


def _slide(track: _MotionFigures, standing: Bool[np.ndarray, "steps 2"]) -> float:
    return float(_feet_travel(track)[standing].mean() * 100) if standing.any() else 0.0
