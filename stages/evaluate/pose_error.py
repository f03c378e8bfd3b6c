"""Pose error: the motion tracked in the result against the motion that drove it.

Both motions are posed in the driving motion's body, so a difference in shape cannot hide or fake an error. A result may
be framed like its photo instead of by the driver's camera. So positions are relative to the neck, finger positions
relative to the wrist, and the head angle is also given without its constant part.
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
from stages.counted import counted
from stages.errors import InputError

ROWS_AT_ONCE = 16
UPPER_BODY = (
    "head", "left_collar", "right_collar", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)  # fmt: skip
MOVED = 0.02
"""Standard deviation of a driver's coefficient below which its correlation says nothing and is left out."""
STILL = 1e-6
"""A standard deviation below this is rounding, not movement."""
LIPS = ("face_013", "face_014")
FACE = ("face_010", "face_152")


@dataclass(frozen=True)
class _Posed:
    """What is compared, one row per frame: joints in metres, camera frame; head orientation; mouth; expression."""

    joints: Float[np.ndarray, "frames 55 3"]
    head: Float[np.ndarray, "frames 3 3"]
    lip_gap: Float[np.ndarray, "frames"]
    """Distance of the inner lips over the height of the face, on the posed model."""
    jaw_degrees: Float[np.ndarray, "frames"]
    """Opening angle of the jaw: its rotation about the ear-to-ear axis."""
    expression: Float[np.ndarray, "frames expression"]


def pose_error(result: Motion, driving: Motion, body: Body) -> dict[str, Any]:
    """Means over the rows that are measured in both motions; None where there is no such row.

    `upper_body_mm`: joints relative to the neck. `left_hand_mm`, `right_hand_mm`: finger joints relative to the wrist.
    All in the camera frame. `head_degrees`: angle between the heads; `head_change_degrees`: the same with each motion's
    first common row taken as zero. `lip_gap_correlation` and `lip_gap_peak_ratio` (result over driver);
    `lip_gap_error` (mean absolute) and `lip_gap_spread` (the driver's standard deviation: if it is not larger than the
    error, the mouth hardly moved and the correlation is that of noise). `jaw_degrees` and `jaw_correlation`.
    `expression_error` (mean absolute) and `expression_correlation` (of the coefficients that the driver moves, weighted
    by how much they move). `joints_mm`: each joint alone. `upper_body_mm_own_shape`: each motion in its own shape.
    `upper_body_share_of_shoulder_width`: `upper_body_mm` over `shoulder_width_mm`.
    Raises InputError when lengths or body files differ.
    """
    _check_comparable(result, driving, body)
    driver, tracked = _posed_in_shape(driving, driving, body), _posed_in_shape(result, driving, body)
    own = _posed_in_shape(result, result, body)
    both = result.valid & driving.valid
    upper, width = _distance(tracked, driver, "neck", UPPER_BODY, both[:, 0]), _shoulder_width_mm(driver)
    return {
        "rows": {part: int(both[:, column].sum()) for column, part in enumerate(PARTS)},
        "upper_body_mm": upper,
        "upper_body_share_of_shoulder_width": None if upper is None else upper / width,
        "upper_body_mm_own_shape": _distance(own, driver, "neck", UPPER_BODY, both[:, 0]),
        "shoulder_width_mm": width,
        "left_hand_mm": _distance(tracked, driver, "left_wrist", _fingers("left"), both[:, 2]),
        "right_hand_mm": _distance(tracked, driver, "right_wrist", _fingers("right"), both[:, 3]),
        **_head(tracked, driver, both[:, 1]),
        **_lips(tracked, driver, both[:, 1]),
        **_face(tracked, driver, both[:, 1]),
        "joints_mm": _joints(tracked, driver, both),
    }


def _check_comparable(result: Motion, driving: Motion, body: Body) -> None:
    for name, motion in (("tracked result", result), ("driving motion", driving)):
        require_same_body(name, motion, body)
    if len(result) != len(driving):
        raise InputError(
            f"the result has {counted(len(result), 'frame')} but the driving motion has {len(driving)}; "
            "give the motion that the result was made from"
        )


def _posed_in_shape(motion: Motion, shape: Motion, body: Body) -> _Posed:
    shaped = replace(
        motion,
        betas=shape.betas,
        head_betas=shape.head_betas,
        head_scale=shape.head_scale,
        hand_scale=shape.hand_scale,
        shot_shapes=None,
    )
    template = motion_template(body, shaped)
    lip_and_face = [body.keypoint_names.index(name) for name in (*LIPS, *FACE)]
    joints, head, gap = [], [], []
    for start in range(0, len(shaped), ROWS_AT_ONCE):
        posed = pose_motion(body, shaped, slice(start, start + ROWS_AT_ONCE))
        joints.append(posed.joints)
        head.append(posed.transforms[:, JOINT_NAMES.index("head"), :, :3])
        upper, lower, top, chin = keypoints_from(body, template, posed)[:, lip_and_face].swapaxes(0, 1)
        gap.append(np.linalg.norm(upper - lower, axis=-1) / np.linalg.norm(top - chin, axis=-1))
    opening = np.degrees(motion.poses[:, 3 * JOINT_NAMES.index("jaw")])
    return _Posed(np.concatenate(joints), np.concatenate(head), np.concatenate(gap), opening, motion.expression)


def _fingers(side: str) -> tuple[str, ...]:
    return tuple(name for name in JOINT_NAMES if name.startswith(f"{side}_") and name[-1] in "123")


def _distance(
    tracked: _Posed, driver: _Posed, origin: str, names: tuple[str, ...], rows: Bool[np.ndarray, "frames"]
) -> Any:
    if not rows.any():
        return None
    zero, chosen = JOINT_NAMES.index(origin), [JOINT_NAMES.index(name) for name in names]
    relative = [track.joints[rows][:, chosen] - track.joints[rows][:, [zero]] for track in (tracked, driver)]
    return float(np.linalg.norm(relative[0] - relative[1], axis=-1).mean() * 1000)


def _head(tracked: _Posed, driver: _Posed, rows: Bool[np.ndarray, "frames"]) -> dict[str, Any]:
    if not rows.any():
        return {"head_degrees": None, "head_change_degrees": None}
    ours, theirs = tracked.head[rows], driver.head[rows]
    since = [heads @ heads[0].T for heads in (ours, theirs)]
    return {"head_degrees": _angle(ours, theirs), "head_change_degrees": _angle(*since)}


def _angle(a: Float[np.ndarray, "frames 3 3"], b: Float[np.ndarray, "frames 3 3"]) -> float:
    between = rotvec_from_matrix(a @ np.swapaxes(b, -1, -2))
    return float(np.degrees(np.linalg.norm(between, axis=-1)).mean())


def _lips(tracked: _Posed, driver: _Posed, rows: Bool[np.ndarray, "frames"]) -> dict[str, Any]:
    if not rows.any():
        names = ("lip_gap_correlation", "lip_gap_peak_ratio", "lip_gap_error", "lip_gap_spread")
        return dict.fromkeys(names)
    ours, theirs = tracked.lip_gap[rows], driver.lip_gap[rows]
    together = correlation(ours, theirs)
    return {
        "lip_gap_error": float(np.abs(ours - theirs).mean()),
        "lip_gap_spread": float(theirs.std()),
        "lip_gap_correlation": together,
        "lip_gap_peak_ratio": None if together is None else float(ours.max() / theirs.max()),
    }


def _face(tracked: _Posed, driver: _Posed, rows: Bool[np.ndarray, "frames"]) -> dict[str, Any]:
    """Jaw and expression coefficients."""
    names = ("jaw_degrees", "jaw_correlation", "expression_error", "expression_correlation")
    if not rows.any():
        return dict.fromkeys(names)
    ours, theirs = tracked.expression[rows], driver.expression[rows]
    moved = theirs.std(0)
    found = {column: correlation(ours[:, column], theirs[:, column]) for column in np.flatnonzero(moved > MOVED)}
    weights = {column: float(moved[column]) for column, value in found.items() if value is not None}
    weighted = sum(weight * (found[column] or 0.0) for column, weight in weights.items())
    values = (
        float(np.abs(tracked.jaw_degrees[rows] - driver.jaw_degrees[rows]).mean()),
        correlation(tracked.jaw_degrees[rows], driver.jaw_degrees[rows]),
        float(np.abs(ours - theirs).mean()),
        weighted / sum(weights.values()) if weights else None,
    )
    return dict(zip(names, values, strict=True))


def _joints(tracked: _Posed, driver: _Posed, both: Bool[np.ndarray, "frames parts"]) -> dict[str, float | None]:
    """Error of each joint alone, mm: fingers relative to their wrist, all other joints relative to the neck."""
    chosen = {name: ("neck", PARTS.index("body")) for name in JOINT_NAMES if name != "neck"}
    for side in ("left", "right"):
        chosen |= {name: (f"{side}_wrist", PARTS.index(f"{side}_hand")) for name in _fingers(side)}
    return {name: _distance(tracked, driver, origin, (name,), both[:, part]) for name, (origin, part) in chosen.items()}


def _shoulder_width_mm(track: _Posed) -> float:
    """Median over all rows, because a shrug moves the shoulder joints a little."""
    left, right = (track.joints[:, JOINT_NAMES.index(f"{side}_shoulder")] for side in ("left", "right"))
    return 1000 * float(np.median(np.linalg.norm(left - right, axis=-1)))


def correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's correlation; None if one of the two does not move, or for fewer than three rows."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    if len(first) < 3 or first.std() < STILL or second.std() < STILL:
        return None
    return float(np.corrcoef(first, second)[0, 1])
