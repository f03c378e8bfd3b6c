"""Finds the floor of a motion: the plane on which feet rest, in the world.

What speaks for a plane, each with its own spread: cameras are mostly level; who stands on straight legs has the centre
of mass above the feet; feet that rest lie on it, none lie below. A point's depth is its least certain coordinate, so a
resting point counts less the steeper the camera looks down on it. Known are only the motion and its camera's path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import split_shots
from stages.body.model import JOINT_NAMES, Body
from stages.body.same_body import require_same_body
from stages.contacts.episodes import Rule, hysteresis, spans_of
from stages.contacts.soles import FEET, Soles, joint_places
from stages.contacts.surface import Person, sample_surface

RESTING = Rule(enter_m=0.15, leave_m=0.30)
"""Here for speeds, m/s: a point rests below the first, until it is faster than the second."""
RESTING_S, LEAST_S = 0.12, 0.25
"""Shortest rest of a point; least time that points rest on a floor that is found."""
STRAIGHT = 0.85
"""A leg is straight if hip and ankle are this share of its length apart."""
LEVEL_RAD = np.radians((3.0, 5.0))
"""Spread of the roll and pitch of cameras; both have long tails (Cauchy)."""
BALANCE_RAD, SWAY_RAD, SWAY_S = np.radians(5.0), np.radians(8.0), 0.5
"""Spread of the direction from feet to centre of mass: of a clip, and of a moment; how long a moment is."""
POINT_M, DEPTH_M = 0.03, 0.06
"""Spread of resting points across and along the line of sight."""
PITCHES, STARTS = (-0.4, -0.2, 0.2), 5
"""Slopes beside the first guess from which the plane is looked for, and how many of the best starts are tried."""
MASSES = {
    ("head", "head"): 0.081, ("pelvis", "neck"): 0.497,
    **{(f"{side}_{a}", f"{side}_{b}"): mass for side in ("left", "right") for a, b, mass in (
        ("shoulder", "elbow", 0.028), ("elbow", "wrist", 0.022), ("hip", "knee", 0.1), ("knee", "ankle", 0.0465),
        ("ankle", "foot", 0.0145),
    )},
}  # fmt: skip
"""Share of the mass in the middle between two joints (Winter 2009, table 4.1)."""


@dataclass(frozen=True)
class Rest:
    """Resting points: one row per rest of a heel or toe."""

    place: Float[np.ndarray, "rests 3"]
    """Mean place of the lowest vertex."""
    ray: Float[np.ndarray, "rests 3"]
    seconds: Float[np.ndarray, "rests"]


def find_floor(motion: Motion, body: Body) -> Float[np.ndarray, "frames 4"]:
    """The floor of each shot, as in `emosh_floor`; NaN where no feet are seen, or none of them rests.

    Raises InputError for a motion of another body file.
    """
    require_same_body("motion", motion, body)
    return np.concatenate([np.tile(_of_shot(shot, body), (len(shot), 1)) for shot in split_shots(motion)])


def _of_shot(motion: Motion, body: Body) -> Float[np.ndarray, "4"]:
    none = np.full(4, np.nan)
    person = Person.of(body, motion, sample_surface(body))
    soles = Soles.of(body, motion, person)
    resting = resting_points(soles)[:, FEET]
    if not resting.any():
        return none
    balance = _balance(person, motion, soles)
    up = _leaning(_best(lambda slope: _lean_cost(slope, balance), [np.zeros(2)]))
    rests = _rests(soles, resting, up)
    leans = [_slope(up), *(_slope(up) + np.array([0.0, pitch]) for pitch in PITCHES)]
    starts = [np.array([*lean, height]) for lean in leans for height in rests.place @ _leaning(lean).T]
    found = _best(lambda x: _lean_cost(x[:2], balance) + _rest_cost(rests, _leaning(x[:2]), x[2]), starts)
    normal, offset = _leaning(found[:2]), found[2]
    on = np.abs(rests.place @ normal - offset) < 2 * _spread(rests, normal)
    if rests.seconds[on].sum() < LEAST_S:
        return none
    return np.array([*normal, offset])


def resting_points(soles: Soles) -> Bool[np.ndarray, "frames 6"]:
    """Rows in which a point is seen and rests."""
    speeds = np.where(soles.seen, soles.speeds(), np.inf)
    resting = np.stack([hysteresis(column, RESTING) for column in speeds.T], 1)
    for column in resting.T:
        for begin, end in spans_of(column):
            column[begin:end] = end - begin >= RESTING_S * soles.fps
    return resting


def _rests(soles: Soles, resting: Bool[np.ndarray, "frames 4"], up: Float[np.ndarray, "3"]) -> Rest:
    places, rays, seconds = [], [], []
    for number, column in enumerate(resting.T):
        for begin, end in spans_of(column):
            patch = soles.patches[number][begin:end]
            places.append(patch[np.arange(end - begin), (patch @ up).argmin(1)].mean(0))
            rays.append(soles.ray[begin:end, number].mean(0))
            seconds.append((end - begin) / soles.fps)
    return Rest(np.stack(places), np.stack(rays), np.array(seconds))


def _balance(person: Person, motion: Motion, soles: Soles) -> tuple[Float[np.ndarray, "2"], float] | None:
    """Slope of the direction from the feet to the centre of mass over the rows of standing, and its spread."""
    slow = (soles.seen & (soles.speeds() < RESTING.leave_m))[:, FEET]
    joints = joint_places(person, motion)
    at: dict[str, np.ndarray] = {name: joints[:, number] for number, name in enumerate(JOINT_NAMES)}
    halves = [share * (at[a] + at[b]) / 2 for (a, b), share in MASSES.items()]
    mass = np.sum(halves, 0) / sum(MASSES.values())
    rest: dict[str, np.ndarray] = dict(zip(JOINT_NAMES, person.rest_joints, strict=True))
    support, feet = np.zeros((len(joints), 3)), np.zeros(len(joints))
    for number, side in enumerate(("left", "right")):
        hip, knee, ankle = (f"{side}_{name}" for name in ("hip", "knee", "ankle"))
        length = np.linalg.norm(rest[hip] - rest[knee]) + np.linalg.norm(rest[knee] - rest[ankle])
        straight = np.linalg.norm(at[hip] - at[ankle], axis=-1) > STRAIGHT * length
        stands = straight & slow[:, 2 * number : 2 * number + 2].any(1)
        support += stands[:, None] * soles.middle[:, 2 * number : 2 * number + 2].mean(1)
        feet += stands
    rows = feet > 0
    if rows.sum() < LEAST_S * soles.fps:
        return None
    direction = mass[rows] - support[rows] / feet[rows, None]
    direction = np.median(direction / np.linalg.norm(direction, axis=-1, keepdims=True), 0)
    moments = max(1.0, rows.sum() / soles.fps / SWAY_S)
    return _slope(direction), float(np.hypot(BALANCE_RAD, SWAY_RAD / np.sqrt(moments)))


def _lean_cost(slope: Float[np.ndarray, "2"], balance: tuple[Float[np.ndarray, "2"], float] | None) -> float:
    cost = np.log1p((slope / LEVEL_RAD) ** 2).sum()
    return float(cost if balance is None else cost + ((slope - balance[0]) ** 2).sum() / (2 * balance[1] ** 2))


def _rest_cost(rests: Rest, normal: Float[np.ndarray, "3"], offset: float) -> float:
    """Resting points that lie on the plane cost nothing, those above at most 1 for LEAST_S, those below ever more."""
    away = (rests.place @ normal - offset) / _spread(rests, normal)
    cost = np.where(away > 0, away**2 / (1 + away**2), np.log1p(away**2))
    return float((np.minimum(rests.seconds / LEAST_S, 4.0) * cost).sum())


def _spread(rests: Rest, normal: Float[np.ndarray, "3"]) -> Float[np.ndarray, "rests"]:
    return np.hypot(POINT_M, DEPTH_M * (rests.ray @ normal))


def _best(cost: Callable[[np.ndarray], float], starts: list[np.ndarray]) -> np.ndarray:
    """The lowest of the minima found from the starts with the lowest costs."""
    from scipy.optimize import minimize

    chosen = sorted(starts, key=cost)[:STARTS]
    return min((minimize(cost, start, method="Nelder-Mead") for start in chosen), key=lambda found: found.fun).x


def _leaning(slope: Float[np.ndarray, "2"]) -> Float[np.ndarray, "3"]:
    """The direction up that leans by `slope` along the world's x and z."""
    up = np.array([slope[0], -1.0, slope[1]])
    return up / np.linalg.norm(up)


def _slope(up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2"]:
    """The inverse of `_leaning`."""
    return up[[0, 2]] / -up[1]
