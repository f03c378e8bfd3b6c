"""Motions with known contacts, on any body: claps, namaste, hands on hips, a hand on the cheek, arms crossed, fingers
counted, and sitting with hands on the knees.

Each is solved for the contact on the driver's own body, so the points that touch, and when, are known: the poses of the
contact first, then the way there and back, with surfaces that may not cross. The points that are told are the nearest
ones of the two pieces in the middle of the contact. Facing the camera from 3 m, 30 frames/s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.body.smplx_layout import joint
from stages.contacts.parts import PIECES, piece_of_vertices
from stages.contacts.points import place, skinned_vertices
from stages.contacts.solve import Chain, Held, Task, solve, turned
from stages.contacts.surface import PUSHED_SAG_M, Person, Sampling, rotations_of, sample_surface
from stages.people.motions import eased
from tests.motions import standing

FPS, SIZE = 30, (720, 960)
LOOSE = Chain.of(
    {f"{side}_{name}": sigma for side in ("left", "right")
     for name, sigma in (("collar", (.1, .1, .1)), ("shoulder", (1, 1, 1)), ("elbow", (.4, 1, .1)),
                         ("wrist", (.4, .4, .4)))}
    | {f"spine{n}": (.02, .01, .01) for n in (1, 2, 3)}
)  # fmt: skip
STARTS = 80
"""Arm poses around the script's guess that a contact is solved from; the one with the least gap and depth is kept."""
CLOSINGS = 2
"""Then the nearest points of the two pieces are made to touch; this often."""
AWAY = 0.45
"""How far the arms go back between two contacts: a moment on their way down."""
WRIST_RAD = 0.8
"""Wrists that bend farther are avoided."""
Arm = tuple[float, float, float, float]
"""Raised about z, forward about y, twisted about its own axis, bent at the elbow; radians, of the left arm."""
DOWN: Arm = (-1.15, 0.1, 0.0, 0.3)
Place = tuple[str, tuple[float, float, float]]
"""A piece of the surface, and the direction in which a ray from its middle leaves it (rest pose: x to the person's
left, y up, z forward; palms face down)."""


@dataclass(frozen=True)
class Moment:
    """A pose of the arms with what touches in it, held from one second to another."""

    begin: float
    end: float
    left: Arm
    right: Arm
    touches: tuple[tuple[Place, Place], ...]


@dataclass(frozen=True)
class Script:
    """A motion: its moments, and whether the person sits."""

    name: str
    seconds: float
    moments: tuple[Moment, ...]
    seated: bool = False


@dataclass(frozen=True)
class Made:
    """A motion and what is known of it."""

    script: str
    motion: Motion
    vertices: list[tuple[int, int]]
    """The touching points, as vertices of the body."""
    rows: list[tuple[int, int]]
    """From which row to which they touch."""


def _both(place_of: tuple[str, tuple[float, float, float]]) -> tuple[Place, Place]:
    """The same place of the left and of the right side."""
    name, (x, y, z) = place_of
    return (f"left_{name}", (x, y, z)), (f"right_{name}", (-x, y, z))


PALM, FOREFINGER = _both(("palm", (0, -1, 0))), _both(("index", (0.3, -1, 0)))
MIDDLE, LITTLE, TIP = _both(("middle", (0.3, -1, 0))), _both(("pinky", (0.3, -1, 0))), _both(("index", (1, -0.2, 0)))
FRONT: Arm = (-1.0, 0.55, 0.2, 1.55)
HIP: Arm = (-0.75, -0.25, 0.9, 1.7)
CROSS, UNDER = (-1.0, 0.55, 0.5, 1.8), (-1.15, 0.3, 0.5, 1.7)


def scripts() -> list[Script]:
    """The seven motions."""
    claps = tuple(Moment(t, t + 0.12, FRONT, FRONT, (PALM, MIDDLE)) for t in (0.8, 1.3, 1.8, 2.3))
    hips = tuple((PALM[n], ("hip", (s, 0.15, 0.1))) for n, s in ((0, 1.0), (1, -1.0)))
    cheek = ((PALM[1], ("face", (-1.0, -0.6, 0.35))), (MIDDLE[1], ("face", (-1.0, 0.1, 0.1))))
    crossed = (
        (PALM[0], ("right_upper_arm", (-0.3, 0.6, 0.8))),
        (("left_forearm", (0.2, -1, 0)), ("right_forearm", (-0.2, 1, 0))),
    )  # fmt: skip
    tips = [(f"left_{name}", (1.0, -0.2, 0.0)) for name in ("index", "middle", "ring", "pinky")]
    counting = tuple(Moment(0.8 + 0.6 * n, 1.1 + 0.6 * n, FRONT, FRONT, ((TIP[1], tip),)) for n, tip in enumerate(tips))
    lap: Arm = (-0.95, 0.75, 0.0, 0.7)
    knees = tuple((PALM[n], (f"{side}_thigh", (0, -1.0, 0.55))) for n, side in enumerate(("left", "right")))
    return [
        Script("claps", 3.2, claps),
        Script("namaste", 3.0, (Moment(1.0, 2.0, FRONT, FRONT, (PALM, FOREFINGER, LITTLE)),)),
        Script("hands on hips", 3.0, (Moment(1.0, 2.0, HIP, HIP, hips),)),
        Script("hand on cheek", 3.0, (Moment(1.0, 2.0, DOWN, (-0.6, 0.7, -0.3, 2.3), cheek),)),
        Script("arms crossed", 3.0, (Moment(1.0, 2.0, CROSS, UNDER, crossed),)),
        Script("finger counting", 4.0, counting),
        Script("sitting, hands on knees", 3.0, (Moment(1.0, 2.0, lap, lap, knees),), seated=True),
    ]


def bodies() -> list[tuple[str, Float[np.ndarray, "10"]]]:
    """Twenty people from 1.37 to 2.07 m: five heights of thin, average and heavy build, and five at random."""
    sizes = {"child-size": -3.0, "short": -1.5, "average": 0.0, "tall": 1.5, "very tall": 3.0}
    builds = {
        "thin": (0, 1.0, 0, 1.5, -2.5, -2.5, -1.5, 0, 0, 0), "medium": (0,) * 10,
        "heavy": (0, -1.5, 0, -2.0, 2.5, 2.5, 2.0, 0, 0, 0),
    }  # fmt: skip
    made = []
    for size, height in sizes.items():
        for build, betas in builds.items():
            made.append((f"{size}, {build}", np.array([height, *betas[1:]], np.float32)))
    random = np.random.default_rng(0)
    return made + [(f"random {n}", random.normal(size=10).astype(np.float32)) for n in range(1, 6)]


def person(body: Body, betas: Float[np.ndarray, "10"], frames: int = 1) -> Motion:
    """Someone who stands 3 m from the camera with the arms down."""
    motion = standing(body, frames, size=SIZE)
    poses = np.zeros((frames, 165), np.float32)
    poses[:, 0] = np.pi
    trans = _standing_at(poses)
    return replace(motion, betas=betas, poses=poses, trans=trans, fps=Fraction(FPS))


def make(body: Body, betas: Float[np.ndarray, "10"], script: Script, sampling: Sampling | None = None) -> Made:
    """Solve the script on the body of `betas`."""
    frames = round(script.seconds * FPS)
    motion = person(body, betas, frames)
    who = Person.of(body, motion, sampling or sample_surface(body, PUSHED_SAG_M))
    down = _pose(DOWN, DOWN, script.seated)
    keys, moments, points, rows = [down], [0.0], [], []
    solved: dict[tuple, tuple[np.ndarray, list[tuple[int, int]]]] = {}
    for moment in script.moments:
        if moment.touches not in solved:
            pairs = [(_vertex(body, *first), _vertex(body, *second)) for first, second in moment.touches]
            key = _key_pose(who, moment, script.seated, pairs)
            for _ in range(CLOSINGS):
                pairs = _touching(who, key, pairs)
                key = _solved(who, key[None], pairs, None)[0]
            solved[moment.touches] = key, pairs
        key, pairs = solved[moment.touches]
        if len(keys) > 1:
            keys.append(_between(key, down, AWAY))
            moments.append((moments[-1] + moment.begin) / 2)
        keys += [key, key]
        moments += [moment.begin, moment.end]
        points += pairs
        rows += [(round(moment.begin * FPS), round(moment.end * FPS) + 1)] * len(pairs)
    times = np.arange(frames) / FPS
    way = eased(np.stack([*keys, down]), np.array([*moments, script.seconds]), times)
    way += _sway(times)
    poses = _solved(who, way, points, rows)
    points = [
        _touching(who, poses[(begin + end) // 2], [pair])[0] for pair, (begin, end) in zip(points, rows, strict=True)
    ]
    return Made(script.name, replace(motion, poses=_in_camera(poses)), points, rows)


def _pose(left: Arm, right: Arm, seated: bool) -> Float[np.ndarray, "55 3"]:
    pose = np.zeros((55, 3))
    for side, arm, mirror in (("left", left, 1.0), ("right", right, np.array([1.0, -1.0, -1.0]))):
        up, forward, twist, bend = arm
        turn = _about(2, up) @ _about(1, -forward) @ _about(0, twist)
        pose[joint(f"{side}_shoulder")] = mirror * rotvec_from_matrix(turn)
        pose[joint(f"{side}_elbow")] = mirror * np.array([0, -bend, 0])
        for finger, spread in (("index", 0.05), ("middle", 0.0), ("ring", -0.04), ("pinky", -0.1)):
            for number in (1, 2, 3):
                pose[joint(f"{side}_{finger}{number}")] = mirror * np.array([0, spread * (number == 1), -0.08])
        if seated:
            pose[joint(f"{side}_hip")] = [-1.45, 0.08 * np.sign(left[0]) * -1 if side == "left" else -0.08, 0]
            pose[joint(f"{side}_knee")] = [1.4, 0, 0]
    return pose


def _key_pose(who: Person, moment: Moment, seated: bool, pairs: list[tuple[int, int]]) -> Float[np.ndarray, "55 3"]:
    """The best of many solutions: touching, outside the body, and with wrists that bend little."""
    random = np.random.default_rng(0)
    starts = []
    for _ in range(STARTS):
        turn, bend = random.normal(size=4) * (0.3, 0.4, 0.6, 0.4), random.normal(size=3) * 0.2
        left, right = (arm if arm == DOWN else tuple(arm + turn) for arm in (moment.left, moment.right))
        pose = _pose(left, right, seated)
        pose[joint("left_wrist")], pose[joint("right_wrist")] = bend, bend * (1, -1, -1)
        starts.append(pose)
    found = _solved(who, np.stack(starts), pairs, None)
    transforms = who.transforms(_turns(found), _standing_at(found))
    points, normals = who.surface(transforms)
    depth = np.maximum(-who.heights(points, normals, 0.12)[0].min(1), 0)
    first, second = (
        place(skinned_vertices(who.body.sparse_weights, who.template, np.array(pairs)[:, n]), transforms)
        for n in (0, 1)
    )
    gap = np.linalg.norm(first - second, axis=-1).max(1)
    bent = sum(
        np.maximum(np.linalg.norm(found[:, joint(f"{side}_wrist")], axis=-1) - WRIST_RAD, 0)
        + 3 * np.maximum(np.abs(found[:, joint(f"{side}_elbow"), 1] + sign * 1.3) - 1.3, 0)
        for side, sign in (("left", 1), ("right", -1))
    )
    return found[int((1e3 * gap + 3e3 * depth + 30 * bent).argmin())]


def _touching(who: Person, pose: Float[np.ndarray, "55 3"], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The nearest vertices of the same two pieces: a palm is hollow, so its middle cannot touch another palm's."""
    transforms = who.transforms(_turns(pose[None]), _standing_at(pose[None]))
    pieces = piece_of_vertices(who.body)
    nearest = []
    for pair in pairs:
        rows = [np.flatnonzero(pieces == pieces[vertex]) for vertex in pair]
        first, second = (place(skinned_vertices(who.body.sparse_weights, who.template, each), transforms)[0]
                         for each in rows)  # fmt: skip
        apart = np.linalg.norm(first[:, None] - second, axis=-1)
        a, b = np.unravel_index(apart.argmin(), apart.shape)
        nearest.append((int(rows[0][a]), int(rows[1][b])))
    return nearest


def _solved(
    who: Person, poses: Float[np.ndarray, "frames 55 3"], pairs: list[tuple[int, int]],
    rows: list[tuple[int, int]] | None,
) -> Float[np.ndarray, "frames 55 3"]:  # fmt: skip
    """`poses` with arms and spine turned so that the pairs touch, in their rows (None: always), and nothing crosses."""
    frames = len(poses)
    weight = np.ones((frames, len(pairs)))
    if rows is not None:
        count = np.arange(frames)[:, None]
        weight = ((count >= [a for a, _ in rows]) & (count < [b for _, b in rows])).astype(float)
    first, second = (
        skinned_vertices(who.body.sparse_weights, who.template, np.array([pair[side] for pair in pairs]))
        for side in (0, 1)
    )
    held = Held(first, second, np.zeros((frames, len(pairs), 3)), np.full(len(pairs), -1), weight)
    turning = len(LOOSE.joints)
    task = Task(
        who, _turns(poses), _standing_at(poses), LOOSE, np.ones((frames, turning), bool), held,
        np.zeros((frames, len(who.sampling.query))), np.zeros((2, turning, 3)), (True, True), FPS if rows else 1e-3,
    )  # fmt: skip
    result = poses.copy()
    changed = turned(task, solve(task))[:, LOOSE.joints]
    result[:, LOOSE.joints] = rotvec_from_matrix(changed)
    return result


def _in_camera(poses: Float[np.ndarray, "frames 55 3"]) -> Float[np.ndarray, "frames 165"]:
    """Facing the camera."""
    flat = poses.reshape(len(poses), 165).astype(np.float32)
    flat[:, :3] = (np.pi, 0, 0)
    return flat


def _turns(poses: Float[np.ndarray, "frames 55 3"]) -> Float[np.ndarray, "frames 55 3 3"]:
    return matrix_from_rotvec(_in_camera(poses).reshape(-1, 55, 3).astype(np.float64))


def _standing_at(poses: np.ndarray) -> Float[np.ndarray, "frames 3"]:
    """Where the person stands: 3.2 m in front of the camera."""
    return np.tile(np.array([0, 0.3, 3.2], np.float32), (len(poses), 1))


def _vertex(body: Body, piece: str, direction: tuple[float, float, float]) -> int:
    """The vertex of the piece nearest to where a ray from its middle in that direction leaves the mean rest body."""
    rows = np.flatnonzero(piece_of_vertices(body) == PIECES.index(piece))
    places = body.v_template[rows] - body.v_template[rows].mean(0)
    along = np.array(direction) / np.linalg.norm(direction)
    ahead = places @ along
    aside = np.linalg.norm(places - ahead[:, None] * along, axis=-1)
    return int(rows[np.where(ahead > 0, aside - 0.5 * ahead, np.inf).argmin()])


def _between(first: np.ndarray, second: np.ndarray, share: float) -> Float[np.ndarray, "55 3"]:
    return eased(np.stack([first, second]), np.array([0.0, 1.0]), np.array([share]))[0]


def _sway(times: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames 55 3"]:
    """Nobody stands still: slow waves of half a degree in the spine and a degree in the arms."""
    sway = np.zeros((len(times), 55, 3))
    for number, name in enumerate(("spine2", "neck", "head", "left_shoulder", "right_shoulder", "left_elbow")):
        wave = np.sin(2 * np.pi * (0.3 + 0.05 * number) * times + number)
        sway[:, joint(name)] = 0.01 * wave[:, None]
    return sway


def _about(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
    vector = np.zeros(3)
    vector[axis] = angle
    return matrix_from_rotvec(vector)


def apart(body: Body, made: Made, motion: Motion) -> Float[np.ndarray, "frames touches"]:
    """Distance of the touching points in a motion, metres; nan where they do not touch."""
    who = Person.of(body, motion, sample_surface(body))
    transforms = who.transforms(rotations_of(motion), motion.trans)
    points = np.array(made.vertices)
    first, second = (
        place(skinned_vertices(body.sparse_weights, who.template, points[:, n]), transforms) for n in (0, 1)
    )
    distance = np.linalg.norm(first - second, axis=-1)
    count = np.arange(len(motion))[:, None]
    begin, end = np.array(made.rows).T
    return np.where((count >= begin) & (count < end), distance, np.nan)
