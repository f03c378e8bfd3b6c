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
from stages.body.same_body import require_same_body
from stages.errors import InputError

ROWS_AT_ONCE = 16
UPPER_BODY = (
    "head", "left_collar", "right_collar", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)  # fmt: skip
MOVED = 0.02
"""A coefficient that the driver moves by less (standard deviation) has no correlation worth giving."""
STILL = 1e-6
"""Rounding, not movement."""
LIPS = ("face_013", "face_014")
FACE = ("face_010", "face_152")


@dataclass(frozen=True)
class _Track:
    """What is compared, per frame."""

    joints: Float[np.ndarray, "frames 55 3"]
    head: Float[np.ndarray, "frames 3 3"]
    lip_gap: Float[np.ndarray, "frames"]
    """Inner-lip gap over face height, on the model."""
    jaw_degrees: Float[np.ndarray, "frames"]
    """The jaw's opening: its turn about the ear-to-ear axis."""
    expression: Float[np.ndarray, "frames expression"]


def pose_error(result: Motion, driving: Motion, body: Body) -> dict[str, Any]:
    """Means over the rows where both motions are measured; None where no such row exists.

    `upper_body_mm`: joints from the neck; `left_hand_mm`, `right_hand_mm`: finger joints from the wrist, in the
    camera frame; `head_degrees`, and `head_change_degrees` with each clip's first common row
    taken as zero; `lip_gap_correlation` and `lip_gap_peak_ratio` (result over driver), with
    `lip_gap_error` (mean absolute) beside `lip_gap_spread` (the driver's standard deviation: where it is no larger than
    the error, the mouth hardly moved and the correlation is that of noise); `jaw_degrees` and
    `jaw_correlation`; `expression_error` (mean absolute) and `expression_correlation` (of the coefficients that the
    driver moves, weighted by how much). `joints_mm` has every joint alone, `upper_body_mm_own_shape` each motion in
    its own shape, and `upper_body_share_of_shoulder_width` is `upper_body_mm` over `shoulder_width_mm`.
    Raises InputError when lengths or body files differ.
    """
    _comparable(result, driving, body)
    told, done = _follow(driving, driving, body), _follow(result, driving, body)
    own = _follow(result, result, body)
    both = result.valid & driving.valid
    upper, width = _distance(done, told, "neck", UPPER_BODY, both[:, 0]), _shoulder_width_mm(told)
    return {
        "rows": {part: int(both[:, column].sum()) for column, part in enumerate(PARTS)},
        "upper_body_mm": upper,
        "upper_body_share_of_shoulder_width": None if upper is None else upper / width,
        "upper_body_mm_own_shape": _distance(own, told, "neck", UPPER_BODY, both[:, 0]),
        "shoulder_width_mm": width,
        "left_hand_mm": _distance(done, told, "left_wrist", _fingers("left"), both[:, 2]),
        "right_hand_mm": _distance(done, told, "right_wrist", _fingers("right"), both[:, 3]),
        **_head(done, told, both[:, 1]),
        **_lips(done, told, both[:, 1]),
        **_face(done, told, both[:, 1]),
        "joints_mm": _joints(done, told, both),
    }


def _comparable(result: Motion, driving: Motion, body: Body) -> None:
    for name, motion in (("tracked result", result), ("driving motion", driving)):
        require_same_body(name, motion, body)
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
    opening = np.degrees(motion.poses[:, 3 * JOINT_NAMES.index("jaw")])
    return _Track(np.concatenate(joints), np.concatenate(head), np.concatenate(gap), opening, motion.expression)


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
    if not rows.any():
        names = ("lip_gap_correlation", "lip_gap_peak_ratio", "lip_gap_error", "lip_gap_spread")
        return dict.fromkeys(names)
    ours, theirs = done.lip_gap[rows], told.lip_gap[rows]
    together = correlation(ours, theirs)
    return {
        "lip_gap_error": float(np.abs(ours - theirs).mean()),
        "lip_gap_spread": float(theirs.std()),
        "lip_gap_correlation": together,
        "lip_gap_peak_ratio": None if together is None else float(ours.max() / theirs.max()),
    }


def _face(done: _Track, told: _Track, rows: Bool[np.ndarray, "frames"]) -> dict[str, Any]:
    """Jaw and expression coefficients."""
    names = ("jaw_degrees", "jaw_correlation", "expression_error", "expression_correlation")
    if not rows.any():
        return dict.fromkeys(names)
    ours, theirs = done.expression[rows], told.expression[rows]
    moved = theirs.std(0)
    found = {column: correlation(ours[:, column], theirs[:, column]) for column in np.flatnonzero(moved > MOVED)}
    weights = {column: float(moved[column]) for column, value in found.items() if value is not None}
    weighted = sum(weight * (found[column] or 0.0) for column, weight in weights.items())
    values = (
        float(np.abs(done.jaw_degrees[rows] - told.jaw_degrees[rows]).mean()),
        correlation(done.jaw_degrees[rows], told.jaw_degrees[rows]),
        float(np.abs(ours - theirs).mean()),
        weighted / sum(weights.values()) if weights else None,
    )
    return dict(zip(names, values, strict=True))


def _joints(done: _Track, told: _Track, both: Bool[np.ndarray, "frames parts"]) -> dict[str, float | None]:
    """Every joint alone, mm: fingers from their wrist, all others from the neck."""
    chosen = {name: ("neck", PARTS.index("body")) for name in JOINT_NAMES if name != "neck"}
    for side in ("left", "right"):
        chosen |= {name: (f"{side}_wrist", PARTS.index(f"{side}_hand")) for name in _fingers(side)}
    return {name: _distance(done, told, origin, (name,), both[:, part]) for name, (origin, part) in chosen.items()}


def _shoulder_width_mm(track: _Track) -> float:
    """Median over all rows: a shrug moves the shoulder joints a little."""
    left, right = (track.joints[:, JOINT_NAMES.index(f"{side}_shoulder")] for side in ("left", "right"))
    return 1000 * float(np.median(np.linalg.norm(left - right, axis=-1)))


def correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's, or None where one of the two does not move."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    if len(first) < 3 or first.std() < STILL or second.std() < STILL:
        return None
    return float(np.corrcoef(first, second)[0, 1])
