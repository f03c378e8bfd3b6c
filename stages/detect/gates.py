"""Gates reject doubtful detections: pure functions of `Observations`, one decision per part and frame.

The networks report people in empty rooms with a visibility of 0.99, hands on the wrong arm, and faces at the back of
heads. Every rule here is one independent reason to reject a part. `Gates.rejected` lists the frames that each rule
rejected. Lengths are compared with the head's height in px, so that the size of the picture does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from stages.detect.evidence import FACE_CHIN, FACE_TOP
from stages.detect.face_angle import face_angles_degrees
from stages.detect.hands import WRISTS, duplicate_hand
from stages.detect.observations import EVIDENCE, PARTS, Observations
from stages.detect.person_detections import SHOULDERS_PER_HEAD
from stages.detect.sides import SIDES, lone_jumps
from stages.errors import InputError

TORSO = [11, 12, 23, 24]
PALMS = {"left_hand": [15, 17, 19, 21], "right_hand": [16, 18, 20, 22]}
"""Wrist and knuckles of little finger, index and thumb among the pose points."""
TORSO_PER_HEAD = 2.6


@dataclass(frozen=True)
class GateConfig:
    """Limits of the gates. The measured values are from the nine dev clips."""

    matte_on_body: float = 0.35
    """Least mean of the selfie matte along the limbs. People have 0.77 and more, furniture (d9) 0.00 to 0.02."""
    face_off_body: float = 0.5
    """Largest distance of the face mesh's nose from the pose's nose, in head heights. Correct faces reach 0.36."""
    head_off_survey: float = 2.0
    """Largest distance of the pose's head from the head in the survey, in head heights. Correct poses reach 0.4, and
    1.6 at the start or end of a clip."""
    head_off_survey_in_company: float = 0.8
    """The same limit while other people are in the picture."""
    looks_like_another: float = 4.0
    """Largest difference between the distances of the look from the own usual look and from another person's. Chosen
    here, above LOOKS_LIKE_ANOTHER, because the pose of every frame is less sure than that of the survey."""
    size_jump: float = 2.0
    """Largest factor between the size of a body and its median size within one second before and after."""
    torso_visibility: float = 0.5
    """Least mean visibility of the shoulders, or of the hips, of a body without a face."""
    face_turn_degrees: float = 60.0
    """Largest yaw or pitch. Beyond it the detector invents the far side of the face (notes/tracker)."""
    face_roll_degrees: float = 100.0
    """Largest roll, in the picture or relative to the trunk, whichever is smaller: if the camera is upside down, the
    trunk is too (f13). The tilted head of clip d3 reaches 63 and is correct. Chosen here."""
    face_alone_seconds: float = 0.5
    """A face in a single frame, without another face within this time, is rejected. In clip d9 a head at 90 degrees is
    reported at 41 degrees, in frames that depend on where the clip is cut into lanes."""
    wrist_off_arm: float = 0.5
    """Largest distance of the hand's wrist from the pose's wrist, in head heights (notes/tracker)."""
    hand_inside: float = 0.5
    """Least share of the hand's box that lies in the picture."""
    hand_size: tuple[float, float] = (0.12, 1.6)
    """Least and largest longer side of the hand's box, in head heights."""
    hand_match: float = 0.05
    """Least IoU of the hand's box with the box around the pose network's four points of that hand, enlarged by half its
    size on each side. On d1 to d9, 2 of 683 hands that the other rules accept have less, and 9 of 17
    hands that they reject."""
    off: tuple[str, ...] = ()
    """Names of the gates that are switched off (the ablation)."""


@dataclass(frozen=True)
class Gates:
    """Decisions of the gates. `valid` and `score` have one column per part of `observations.PARTS`.

    `rejected` has one entry per rule; `face_angles` are yaw, pitch and roll in degrees.
    """

    valid: Bool[np.ndarray, "frames 4"]
    score: Float[np.ndarray, "frames 4"]
    rejected: dict[str, Bool[np.ndarray, "frames"]]
    face_angles: Float[np.ndarray, "frames 3"]

    def select(self, rows: Int[np.ndarray, "chosen"]) -> Gates:
        """The decisions about some frames."""
        rejected = {name: values[rows] for name, values in self.rejected.items()}
        return Gates(self.valid[rows], self.score[rows], rejected, self.face_angles[rows])


def gate(observations: Observations, config: GateConfig | None = None) -> Gates:
    """Apply the gates to every part in every frame. No rule looks across a cut.

    `valid` of the body means that the person is there; `valid` of another part means that it may be fitted to. `score`
    is 0 for a rejected part. Otherwise it is, for the body, the mean visibility of the shoulders and arms inside the
    picture (0 in a close-up of the face). For the face it falls from 1 to 0.5 as the face turns away up to the limit,
    for hands from 1 to 0.5 as they move away from the arm's wrist up to the limit.
    """
    config = config or GateConfig()
    shots = observations.shots
    if len(shots) > 1:
        return _joined([gate(observations.select(rows), config) for rows in shots])
    angles = face_angles_degrees(observations.face)
    rejected = _without_off(config, {name: rule(observations, config) for name, rule in BODY_RULES.items()})
    body = observations.found[:, 0] & ~np.any(list(rejected.values()), axis=0)
    turned = np.abs(angles[:, :2]).max(1) > config.face_turn_degrees
    face = {
        "face turned away": turned
        | _is_isolated(observations.found[:, 1], config.face_alone_seconds * observations.fps),
        "face upside down": _rolled(observations, angles[:, 2]) > config.face_roll_degrees,
        "face off the body": _evidence(observations, "face_on_body") > config.face_off_body,
    }
    rejected |= _without_off(config, face)
    valid = [body, observations.found[:, 1] & body & ~np.any([rejected[name] for name in face], axis=0)]
    for hand in PARTS[2:]:
        rules = _without_off(config, {name: rule(observations, hand, config) for name, rule in HAND_RULES.items()})
        own = {f"{hand}: {name}": rows for name, rows in rules.items()}
        rejected |= own
        valid.append(observations.found[:, PARTS.index(hand)] & body & ~np.any(list(own.values()), axis=0))
    valid = np.stack(valid, axis=1)
    return Gates(valid, np.where(valid, _scores(observations, angles, config), 0).astype(np.float32), rejected, angles)


def _joined(parts: list[Gates]) -> Gates:
    """The decisions of consecutive shots as those of one clip."""
    return Gates(
        np.concatenate([part.valid for part in parts]),
        np.concatenate([part.score for part in parts]),
        {name: np.concatenate([part.rejected[name] for part in parts]) for name in parts[0].rejected},
        np.concatenate([part.face_angles for part in parts]),
    )


def _rolled(observations: Observations, roll: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
    """The smaller of the face's roll in the picture and its roll relative to the trunk, degrees; NaN without a face."""
    up = observations.pose[:, [11, 12], :2].mean(1) - observations.pose[:, [23, 24], :2].mean(1)
    trunk = np.degrees(np.arctan2(up[:, 0], -up[:, 1]))
    relative = np.abs((roll - trunk + 180) % 360 - 180)
    return np.fmin(np.abs(roll), relative)


def _is_isolated(found: Bool[np.ndarray, "frames"], reach: float) -> Bool[np.ndarray, "frames"]:
    """Found in a frame, but not within `reach` frames before and after. False in clips of up to `reach` frames."""
    frames = max(1, round(reach))
    near = np.convolve(found, np.ones(2 * frames + 1), "full")[frames:-frames]
    return found & (near == 1) & (len(found) > frames)


def _without_off(
    config: GateConfig, rules: dict[str, Bool[np.ndarray, "frames"]]
) -> dict[str, Bool[np.ndarray, "frames"]]:
    """The results of the rules; a gate that is off rejects nothing."""
    return {name: np.zeros_like(rows) if name in config.off else rows for name, rows in rules.items()}


def check_gates(names: tuple[str, ...]) -> None:
    """Raise InputError for a name of no gate."""
    for name in names:
        if name not in GATES:
            raise InputError(f"gates_off names '{name}'; the gates are: {', '.join(GATES)}")


def head_height(observations: Observations) -> Float[np.ndarray, "frames"]:
    """Forehead to chin in px: from the face mesh, or from shoulders and torso where no face is seen."""
    pose, face = observations.pose[..., :2], observations.face[..., :2]
    shoulders = np.linalg.norm(pose[:, 11] - pose[:, 12], axis=-1) / SHOULDERS_PER_HEAD
    torso = np.linalg.norm(pose[:, [11, 12]].mean(1) - pose[:, [23, 24]].mean(1), axis=-1) / TORSO_PER_HEAD
    return np.where(
        observations.found[:, 1],
        np.linalg.norm(face[:, FACE_TOP] - face[:, FACE_CHIN], axis=-1),
        np.maximum(shoulders, torso),
    )


def _nobody_there(observations: Observations, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    """The matte shows background where the limbs should be. Frames without a matte have a face and pass."""
    return _evidence(observations, "matte_on_body") < config.matte_on_body


def _somebody_else(observations: Observations, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    company = np.isfinite(_evidence(observations, "looks_like_another")) | (observations.other_people > 0)
    limit = np.where(company, config.head_off_survey_in_company, config.head_off_survey)
    return _evidence(observations, "head_where_expected") > limit


def _looks_like_another(observations: Observations, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    return _evidence(observations, "looks_like_another") > config.looks_like_another


def _size_jumps(observations: Observations, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    """Size against the median within one second before and after, over frames with a person in the matte."""
    pose = observations.pose[..., :2]
    spread = np.sum((pose[:, TORSO] - pose[:, TORSO].mean(1, keepdims=True)) ** 2, axis=-1)
    size = np.sqrt(spread.mean(1))
    size[_nobody_there(observations, config)] = np.nan
    reach = max(1, round(observations.fps))
    usual = np.array([_finite_median(size[max(0, i - reach) : i + reach + 1]) for i in range(len(size))])
    ratio = size / usual
    return (ratio > config.size_jump) | (ratio < 1 / config.size_jump)


def _jumps(observations: Observations, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    """The pose of a single frame is far from those before and after it, which are near each other."""
    return lone_jumps(observations)


def _torso_unseen(observations: Observations, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    """Neither a face nor shoulders nor hips are visible."""
    visibility = observations.pose[:, TORSO, 2]
    best = np.maximum(visibility[:, :2].mean(1), visibility[:, 2:].mean(1))
    return (best < config.torso_visibility) & ~observations.found[:, 1]


BODY_RULES: dict[str, Callable[[Observations, GateConfig], Bool[np.ndarray, "frames"]]] = {
    "nobody there": _nobody_there,
    "somebody else": _somebody_else,
    "looks like another": _looks_like_another,
    "size jumps": _size_jumps,
    "torso unseen": _torso_unseen,
    "pose jumps": _jumps,
}


def wrist_distance(observations: Observations, hand: str) -> Float[np.ndarray, "frames"]:
    """Distance of the hand's wrist from the pose's wrist, in head heights."""
    own = getattr(observations, hand)[:, 0, :2]
    return np.linalg.norm(own - observations.pose[:, WRISTS[hand], :2], axis=-1) / head_height(observations)


def _off_the_arm(observations: Observations, hand: str, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    return wrist_distance(observations, hand) > config.wrist_off_arm


def _outside(observations: Observations, hand: str, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    low, high = _hand_box(observations, hand)
    inside = np.clip(np.minimum(high, observations.image_size) - np.maximum(low, 0), 0, None)
    return inside.prod(1) < config.hand_inside * (high - low).prod(1)


def _wrong_size(observations: Observations, hand: str, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    low, high = _hand_box(observations, hand)
    size = (high - low).max(1) / head_height(observations)
    return (size < config.hand_size[0]) | (size > config.hand_size[1])


def _is_the_other_hand(observations: Observations, hand: str, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    """Both hands are the same hand, and this one is farther from its own wrist."""
    rejected = np.zeros(len(observations), bool)
    for row in np.flatnonzero(observations.found[:, [0, 2, 3]].all(1)):
        found = {name: getattr(observations, name)[row] for name in ("pose", "left_hand", "right_hand")}
        rejected[row] = duplicate_hand(found) == hand
    return rejected


def _off_the_box(observations: Observations, hand: str, config: GateConfig) -> Bool[np.ndarray, "frames"]:
    """The pose network, which sees the arm, and the hand network, which sees fingers, give different boxes."""
    low, high = _hand_box(observations, hand)
    points = observations.pose[:, PALMS[hand], :2]
    room = 0.5 * (points.max(1) - points.min(1)).max(1, keepdims=True)
    other_low, other_high = points.min(1) - room, points.max(1) + room
    both = np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0, None).prod(1)
    union = (high - low).prod(1) + (other_high - other_low).prod(1) - both
    return both < config.hand_match * union


HAND_RULES: dict[str, Callable[[Observations, str, GateConfig], Bool[np.ndarray, "frames"]]] = {
    "off the arm": _off_the_arm,
    "outside the picture": _outside,
    "wrong size": _wrong_size,
    "off the box": _off_the_box,
    "is the other hand": _is_the_other_hand,
}

CONFIDENCE, MISSED = "confidence", "missed by the fit"
"""The gate on single pose points, and the gate that needs a finished fit: the tracker applies both, and SIDES."""
GATES = (
    CONFIDENCE,
    SIDES,
    *BODY_RULES,
    "face turned away",
    "face upside down",
    "face off the body",
    *HAND_RULES,
    MISSED,
)
"""Names of all gates, for `GateConfig.off`. The name of a hand gate stands for both hands."""


def point_weights(observations: Observations) -> Float[np.ndarray, "frames 33"]:
    """Weight of each pose point, 0..1: its visibility, or 0 outside the picture, where points are guesses.

    Points within 2 % of the lower edge have half the weight: hips behind a desk or below the picture are put there.
    """
    width, height = observations.image_size
    x, y, visibility = np.moveaxis(observations.pose, -1, 0)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    edge = np.where(y > 0.98 * height, 0.5, 1.0)
    return np.where(inside, np.nan_to_num(visibility) * edge, 0).astype(np.float32)


def _scores(
    observations: Observations, angles: Float[np.ndarray, "frames 3"], config: GateConfig
) -> Float[np.ndarray, "frames 4"]:
    weights = point_weights(observations)[:, [11, 12, 13, 14, 15, 16]]
    seen = weights > 0
    body = weights.sum(1) / np.maximum(seen.sum(1), 1)
    turn = np.abs(angles[:, :2]).max(1) / config.face_turn_degrees
    hands = [wrist_distance(observations, hand) / config.wrist_off_arm for hand in PARTS[2:]]
    return np.stack([body, *(1 - 0.5 * np.clip(np.nan_to_num(x, nan=1.0), 0, 1) for x in (turn, *hands))], axis=1)


def _hand_box(observations: Observations, hand: str) -> tuple[Float[np.ndarray, "frames 2"], ...]:
    rows = getattr(observations, hand)[..., :2]
    return rows.min(1), rows.max(1)


def _evidence(observations: Observations, name: str) -> Float[np.ndarray, "frames"]:
    return observations.evidence[:, EVIDENCE.index(name)]


def _finite_median(values: Float[np.ndarray, "values"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan
