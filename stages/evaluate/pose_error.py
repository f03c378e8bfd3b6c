"""A result tracked again, against the motion that drove it: did the person do what they were told?

Both motions are posed in the driving motion's body, so shape cannot hide or fake an error. A result may be framed
by its photo instead of the driver's camera, so positions are taken from the neck, hands from the wrist, and the
head's turning is also given without its constant part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import PARTS, Motion
from stages.body.model import JOINT_NAMES, Body, keypoints_from, motion_template, pose_motion
from stages.body.rotations import rotvec_from_matrix
from stages.errors import InputError

ROWS_AT_ONCE = 16
UPPER_BODY = (
    "head", "left_collar", "right_collar", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)  # fmt: skip
LIPS = ("face_013", "face_014")
FACE = ("face_010", "face_152")


@dataclass(frozen=True)
class _Track:
    """What is compared, per frame."""

    joints: Float[np.ndarray, "frames 55 3"]
    head: Float[np.ndarray, "frames 3 3"]
    lip_gap: Float[np.ndarray, "frames"]
    """Inner-lip gap over face height, on the model."""


def pose_error(result: Motion, driving: Motion, body: Body) -> dict[str, Any]:
    """Means over the rows where both motions are measured; None where no such row exists.

    `upper_body_mm`: joints from the neck; `left_hand_mm`, `right_hand_mm`: finger joints from the wrist, in the
    camera frame; `head_degrees`, and `head_change_degrees` with each clip's first common row
    taken as zero; `lip_gap_correlation` and `lip_gap_peak_ratio` (result over driver).
    Raises InputError when lengths or body files differ.
    """
    _comparable(result, driving, body)
    told, done = _follow(driving, driving, body), _follow(result, driving, body)
    both = result.valid & driving.valid
    return {
        "rows": {part: int(both[:, column].sum()) for column, part in enumerate(PARTS)},
        "upper_body_mm": _distance(done, told, "neck", UPPER_BODY, both[:, 0]),
        "left_hand_mm": _distance(done, told, "left_wrist", _fingers("left"), both[:, 2]),
        "right_hand_mm": _distance(done, told, "right_wrist", _fingers("right"), both[:, 3]),
        **_head(done, told, both[:, 1]),
        **_lips(done, told, both[:, 1]),
    }


def _comparable(result: Motion, driving: Motion, body: Body) -> None:
    for name, motion in (("tracked result", result), ("driving motion", driving)):
        if motion.body_sha256 != body.sha256:
            raise InputError(f"the {name} was fitted on another body file than '{body.name}'; track it again")
    if len(result) != len(driving):
        raise InputError(
            f"the result has {len(result)} frames but the motion that drove it {len(driving)}; they must be one clip"
        )


def _follow(motion: Motion, shape: Motion, body: Body) -> _Track:
    worn = replace(
        motion,
        betas=shape.betas,
        head_betas=shape.head_betas,
        head_scale=shape.head_scale,
        hand_scale=shape.hand_scale,
    )
    template = motion_template(body, worn)
    wanted = [body.keypoint_names.index(name) for name in (*LIPS, *FACE)]
    joints, head, gap = [], [], []
    for start in range(0, len(worn), ROWS_AT_ONCE):
        posed = pose_motion(body, worn, slice(start, start + ROWS_AT_ONCE))
        joints.append(posed.joints)
        head.append(posed.transforms[:, JOINT_NAMES.index("head"), :, :3])
        upper, lower, top, chin = keypoints_from(body, template, posed)[:, wanted].swapaxes(0, 1)
        gap.append(np.linalg.norm(upper - lower, axis=-1) / np.linalg.norm(top - chin, axis=-1))
    return _Track(np.concatenate(joints), np.concatenate(head), np.concatenate(gap))


def _fingers(side: str) -> tuple[str, ...]:
    return tuple(name for name in JOINT_NAMES if name.startswith(f"{side}_") and name[-1] in "123")


def _distance(done: _Track, told: _Track, origin: str, names: tuple[str, ...], rows: Bool[np.ndarray, "frames"]) -> Any:
    if not rows.any():
        return None
    zero, chosen = JOINT_NAMES.index(origin), [JOINT_NAMES.index(name) for name in names]
    relative = [track.joints[rows][:, chosen] - track.joints[rows][:, [zero]] for track in (done, told)]
    return float(np.linalg.norm(relative[0] - relative[1], axis=-1).mean() * 1000)


def _head(done: _Track, told: _Track, rows: Bool[np.ndarray, "frames"]) -> dict[str, Any]:
    if not rows.any():
        return {"head_degrees": None, "head_change_degrees": None}
    ours, theirs = done.head[rows], told.head[rows]
    since = [heads @ heads[0].T for heads in (ours, theirs)]
    return {"head_degrees": _angle(ours, theirs), "head_change_degrees": _angle(*since)}


def _angle(a: Float[np.ndarray, "frames 3 3"], b: Float[np.ndarray, "frames 3 3"]) -> float:
    between = rotvec_from_matrix(a @ np.swapaxes(b, -1, -2))
    return float(np.degrees(np.linalg.norm(between, axis=-1)).mean())


def _lips(done: _Track, told: _Track, rows: Bool[np.ndarray, "frames"]) -> dict[str, Any]:
    ours, theirs = done.lip_gap[rows], told.lip_gap[rows]
    if rows.sum() < 3 or ours.std() == 0 or theirs.std() == 0:
        return {"lip_gap_correlation": None, "lip_gap_peak_ratio": None}
    return {
        "lip_gap_correlation": float(np.corrcoef(ours, theirs)[0, 1]),
        "lip_gap_peak_ratio": float(ours.max() / theirs.max()),
    }
